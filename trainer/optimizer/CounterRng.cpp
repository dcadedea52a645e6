// Philox4x32-10 and what is derived from it.
#include "trainer/optimizer/CounterRng.h"

#include <cmath>
#include <numbers>
#include <xxhash.h>

namespace oriel::trainer {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  // Multipliers and Weyl increments of the paper, table 2.
  constexpr uint64_t multiplier0 = 0xD2511F53, multiplier1 = 0xCD9E8D57;
  constexpr uint32_t weyl0 = 0x9E3779B9, weyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    uint64_t product0 = multiplier0 * counter[0], product1 = multiplier1 * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += weyl0;
    key[1] += weyl1;
  }
  return counter;
}

uint64_t rngKey(uint64_t seed, std::string_view name) { return XXH3_64bits_withSeed(name.data(), name.size(), seed); }

namespace {

std::array<uint32_t, 4> words(uint64_t key, uint64_t block) {
  return philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0},
                {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)});
}

} // namespace

std::array<float, 4> NormalSequence::block(uint64_t block) const {
  std::array<uint32_t, 4> bits = words(key_, block);
  std::array<float, 4> normals;
  for (int pair = 0; pair < 2; ++pair) {
    double u = (bits[2 * pair] + 0.5) * 0x1p-32; // never 0, so that the logarithm is finite
    double angle = 2 * std::numbers::pi * (bits[2 * pair + 1] * 0x1p-32);
    double radius = std::sqrt(-2 * std::log(u));
    normals[2 * pair] = static_cast<float>(radius * std::cos(angle));
    normals[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return normals;
}

uint32_t CounterRng::next() {
  uint32_t word = words(key_, position_ / 4)[position_ % 4];
  ++position_;
  return word;
}

double CounterRng::uniform() { return next() * 0x1p-32; }

} // namespace oriel::trainer
