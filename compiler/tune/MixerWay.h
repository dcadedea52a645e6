// One way to run all recurrent mixers of a model, as a trial does it, and the schedule file that says so.
#ifndef ORIEL_COMPILER_TUNE_MIXERWAY_H
#define ORIEL_COMPILER_TUNE_MIXERWAY_H

#include "compiler/schedule/Problem.h"

#include <compare>
#include <string>

namespace oriel::tune {

struct MixerWay {
  int64_t chunk = 0, saveEvery = 0;
  bool twoPass = false;
  bool fused = false; // with the window attention of the layer
  auto operator<=>(const MixerWay &) const = default;
};

MixerWay wayOf(const schedule::MixerCandidate &candidate);

/// "chunk 64 save_every 1 fused", the words of tape.schedule.
std::string nameOf(const MixerWay &way);

/// The same for people: "apart", "fused with its window", "in two passes, apart".
std::string kernelText(bool twoPass, bool fused);

/// A file for `orielc --schedule` in which the mixers that may run so do; empty when none may.
std::string scheduleText(const schedule::Problem &problem, const MixerWay &way);

} // namespace oriel::tune

#endif
