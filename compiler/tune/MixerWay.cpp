#include "compiler/tune/MixerWay.h"

#include <fmt/format.h>

#include <algorithm>

namespace oriel::tune {

schedule::MixerWay wayOf(const plan::Decision &decision) {
  return {.chunk = decision.chunk(),
          .saveEvery = decision.save_every(),
          .twoPass = decision.two_pass(),
          .fused = decision.fused(),
          .tile = decision.tile()};
}

std::string kernelText(const schedule::MixerWay &way) {
  return fmt::format("{}{}{}", way.twoPass ? "in two passes, " : "", way.fused ? "fused with its window" : "apart",
                     way.tile > 0 ? fmt::format(", key tile {}", way.tile) : "");
}

std::string scheduleText(const schedule::Problem &problem, const schedule::MixerWay &way) {
  schedule::MixerWay ownTile = way;
  ownTile.tile = 0;
  auto runsSo = [&](const schedule::MixerWay &candidate) { return candidate == ownTile; };
  std::string text;
  for (const schedule::Mixer &mixer : problem.mixers)
    if (std::any_of(mixer.candidates.begin(), mixer.candidates.end(), runsSo))
      text += fmt::format("tape.schedule @{} {}\n", problem.path(mixer), schedule::wordsOf(way));
  return text;
}

} // namespace oriel::tune
