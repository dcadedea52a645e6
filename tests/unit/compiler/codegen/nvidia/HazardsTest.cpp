// Where a barrier and a wait are asked for, and where not.
#include "compiler/codegen/nvidia/Hazards.h"

#include "gtest/gtest.h"

namespace oriel::codegen::nvidia {
namespace {

const Resource low{0, 0, 64}, high{0, 64, 128}, across{0, 32, 96}, buffer{1};

void write(Hazards &hazards, const Resource &resource) {
  hazards.beforeWrite(resource);
  hazards.addWrite(resource);
}
void read(Hazards &hazards, const Resource &resource) {
  hazards.beforeRead(resource);
  hazards.addRead(resource);
}

TEST(Hazards, AReadOfWhatWasWrittenNeedsABarrierOnce) {
  Hazards hazards;
  write(hazards, low);
  EXPECT_FALSE(hazards.beforeRead(high).barrier);
  EXPECT_TRUE(hazards.beforeRead(across).barrier);
  EXPECT_FALSE(hazards.beforeRead(low).barrier); // the barrier ordered it too
}

TEST(Hazards, AWriteOfWhatWasReadNeedsABarrier) {
  Hazards hazards;
  read(hazards, low);
  EXPECT_FALSE(hazards.beforeRead(low).barrier);
  EXPECT_FALSE(hazards.beforeWrite(high).barrier);
  EXPECT_TRUE(hazards.beforeWrite(low).barrier);
}

TEST(Hazards, BuffersAndSharedMemoryAreApart) {
  Hazards hazards;
  write(hazards, buffer);
  EXPECT_FALSE(hazards.beforeRead(Resource{2}).barrier);
  EXPECT_FALSE(hazards.beforeRead(low).barrier);
  EXPECT_TRUE(hazards.beforeRead(buffer).barrier);
}

TEST(Hazards, ACopyIsWaitedForWithTheOlderOnes) {
  Hazards hazards;
  hazards.startCopy(buffer, low);
  hazards.startCopy(buffer, high);
  hazards.startCopy(buffer, {0, 128, 192});
  Ordering ordering = hazards.beforeRead(high);
  EXPECT_TRUE(ordering.barrier);
  EXPECT_EQ(ordering.waitGroups, 1); // the newest stays in flight
  EXPECT_EQ(hazards.beforeRead(low).waitGroups, -1);
  EXPECT_EQ(hazards.beforeRead({0, 128, 192}).waitGroups, 0);
  EXPECT_TRUE(hazards.isClear());
}

TEST(Hazards, AWriteOfWhatACopyStillReadsWaits) {
  Hazards hazards;
  hazards.startCopy(buffer, low);
  EXPECT_EQ(hazards.beforeRead(buffer).waitGroups, -1);
  EXPECT_EQ(hazards.beforeWrite(buffer).waitGroups, 0);
}

TEST(Hazards, AWriteOfWhatAProductReadsWaitsForItAndTheOlderOnes) {
  Hazards hazards;
  for (const Resource &operand : {low, across, buffer})
    hazards.startProduct(operand);
  EXPECT_EQ(hazards.beforeRead(low).products, -1);
  Ordering ordering = hazards.beforeWrite(high); // what the second reads
  EXPECT_EQ(ordering.products, 1);
  EXPECT_TRUE(ordering.barrier); // other threads' products read it too
  EXPECT_EQ(hazards.beforeWrite(low).products, -1);
  EXPECT_FALSE(hazards.beforeWrite(low).barrier); // the barrier came after all waits
}

TEST(Hazards, AProductThatWasWaitedForHasRead) {
  Hazards hazards;
  hazards.startProduct(low);
  hazards.finishProducts(1);
  Ordering ordering = hazards.beforeWrite(low);
  EXPECT_EQ(ordering.products, -1);
  EXPECT_TRUE(ordering.barrier);
}

TEST(Hazards, WaysThatMeetKeepWhatEitherDid) {
  Hazards before, then, otherwise;
  write(then, low);
  read(otherwise, high);
  before.mergeWith(then);
  before.mergeWith(otherwise);
  EXPECT_TRUE(Hazards(before).beforeRead(low).barrier);
  EXPECT_TRUE(Hazards(before).beforeWrite(high).barrier);
}

TEST(Hazards, ABranchEndsWithItsOwnCopiesLanded) {
  Hazards before, branch;
  EXPECT_EQ(branch.beforeLeavingBranch(before).waitGroups, -1);
  branch.startCopy(buffer, low);
  EXPECT_EQ(branch.beforeLeavingBranch(before).waitGroups, 0);
  EXPECT_TRUE(branch.beforeRead(low).barrier); // other threads' copies
}

} // namespace
} // namespace oriel::codegen::nvidia
