// Sums of a profile, and the trace that Perfetto reads.
#include "trainer/metrics/Profile.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <nlohmann/json.hpp>

namespace oriel::trainer {
namespace {

Profile twoSteps() {
  Profile profile;
  for (double t : {100.0, 101.0}) {
    profile.add({"micro", "layers.0.ffn", "gemm 8x8x8 NT", t, t + 0.3, 3e9});
    profile.add({"micro", "layers.0.ffn", "gate_fwd", t + 0.3, t + 0.4, 0});
    profile.add({"update", "", "adamw", t + 0.4, t + 0.5, 0});
  }
  return profile;
}

TEST(Profile, SumsByKernelAndByLayer) {
  std::string table = twoSteps().table(2, 20e9);
  EXPECT_THAT(table, testing::StartsWith("500.0 ms in the executor per training step, mean of 2\n"));
  EXPECT_THAT(table, testing::HasSubstr("   300.000   60.0 %     1.0     10.0  50.0 %  gemm 8x8x8 NT\n"));
  EXPECT_THAT(table, testing::HasSubstr("   100.000   20.0 %     1.0        -       -  adamw\n"));
  EXPECT_THAT(table, testing::HasSubstr("   400.000   80.0 %     2.0      7.5  37.5 %  micro layers.0.ffn\n"));
}

TEST(Profile, WritesATrace) {
  TemporaryFolder folder;
  ASSERT_TRUE(twoSteps().writeTrace(folder / "trace.json", 3).ok());
  auto events = nlohmann::json::parse(readText(folder / "trace.json"))["traceEvents"];
  ASSERT_EQ(events.size(), 6u);
  EXPECT_EQ(events[1]["name"], "layers.0.ffn gate_fwd");
  EXPECT_EQ(events[1]["ph"], "X");
  EXPECT_EQ(events[1]["pid"], 3);
  EXPECT_NEAR(events[1]["ts"], 3e5, 1);
  EXPECT_NEAR(events[1]["dur"], 1e5, 1);
}

TEST(Profile, EmptyProfile) {
  EXPECT_TRUE(Profile().empty());
  EXPECT_THAT(Profile().table(1, 1e9), testing::StartsWith("0.0 ms"));
}

} // namespace
} // namespace oriel::trainer
