// Tests that the clock goes with its source, except where nobody read it for long.
#include "runtime/base/AwakeClock.h"

#include <gtest/gtest.h>

namespace oriel::runtime {
namespace {

using namespace std::chrono_literals;

TEST(AwakeClock, PassesOverAbsences) {
  AwakeClock::Steady::time_point source{100s};
  AwakeClock clock([&] { return source; });
  AwakeClock::Steady::time_point start = clock.now();
  source += 3s;
  EXPECT_EQ(clock.now() - start, 3s);
  source += 5s;
  EXPECT_EQ(clock.now() - start, 8s);
  source += 3600s;
  EXPECT_EQ(clock.now() - start, 16s) << "of an hour, what may lie between two readings";
  source += 1s;
  EXPECT_EQ(clock.now() - start, 17s);
  EXPECT_EQ(clock.now() - start, 17s);
}

TEST(AwakeDeadline, LeavesPeersTheRestOfTheirTimeAfterAnAbsence) {
  AwakeClock::Steady::time_point source{100s};
  AwakeDeadline deadline(Deadline::after(60), [&] { return source; });
  for (int i = 0; i < 10; ++i, source += 5s)
    EXPECT_FALSE(deadline.expired()) << i;
  source += 3600s;
  EXPECT_FALSE(deadline.expired()) << "53 of 60 s";
  source += 7500ms;
  EXPECT_TRUE(deadline.expired());
}

} // namespace
} // namespace oriel::runtime
