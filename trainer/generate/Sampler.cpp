#include "trainer/generate/Sampler.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace oriel::trainer {
namespace {

struct Candidate {
  int32_t id;
  double weight; // the logit first, the unnormalised probability later
};

// The likeliest first; ties by id, so that the order is one.
bool likelier(const Candidate &a, const Candidate &b) {
  return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
}

uint64_t mix(uint64_t x) { // the finaliser of SplitMix64
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// Drops what top-p leaves out; weights are probabilities up to their sum, likeliest first.
void keepNucleus(std::vector<Candidate> &candidates, double topP) {
  double total = 0, kept = 0;
  for (const Candidate &candidate : candidates)
    total += candidate.weight;
  for (size_t i = 0; i < candidates.size(); ++i)
    if ((kept += candidates[i].weight) >= topP * total)
      return candidates.resize(i + 1);
}

} // namespace

double uniformDraw(uint64_t seed, uint64_t draw) { return static_cast<double>(mix(mix(seed) ^ draw) >> 11) * 0x1p-53; }

int32_t sampleToken(std::span<const float> logits, const SamplingOptions &options, uint64_t draw) {
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  for (size_t id = 0; id < logits.size(); ++id)
    if (std::isfinite(logits[id]))
      candidates.push_back({static_cast<int32_t>(id), logits[id]});
  if (candidates.empty())
    return 0;
  std::sort(candidates.begin(), candidates.end(), likelier);
  if (options.temperature <= 0)
    return candidates[0].id;
  if (options.topK > 0 && static_cast<size_t>(options.topK) < candidates.size())
    candidates.resize(options.topK);
  double best = candidates[0].weight;
  for (Candidate &candidate : candidates)
    candidate.weight = std::exp((candidate.weight - best) / options.temperature);
  if (options.topP < 1)
    keepNucleus(candidates, options.topP);
  double total = 0;
  for (const Candidate &candidate : candidates)
    total += candidate.weight;
  double left = uniformDraw(options.seed, draw) * total;
  for (const Candidate &candidate : candidates)
    if ((left -= candidate.weight) < 0)
      return candidate.id;
  return candidates.back().id;
}

} // namespace oriel::trainer
