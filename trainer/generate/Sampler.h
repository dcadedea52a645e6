// From logits to a token: temperature, top-k, top-p. A pure function of the logits and of (seed, draw), so a sample can
// be repeated.
#pragma once

#include <cstdint>
#include <span>

namespace oriel::trainer {

struct SamplingOptions {
  double temperature = 0.8; // 0: the likeliest token always
  int64_t topK = 0;         // 0: all tokens
  double topP = 1.0;        // the smallest set of likeliest tokens with at least this probability
  uint64_t seed = 1;
};

/// Draw number `draw` from the logits. Equal logits are ordered by id. Logits that are not finite are never drawn
/// unless all are; then the first id is.
int32_t sampleToken(std::span<const float> logits, const SamplingOptions &options, uint64_t draw);

/// Uniform in [0, 1), a function of its arguments alone.
double uniformDraw(uint64_t seed, uint64_t draw);

} // namespace oriel::trainer
