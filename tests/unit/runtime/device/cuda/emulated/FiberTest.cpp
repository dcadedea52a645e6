#include "runtime/device/cuda/emulated/Fiber.h"

#include "gtest/gtest.h"

#include <vector>

namespace oriel::runtime::emulated {
namespace {

struct Counter {
  Fiber fiber;
  int steps = 0;
  double kept = 0;
};

void countToThree(void *argument) {
  auto *counter = static_cast<Counter *>(argument);
  double local = 0.5; // lives in a register or on the fiber's stack across suspensions
  for (int i = 0; i < 3; ++i) {
    ++counter->steps;
    local *= 2;
    counter->fiber.suspend();
  }
  counter->kept = local;
}

TEST(Fiber, SuspendsAndGoesOnWhereItWas) {
  Counter counter;
  counter.fiber.start(countToThree, &counter);
  for (int i = 1; i <= 3; ++i) {
    counter.fiber.resume();
    EXPECT_EQ(counter.steps, i);
    EXPECT_FALSE(counter.fiber.finished());
  }
  counter.fiber.resume();
  EXPECT_TRUE(counter.fiber.finished());
  EXPECT_EQ(counter.kept, 4.0);
}

TEST(Fiber, StartsAnewAfterItsEndAndAfterBeingLeftInTheMiddle) {
  Counter counter;
  for (int round = 0; round < 3; ++round) {
    counter.steps = 0;
    counter.fiber.start(countToThree, &counter);
    counter.fiber.resume();
    counter.fiber.resume();
    EXPECT_EQ(counter.steps, 2);
  }
}

TEST(Fiber, ManyAreInterleaved) {
  std::vector<Counter> counters(100);
  for (Counter &counter : counters)
    counter.fiber.start(countToThree, &counter);
  for (int i = 0; i < 4; ++i)
    for (Counter &counter : counters)
      counter.fiber.resume();
  for (Counter &counter : counters)
    EXPECT_EQ(counter.kept, 4.0);
}

/// Uses a page of stack per level: 100 levels.
void overflowStack(void *argument) {
  volatile char page[4096];
  page[0] = 0;
  int level = *static_cast<int *>(argument) + 1;
  if (level < 100)
    overflowStack(&level);
  page[1] = page[0];
}

TEST(FiberDeathTest, ABodyThatNeedsMoreStackEndsTheProcess) {
  int zero = 0;
  EXPECT_DEATH(
      {
        Fiber fiber(16 * 1024);
        fiber.start(overflowStack, &zero);
        fiber.resume();
      },
      "");
}

} // namespace
} // namespace oriel::runtime::emulated
