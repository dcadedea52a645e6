// Laws between the options of one layer. See LayerChecks.h.
#include "compiler/frontend/LayerChecks.h"

#include "compiler/frontend/Suggest.h"

#include <cstdlib>
#include <string>

namespace oriel::frontend {
namespace {

SourceRange rangeOf(const LayerUse &layer, const OptionRanges &ranges, std::string_view option) {
  auto it = ranges.find(option);
  return it == ranges.end() ? layer.range : it->second;
}

/// The divisor of `number` nearest to `wish` (the larger of two equally near ones).
int64_t nearestDivisor(int64_t number, int64_t wish) {
  int64_t best = 1;
  for (int64_t divisor = 1; divisor <= number; ++divisor)
    if (number % divisor == 0 && std::llabs(divisor - wish) <= std::llabs(best - wish))
      best = divisor;
  return best;
}

bool checkHeadGroups(const LayerUse &layer, const OptionRanges &ranges, Diagnostics &diagnostics) {
  int64_t heads = layer.integer("heads"), kvHeads = layer.integer("kv_heads");
  if (heads % kvHeads == 0)
    return true;
  diagnostics.error(rangeOf(layer, ranges, "kv_heads"),
                    "heads = " + std::to_string(heads) + " is not a multiple of kv_heads = " + std::to_string(kvHeads),
                    "every group of query heads shares one key/value head: write kv_heads = " +
                        std::to_string(nearestDivisor(heads, kvHeads)));
  return false;
}

bool checkRotation(const LayerUse &layer, const OptionRanges &ranges, Diagnostics &diagnostics) {
  if (layer.numberOr("rope", 0) == 0)
    return true;
  int64_t rotary = layer.integer("rotary_dim"), headDim = layer.integer("head_dim");
  if (rotary % 2 == 0 && rotary <= headDim)
    return true;
  std::string option = ranges.contains("rotary_dim") ? "rotary_dim" : "head_dim";
  diagnostics.error(rangeOf(layer, ranges, option),
                    rotary > headDim
                        ? "rotary_dim = " + std::to_string(rotary) +
                              " is more than head_dim = " + std::to_string(headDim)
                        : "rope turns channels in pairs, but " + option + " = " + std::to_string(rotary) + " is odd",
                    rotary > headDim ? "write rotary_dim = " + std::to_string(headDim - headDim % 2)
                                     : "use an even size, or rope = none");
  return false;
}

/// A window of -1 leaves only the linear branch, where these options would do nothing.
bool checkWindowBranch(const LayerUse &layer, const OptionRanges &ranges, Diagnostics &diagnostics) {
  if (layer.integer("window") >= 0)
    return true;
  for (std::string_view option : {"qk_norm", "soft_cap"}) {
    bool isGiven = option == "qk_norm" ? layer.isOn(option) : layer.numberOr(option, 0) != 0;
    if (!isGiven)
      continue;
    diagnostics.error(rangeOf(layer, ranges, option),
                      quoted(option) + " acts on the window, but window = -1 leaves none",
                      "remove it, or write window = 0 or more");
    return false;
  }
  return true;
}

} // namespace

bool checkLayer(const LayerUse &layer, const OptionRanges &ranges, Diagnostics &diagnostics) {
  switch (layer.spec->kind) {
  case LayerKind::RAttention: {
    bool isRight = checkHeadGroups(layer, ranges, diagnostics);
    isRight &= checkRotation(layer, ranges, diagnostics);
    return checkWindowBranch(layer, ranges, diagnostics) && isRight;
  }
  case LayerKind::Attention:
  case LayerKind::LinearAttention: {
    bool isRight = checkHeadGroups(layer, ranges, diagnostics);
    return checkRotation(layer, ranges, diagnostics) && isRight;
  }
  default:
    return true;
  }
}

} // namespace oriel::frontend
