// Buffer places never overlap while their blocks are alive: on random programs, with an independent check.
#include "compiler/analysis/ArenaPacking.h"

#include "gtest/gtest.h"

#include <random>

namespace oriel::analysis {
namespace {

std::vector<ArenaBlock> randomBlocks(std::mt19937 &rng, int64_t count, int64_t steps) {
  std::uniform_int_distribution<int64_t> step(0, steps - 1), bytes(0, 5000);
  std::vector<ArenaBlock> blocks;
  for (int64_t i = 0; i < count; ++i) {
    int64_t a = step(rng), b = step(rng);
    blocks.push_back({bytes(rng), std::min(a, b), std::max(a, b)});
  }
  return blocks;
}

/// Paints every block, step by step, on a map of the arena; a byte painted twice at one step is an overlap.
bool paintsCleanly(const std::vector<ArenaBlock> &blocks, const ArenaLayout &layout, int64_t steps) {
  for (int64_t step = 0; step < steps; ++step) {
    std::vector<bool> arena(static_cast<size_t>(layout.highWater));
    for (size_t i = 0; i < blocks.size(); ++i) {
      if (step < blocks[i].firstStep || step > blocks[i].lastStep)
        continue;
      for (int64_t at = layout.offsets[i]; at < layout.offsets[i] + blocks[i].bytes; ++at) {
        if (at >= layout.highWater || arena[static_cast<size_t>(at)])
          return false;
        arena[static_cast<size_t>(at)] = true;
      }
    }
  }
  return true;
}

TEST(ArenaPacking, RandomProgramsNeverOverlap) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 rng(seed);
    std::vector<ArenaBlock> blocks = randomBlocks(rng, 1 + seed % 40, 12);
    ArenaLayout layout = packArena(blocks);
    EXPECT_EQ(verifyArena(blocks, layout), "") << "seed " << seed;
    EXPECT_TRUE(paintsCleanly(blocks, layout, 12)) << "seed " << seed;
    EXPECT_GE(layout.highWater, largestLiveBytes(blocks)) << "seed " << seed;
  }
}

TEST(ArenaPacking, ReusesDeadMemory) {
  // A chain: each block is needed by the next step only, so two blocks' worth of memory is enough.
  std::vector<ArenaBlock> chain;
  for (int64_t step = 0; step < 10; ++step)
    chain.push_back({640, step, step + 1});
  EXPECT_EQ(packArena(chain).highWater, 1280);
  EXPECT_EQ(largestLiveBytes(chain), 1280);
}

TEST(ArenaPacking, IsTheSameOnEveryRun) {
  std::mt19937 rng(7);
  std::vector<ArenaBlock> blocks = randomBlocks(rng, 100, 30);
  EXPECT_EQ(packArena(blocks).offsets, packArena(blocks).offsets);
}

TEST(ArenaPacking, VerifierNamesTheFault) {
  std::vector<ArenaBlock> blocks = {{128, 0, 2}, {128, 1, 3}};
  EXPECT_EQ(verifyArena(blocks, {{0, 128}, 256}), "");
  EXPECT_NE(verifyArena(blocks, {{0, 64}, 256}).find("overlap"), std::string::npos);
  EXPECT_NE(verifyArena(blocks, {{0, 100}, 256}).find("multiple of 64"), std::string::npos);
  EXPECT_NE(verifyArena(blocks, {{0, 192}, 256}).find("high-water"), std::string::npos);
  EXPECT_NE(verifyArena(blocks, {{0}, 256}).find("offsets"), std::string::npos);
}

} // namespace
} // namespace oriel::analysis
