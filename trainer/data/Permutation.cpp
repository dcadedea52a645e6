// Six Feistel rounds with a 64-bit finaliser as round function.
#include "trainer/data/Permutation.h"

#include <bit>

namespace oriel::trainer {
namespace {

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every input bit changes every output bit.
uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

} // namespace

Permutation::Permutation(int64_t size, uint64_t key)
    : size_(static_cast<uint64_t>(size)), key_(mix(key)), halfBits_((std::bit_width(size_ - 1) + 1) / 2) {}

uint64_t Permutation::encrypt(uint64_t value) const {
  const uint64_t mask = (uint64_t(1) << halfBits_) - 1;
  uint64_t left = value >> halfBits_, right = value & mask;
  for (uint64_t round = 0; round < 6; ++round) {
    uint64_t next = left ^ (mix(key_ ^ mix(right + (round << 48))) & mask);
    left = right;
    right = next;
  }
  return left << halfBits_ | right;
}

int64_t Permutation::operator()(int64_t index) const {
  // The orbit of a value inside comes back to it, so the walk ends.
  uint64_t value = encrypt(static_cast<uint64_t>(index));
  while (value >= size_)
    value = encrypt(value);
  return static_cast<int64_t>(value);
}

} // namespace oriel::trainer
