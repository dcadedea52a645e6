// Ranks own the same share of every bucket, and everything together.
#include "trainer/state/OwnedRanges.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::trainer {
namespace {

using ::testing::ElementsAre;

plan::Plan planOf(uint64_t elements, std::vector<uint64_t> starts) {
  plan::Plan plan;
  plan.set_parameter_elements(elements);
  plan.mutable_bucket_starts()->Add(starts.begin(), starts.end());
  return plan;
}

TEST(OwnedRanges, OfOneBucketAreSlices) {
  EXPECT_THAT(ownedRanges(planOf(4096, {}), 0, 1), ElementsAre(ElementRange{0, 4096}));
  EXPECT_THAT(ownedRanges(planOf(4096, {}), 3, 4), ElementsAre(ElementRange{3072, 1024}));
}

TEST(OwnedRanges, AreAShareOfEveryBucket) {
  EXPECT_THAT(ownedRanges(planOf(4096, {0, 1024}), 1, 2), ElementsAre(ElementRange{512, 512}, ElementRange{2560, 1536}));
}

TEST(OwnedRanges, OfAllRanksAreTheWhole) {
  plan::Plan plan = planOf(8192, {0, 1024, 4096, 6144});
  for (int world : {1, 2, 4}) {
    std::vector<int> owners(8192);
    for (int rank = 0; rank < world; ++rank)
      for (const ElementRange &range : ownedRanges(plan, rank, world))
        for (int64_t i = range.first; i < range.first + range.count; ++i)
          ++owners[static_cast<size_t>(i)];
    EXPECT_THAT(owners, ::testing::Each(1)) << world;
  }
}

} // namespace
} // namespace oriel::trainer
