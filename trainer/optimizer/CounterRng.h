// Random numbers addressed by (key, counter): Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2,
// 3", SC 2011). There is no state to save or to share, so any rank can make any part of a sequence.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace oriel::trainer {

/// Four random words for a counter.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// A key out of a seed and a name.
uint64_t rngKey(uint64_t seed, std::string_view name);

/// Sequence of standard normal numbers; element i is a function of (key, i).
class NormalSequence {
public:
  explicit NormalSequence(uint64_t key) : key_(key) {}
  /// The four elements 4*block … 4*block+3 (Box-Muller on the four words of one counter).
  std::array<float, 4> block(uint64_t block) const;

private:
  uint64_t key_;
};

/// A sequence of words for sampling (drop-in for a generator with a position that one can store).
class CounterRng {
public:
  explicit CounterRng(uint64_t key, uint64_t position = 0) : key_(key), position_(position) {}
  uint32_t next();
  /// Uniform in [0, 1).
  double uniform();
  uint64_t position() const { return position_; }

private:
  uint64_t key_, position_;
};

} // namespace oriel::trainer
