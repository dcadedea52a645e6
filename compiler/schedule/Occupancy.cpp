#include "compiler/schedule/Occupancy.h"

#include <algorithm>

namespace oriel::schedule {
namespace {

constexpr int64_t warpThreads = 32, registerPiece = 256, parts = 4, systemBytes = 1024, sharedPiece = 128;

int64_t roundUp(int64_t n, int64_t piece) { return (n + piece - 1) / piece * piece; }

} // namespace

int64_t warpsOf(const BlockNeeds &block) {
  return roundUp(std::max<int64_t>(block.threads, 1), warpThreads) / warpThreads;
}

Occupancy occupancyOf(const MultiprocessorLimits &limits, const BlockNeeds &block) {
  int64_t warps = warpsOf(block);
  int64_t blocks = std::min(limits.blocks, limits.threads / (warps * warpThreads));
  if (block.registers > 0) {
    int64_t ofWarp = roundUp(block.registers * warpThreads, registerPiece);
    int64_t warpsByRegisters = limits.registers / ofWarp / parts * parts;
    blocks = std::min(blocks, warpsByRegisters / warps);
  }
  blocks = std::min(blocks, limits.sharedBytes / (roundUp(block.sharedBytes, sharedPiece) + systemBytes));
  return {blocks, static_cast<double>(blocks * warps * warpThreads) / static_cast<double>(limits.threads)};
}

} // namespace oriel::schedule
