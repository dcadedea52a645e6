// Tests that the watchdog barks at silence and at bad health, and at nothing else.
#include "trainer/loop/Watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace oriel::trainer {
namespace {

using namespace std::chrono_literals;

struct Barks {
  std::promise<absl::Status> reason;
  std::future<absl::Status> heard = reason.get_future();
  std::function<void(const absl::Status &)> trip = [this](const absl::Status &status) { reason.set_value(status); };
};

const auto kHealthy = [] { return absl::OkStatus(); };

TEST(Watchdog, BarksWhenThereIsNoBeat) {
  Barks barks;
  Watchdog dog({.silenceSeconds = 0.2, .timesLongest = 0, .pollSeconds = 0.01}, kHealthy, barks.trip);
  dog.beat("micro", 41);
  ASSERT_EQ(barks.heard.wait_for(10s), std::future_status::ready);
  absl::Status reason = barks.heard.get();
  EXPECT_TRUE(absl::IsDeadlineExceeded(reason));
  EXPECT_NE(reason.message().find("step 41: no progress in phase 'micro'"), std::string::npos) << reason;
}

TEST(Watchdog, StaysQuietWhileThereAreBeats) {
  Barks barks;
  Watchdog dog({.silenceSeconds = 1.0, .timesLongest = 0, .pollSeconds = 0.01}, kHealthy, barks.trip);
  for (int i = 0; i < 30; ++i) {
    dog.beat("micro", i);
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(barks.heard.wait_for(0s), std::future_status::timeout);
}

TEST(Watchdog, LongPhasesMakeItPatient) {
  Barks barks;
  Watchdog dog({.silenceSeconds = 0.05, .timesLongest = 1000, .pollSeconds = 0.5}, kHealthy, barks.trip);
  std::this_thread::sleep_for(20ms);
  dog.beat("micro", 1); // 20 ms is now a known span: 20 s of silence are allowed
  EXPECT_EQ(barks.heard.wait_for(1200ms), std::future_status::timeout);
}

TEST(Watchdog, BarksAtBadHealthAfterTheGrace) {
  Barks barks;
  std::atomic<bool> sick{false};
  auto health = [&] { return sick ? absl::AbortedError("rank 2 missed its heartbeats") : absl::OkStatus(); };
  Watchdog dog({.silenceSeconds = 100, .healthGraceSeconds = 0.1, .pollSeconds = 0.01}, health, barks.trip);
  EXPECT_EQ(barks.heard.wait_for(200ms), std::future_status::timeout);
  sick = true;
  ASSERT_EQ(barks.heard.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(barks.heard.get(), absl::AbortedError("rank 2 missed its heartbeats"));
}

TEST(Watchdog, ForgivesARankThatLeavesByItself) {
  Barks barks;
  {
    Watchdog dog(
        {.silenceSeconds = 100, .healthGraceSeconds = 5, .pollSeconds = 0.01},
        [] { return absl::AbortedError("gone"); }, barks.trip);
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(barks.heard.wait_for(0s), std::future_status::timeout);
}

} // namespace
} // namespace oriel::trainer
