// The state-save problem: what do recurrent mixers save, and which cheap values are re-made, in one training step?
//
//   given     mixers, each with candidates (chunk C, save interval m, fused or not) of predicted time, saved bytes and workspace;
//             values, each saved (bytes) or re-made (time); a budget of bytes, or none
//   choose    one candidate per mixer, save or recompute per value
//   such that the saved bytes, with the largest workspace, stay within the budget
//   objective least predicted time; among equals, least memory
// A problem and a schedule check themselves (`check`, `verify`); solvers are free functions (Solvers.h); predictions
// come from Cost.h. No MLIR and no passes here.
#ifndef ORIEL_COMPILER_SCHEDULE_PROBLEM_H
#define ORIEL_COMPILER_SCHEDULE_PROBLEM_H

#include <cstdint>
#include <string>
#include <vector>

namespace oriel::schedule {

/// One way to run a recurrent mixer, forward and backward.
struct MixerCandidate {
  int64_t chunk = 0;          // tokens
  int64_t saveEvery = 0;      // chunks between saved states
  bool fused = false;         // in one kernel with the window attention and the norms of its layer
  double seconds = 0;         // predicted, forward + backward
  int64_t savedBytes = 0;     // states kept from forward to backward
  int64_t workspaceBytes = 0; // states re-made at a time in the backward
};

struct Mixer {
  std::string path; // layer path, unique in the problem
  std::vector<MixerCandidate> candidates;
};

/// A value used on both sides of the step.
struct SavedValue {
  std::string path;
  int64_t bytes = 0;           // kept when saved
  double recomputeSeconds = 0; // spent when re-made
};

struct Problem {
  std::vector<Mixer> mixers;
  std::vector<SavedValue> values;
  int64_t budgetBytes = 0; // 0: none

  /// Empty, or what makes the problem meaningless: a mixer without candidates, two equal paths, a negative number.
  std::string check() const;
};

/// A solution: indices into the problem.
struct Schedule {
  std::vector<size_t> candidates; // one per mixer
  std::vector<bool> recompute;    // one per value
};

double predictedSeconds(const Problem &problem, const Schedule &schedule);
/// Saved bytes plus the largest workspace (workspaces live one at a time).
int64_t predictedBytes(const Problem &problem, const Schedule &schedule);

/// Empty when `schedule` is a legal solution of `problem`, else what is wrong with it.
std::string verify(const Problem &problem, const Schedule &schedule);

} // namespace oriel::schedule

#endif
