// The schedule problem: what does one training step keep in memory from the forward to the backward half, and what does
// it make again?
//
//   given     the steps of the program (0, 1, …), and what lives in memory whatever is decided: `fixedBytes` for the
//             whole step (parameters, gradients, moments) and `blocks` for a while (cotangents, temporaries);
//             ops of the forward half: their results (bytes, when they are used), and what running one again costs and
//             reads; recurrent mixers: candidates (chunk C, save interval m, …) with time, saved bytes and scratch;
//             a budget in bytes, or none
//   choose    one candidate per mixer; for every op: keep its results, or run it again
//   such that at every step the bytes that are alive fit the budget
//   objective least predicted time; among equals, least peak
//
// When is a result alive? From the step where it is made to `lastForward` always. The backward *needs* it at its own
// uses `backward`, and wherever an op that runs again reads it. A kept result that is needed lives on until it was
// needed last. An op that runs again does so at the step that needs one of its results first, and they live from there:
// re-making a whole block is a chain of such decisions, each of which asks for its inputs at the step where it runs. A
// result that is not needed is free. The states that a mixer saves live from the run of its forward that comes last
// before its gradient.
//
// The memory of a step is this timeline, not a sum. The solvers (Solvers.h) are free functions; ProblemText.h is the
// text form; predictions of time come from Cost.h. No MLIR and no passes here.
#ifndef ORIEL_COMPILER_SCHEDULE_PROBLEM_H
#define ORIEL_COMPILER_SCHEDULE_PROBLEM_H

#include "compiler/schedule/Tiling.h"

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace oriel::schedule {

/// Steps [first, last]; first < 0: none.
struct Interval {
  int64_t first = -1, last = -1;
  bool empty() const { return first < 0; }
  /// The smallest interval with both.
  Interval with(Interval other) const;
  bool operator==(const Interval &) const = default;
};

/// One result of an op.
struct Result {
  int64_t bytes = 0;       // while it is alive
  int64_t lastForward = 0; // step of the last use in the forward half; where it is made if there is none
  Interval backward;       // first and last use of its own in the backward half
};

/// Result `result` of op `op`.
struct Input {
  size_t op = 0, result = 0;
  bool operator==(const Input &) const = default;
};

/// Whether a person decided for an op.
enum class Given { Nothing, Save, Recompute };

/// An op of the forward half whose results the backward may need.
struct Op {
  std::string path;            // layer path and name, unique in the problem
  double recomputeSeconds = 0; // to run it again
  int64_t scratchBytes = 0;    // alive while it runs again
  int64_t made = 0;            // step
  std::vector<Result> results;
  std::vector<Input> inputs; // what is read to run it; each comes before it in the problem
  Given given = Given::Nothing;

  int64_t lastForward() const; // of all results
  Interval backward() const;   // of all results
};

/// How a recurrent mixer runs: the words of tape.schedule.
struct MixerWay {
  int64_t chunk = 0;     // tokens per chunk, C
  int64_t saveEvery = 0; // chunks between saved states, m
  bool twoPass = false;  // the segments between saved states side by side, their states made beforehand
  bool fused = false;    // in one kernel with the window attention of the layer
  int64_t tile = 0;      // tokens per key tile of that kernel's window part; 0: the kernel's own
  auto operator<=>(const MixerWay &) const = default;
};

/// Tiles that are tried beside a kernel's own.
inline constexpr int64_t keyTiles[] = {32, 64, 128};

/// "chunk 64 save_every 1 two_pass fused tile 32", as tape.schedule reads it.
std::string wordsOf(const MixerWay &way);
/// "chunk 64 two_pass": what the text of the mixer's kernels depends on but for numbers in it.
std::string chunkWordsOf(const MixerWay &way);

/// One way to run a recurrent mixer, with what it costs.
struct MixerCandidate : MixerWay {
  double forwardSeconds = 0, backwardSeconds = 0; // a fused candidate counts all that is fused, and so do its rivals
  int64_t savedBytes = 0;                         // states, from where the forward runs to the gradient
  int64_t scratchBytes = 0;                       // states re-made at a time, alive at the gradient's step
  double seconds() const { return forwardSeconds + backwardSeconds; }
  bool operator==(const MixerCandidate &) const = default;
};

/// A way that the device cannot run, or should not.
struct RefusedWay : MixerWay {
  std::string why; // words
  bool operator==(const RefusedWay &) const = default;
};

struct Mixer {
  size_t op = 0;            // the forward half
  int64_t gradientStep = 0; // where the backward half of the mixer runs
  std::vector<MixerCandidate> candidates;
  std::vector<RefusedWay> refused = {}; // no candidates; for people
};

/// Memory that lives for some steps whatever is decided.
struct Block {
  std::string name;
  int64_t bytes = 0;
  Interval life;
};

struct Problem {
  std::string name, device;
  std::string assembler; // that told what kernels take of a GPU, "ptxas-13.0"; empty: none did
  int64_t steps = 0;
  int64_t fixedBytes = 0;
  double fixedSeconds = 0; // of everything that no decision changes
  std::vector<Op> ops;
  std::vector<Mixer> mixers;
  std::vector<Block> blocks;
  std::vector<TilingQuestion> tilings; // answered; of GPUs
  int64_t budgetBytes = 0;             // 0: none

  const std::string &path(const Mixer &mixer) const { return ops[mixer.op].path; }

  /// Empty, or what makes the problem meaningless: a mixer without candidates, two equal paths, an input that comes
  /// later, a use outside the steps, a negative number.
  std::string check() const;
};

/// A solution: indices into the problem. `recompute` of an op that the backward does not need says nothing.
struct Schedule {
  std::vector<size_t> candidates; // one per mixer
  std::vector<bool> recompute;    // one per op
  bool operator==(const Schedule &) const = default;
};

/// Keeps everything that may be kept and takes the fastest candidates.
Schedule fastestSchedule(const Problem &problem);

/// When the backward needs something (empty: not at all): of each op and result, and of each op as a whole.
struct Needs {
  std::vector<std::vector<Interval>> results;
  std::vector<Interval> ops;
};
Needs needsOf(const Problem &problem, const Schedule &schedule);

/// Bytes alive at each step, `fixedBytes` among them.
std::vector<int64_t> timeline(const Problem &problem, const Schedule &schedule);

struct Prediction {
  double seconds = 0;
  int64_t peakBytes = 0;
  int64_t peakStep = 0; // the first step with that peak
};
Prediction predict(const Problem &problem, const Schedule &schedule);

/// Whether `a` is better: less time, or equal time and less peak memory.
bool isBetter(const Prediction &a, const Prediction &b);

/// Empty when `schedule` is a legal solution of `problem`, else what is wrong with it.
std::string verify(const Problem &problem, const Schedule &schedule);

} // namespace oriel::schedule

#endif
