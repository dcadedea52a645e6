#include "compiler/tune/MixerWay.h"

#include <fmt/format.h>

namespace oriel::tune {

MixerWay wayOf(const schedule::MixerCandidate &candidate) {
  return {candidate.chunk, candidate.saveEvery, candidate.twoPass, candidate.fused};
}

std::string nameOf(const MixerWay &way) {
  return fmt::format("chunk {} save_every {}{}{}", way.chunk, way.saveEvery, way.twoPass ? " two_pass" : "",
                     way.fused ? " fused" : "");
}

std::string kernelText(bool twoPass, bool fused) {
  return fmt::format("{}{}", twoPass ? "in two passes, " : "", fused ? "fused with its window" : "apart");
}

std::string scheduleText(const schedule::Problem &problem, const MixerWay &way) {
  std::string text;
  for (const schedule::Mixer &mixer : problem.mixers)
    for (const schedule::MixerCandidate &candidate : mixer.candidates)
      if (wayOf(candidate) == way)
        text += fmt::format("tape.schedule @{} {}\n", problem.path(mixer), nameOf(way));
  return text;
}

} // namespace oriel::tune
