// Text from a model: the `logits` entry point over the last T tokens, recomputed for every new token. (Decoding with a
// carried state is not here yet.)
#pragma once

#include "trainer/generate/Sampler.h"
#include "trainer/state/ModelState.h"

#include <functional>
#include <vector>

namespace oriel::trainer {

/// Continues `prompt` (at least one id) by up to `count` tokens and returns the new ones. Ends early after
/// `endOfDocument`. Only ids below `vocab` are drawn. `onToken` (may be empty) is called with each new token. The first
/// row of the plan's batch is used.
absl::StatusOr<std::vector<int32_t>> generate(ModelState &state, std::span<const int32_t> prompt, int64_t count,
                                              const SamplingOptions &options, int32_t vocab, int32_t endOfDocument,
                                              const std::function<void(int32_t)> &onToken);

} // namespace oriel::trainer
