// Tests that slots and additions walk the fixed tree, so that a sum has the same bits for every number of ranks.
#include "trainer/loop/MicroBatchTree.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace oriel::trainer {
namespace {

// What a rank does with its leaves: run micro into slots, add as the header says. Returns the rank's root.
float walk(std::span<const float> leaves, int64_t slots) {
  std::vector<float> slot(slots, NAN); // an unwritten slot would poison the sum
  for (int64_t leaf = 0; leaf < static_cast<int64_t>(leaves.size()); ++leaf) {
    int64_t s = slotOfLeaf(leaf);
    EXPECT_LT(s, slots);
    slot[s] = leaves[leaf];
    for (int64_t i = 0; i < additionsAfterLeaf(leaf); ++i)
      slot[s - 1 - i] += slot[s - i];
  }
  return slot[0];
}

float directTree(std::span<const float> leaves) {
  if (leaves.size() == 1)
    return leaves[0];
  return directTree(leaves.first(leaves.size() / 2)) + directTree(leaves.subspan(leaves.size() / 2));
}

TEST(MicroBatchTree, EveryWorldSumsToTheSameBits) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 1000);
  for (int64_t count : {1, 2, 4, 8, 16, 64}) {
    std::vector<float> leaves(count);
    for (float &leaf : leaves)
      leaf = normal(random);
    float expected = directTree(leaves);
    for (int world = 1; world <= count; world *= 2) {
      TreeShare share = *shareOfRank(count, world);
      EXPECT_EQ(share.leaves * world, count);
      std::vector<float> roots;
      for (int rank = 0; rank < world; ++rank)
        roots.push_back(walk(std::span(leaves).subspan(rank * share.leaves, share.leaves), share.slots));
      EXPECT_EQ(directTree(roots), expected) << count << " leaves on " << world << " ranks";
    }
  }
}

TEST(MicroBatchTree, NeedsOneSlotMoreThanLevels) {
  EXPECT_EQ(shareOfRank(1, 1)->slots, 1);
  EXPECT_EQ(shareOfRank(8, 1)->slots, 4);
  EXPECT_EQ(shareOfRank(8, 4)->slots, 2);
}

TEST(MicroBatchTree, RefusesWhatIsNoSubtree) {
  for (auto [leaves, world] : {std::pair(3, 1), {0, 1}, {8, 3}, {2, 4}, {4, 0}, {-4, 1}})
    EXPECT_TRUE(absl::IsInvalidArgument(shareOfRank(leaves, world).status())) << leaves << " on " << world;
}

TEST(MicroBatchTree, TreeSumTakesAnyCount) {
  EXPECT_EQ(treeSum({}), 0);
  EXPECT_EQ(treeSum(std::vector<double>{5}), 5);
  // 1e100 absorbs what is added to it directly; the tree pairs neighbours first.
  EXPECT_EQ(treeSum(std::vector<double>{1e100, -1e100, 3, 4}), 7);
  EXPECT_EQ(treeSum(std::vector<double>{1, 2, 3, 4, 5, 6, 7}), 28);
}

} // namespace
} // namespace oriel::trainer
