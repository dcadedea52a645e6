#include "compiler/tune/MixerWay.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

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

std::string assemblerText(const std::string &assembler) {
  return assembler.empty() ? "no ptxas was found: registers, spills and occupancy are not known, times are estimates without them"
                           : "assembled by " + assembler + ", nothing was run";
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

std::vector<schedule::MixerWay> waysToTry(const schedule::Problem &problem, size_t most) {
  std::map<schedule::MixerWay, double> seconds; // of all mixers that may run so
  for (const schedule::Mixer &mixer : problem.mixers)
    for (const schedule::MixerCandidate &candidate : mixer.candidates)
      if (candidate.tile == 0)
        seconds[candidate] += candidate.seconds();
  std::vector<schedule::MixerWay> ways;
  for (const auto &[way, unused] : seconds)
    ways.push_back(way);
  std::stable_sort(ways.begin(), ways.end(),
                   [&](const schedule::MixerWay &a, const schedule::MixerWay &b) { return seconds[a] < seconds[b]; });
  std::stable_partition(ways.begin(), ways.end(), [](const schedule::MixerWay &way) { return way.saveEvery == 1; });
  ways.resize(std::min(ways.size(), most));
  return ways;
}

} // namespace oriel::tune
