// Places blocks of memory with known lifetimes in one arena: the "dynamic storage allocation" problem, offline.
//
//   problem     blocks of `bytes`, alive at the steps [firstStep, lastStep] (both included)
//   solution    one offset per block, a multiple of 64, such that blocks alive at one step never overlap
//   objective   small high-water mark; no claim of optimality
// No MLIR here. The caller decides what a step is.
#ifndef ORIEL_COMPILER_ANALYSIS_ARENAPACKING_H
#define ORIEL_COMPILER_ANALYSIS_ARENAPACKING_H

#include <cstdint>
#include <string>
#include <vector>

namespace oriel::analysis {

struct ArenaBlock {
  int64_t bytes = 0;
  int64_t firstStep = 0;
  int64_t lastStep = 0;
};

struct ArenaLayout {
  std::vector<int64_t> offsets; // one per block, in bytes
  int64_t highWater = 0;        // bytes; a multiple of 64
};

inline constexpr int64_t arenaAlignment = 64;

/// Largest blocks first, each at the lowest offset that is free during its whole life. O(n²).
ArenaLayout packArena(const std::vector<ArenaBlock> &blocks);

/// The largest sum of bytes alive at one step: no layout has a lower high-water mark.
int64_t largestLiveBytes(const std::vector<ArenaBlock> &blocks);

/// Empty when `layout` is a solution, else what is wrong with it.
std::string verifyArena(const std::vector<ArenaBlock> &blocks, const ArenaLayout &layout);

} // namespace oriel::analysis

#endif
