#include "compiler/schedule/Tiling.h"

#include <algorithm>
#include <optional>

namespace oriel::schedule {

std::string wordsOf(const Tiling &tiling) {
  return "rows " + std::to_string(tiling.rows) + " columns " + std::to_string(tiling.columns) + " warps " +
         std::to_string(tiling.warps) + " stages " + std::to_string(tiling.stages);
}

void solveTiling(TilingQuestion &question, const AssembleTiling &assemble) {
  std::vector<TilingCandidate> &candidates = question.candidates;
  if (candidates.empty())
    return;
  const Tiling own = candidates.front();
  std::vector<bool> refused(candidates.size(), false);
  // As long as the own one is there, rivals must be better by the margin. Among equals the one that waits least has most
  // to spare, should a load take longer than the descriptor says.
  auto cost = [&](size_t i) {
    double factor = candidates[i] == own ? 1 - tilingMargin : 1;
    return std::pair(factor * candidates[i].time.seconds, candidates[i].time.latencySeconds);
  };
  auto best = [&](bool assembledOnly) {
    std::optional<size_t> found;
    for (size_t i = 0; i < candidates.size(); ++i)
      if (!refused[i] && (!assembledOnly || candidates[i].assembled) && (!found || cost(i) < cost(*found)))
        found = i;
    return found;
  };
  std::optional<size_t> answer = best(false);
  for (size_t tried = 0; answer && !candidates[*answer].assembled; answer = best(false)) {
    if (tried++ == mostAssembledTilings) {
      answer = best(true);
      break;
    }
    TilingCandidate asked = candidates[*answer];
    std::string why = assemble(*answer);
    candidates[*answer].assembled = why.empty();
    if (why.empty())
      continue;
    question.refused.push_back({asked, why});
    for (size_t i = 0; i < candidates.size(); ++i)
      refused[i] = refused[i] || i == *answer ||
                   (!candidates[i].assembled && candidates[i].warps == asked.warps && candidates[i].registers >= asked.registers);
  }
  const Tiling chosen = answer ? candidates[*answer] : own;
  std::vector<TilingCandidate> left;
  for (size_t i = 0; i < candidates.size(); ++i)
    if (!refused[i] || candidates[i] == chosen)
      left.push_back(candidates[i]);
  std::stable_sort(left.begin(), left.end(), [&](const TilingCandidate &a, const TilingCandidate &b) {
    bool isA = a == chosen, isB = b == chosen;
    return isA != isB ? isA : a.time.seconds < b.time.seconds;
  });
  candidates = std::move(left);
}

} // namespace oriel::schedule
