// A pseudo-random bijection of {0 … size-1} that is computed, not stored: a Feistel network on the next even number of
// bits, walked along its cycle until it lands inside (Black and Rogaway, "Ciphers with arbitrary finite domains",
// 2002).
#pragma once

#include <cstdint>

namespace oriel::trainer {

class Permutation {
public:
  /// size >= 1. Equal keys give equal permutations.
  Permutation(int64_t size, uint64_t key);
  /// 0 <= index < size. Fewer than four rounds of the network on average.
  int64_t operator()(int64_t index) const;

private:
  uint64_t encrypt(uint64_t value) const;

  uint64_t size_, key_;
  int halfBits_;
};

} // namespace oriel::trainer
