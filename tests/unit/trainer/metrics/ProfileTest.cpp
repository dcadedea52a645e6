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
  ASSERT_EQ(events.size(), 2u + 6u) << "names of tracks, steps";
  EXPECT_EQ(events[3]["name"], "layers.0.ffn gate_fwd");
  EXPECT_EQ(events[3]["ph"], "X");
  EXPECT_EQ(events[3]["pid"], 3);
  EXPECT_NEAR(events[3]["ts"], 3e5, 1);
  EXPECT_NEAR(events[3]["dur"], 1e5, 1);
}

/// 0.4 s of collectives: 0.1 beside one step, 0.1 beside the next, 0.2 while a step waits.
Profile withCollectives() {
  using Kind = ProfiledStep::Kind;
  Profile profile;
  profile.add({"last_micro", "layers.1", "gemm", 10.0, 10.3, 0});
  profile.add({"last_micro", "layers.0", "norm", 10.3, 10.4, 0});
  profile.add({"update", "", "adamw", 10.4, 10.6, 0, Kind::Waiting});
  profile.add({"last_micro", "grads", "reduce_scatter_tree", 10.2, 10.6, 0, Kind::Beside});
  profile.add({"update", "", "adamw", 10.6, 10.7, 0});
  return profile;
}

TEST(Profile, TellsHowMuchOfCollectivesIsHidden) {
  std::string table = withCollectives().table(1, 1e9);
  EXPECT_THAT(table, testing::StartsWith("700.0 ms in the executor per training step, mean of 1\n"));
  EXPECT_THAT(table, testing::HasSubstr("   200.000   28.6 %     1.0        -       -  wait before adamw\n"));
  EXPECT_THAT(table, testing::HasSubstr("400.0 ms in collectives beside them, 200.0 of it (50 %) while steps ran\n"));
  EXPECT_THAT(table, testing::EndsWith("   400.000  100.0 %     1.0        -       -  reduce_scatter_tree\n"));
}

TEST(Profile, CollectivesHaveATrackOfTheirOwn) {
  TemporaryFolder folder;
  ASSERT_TRUE(withCollectives().writeTrace(folder / "trace.json", 0).ok());
  auto events = nlohmann::json::parse(readText(folder / "trace.json"))["traceEvents"];
  for (const auto &event : events)
    if (event["ph"] == "X") {
      EXPECT_EQ(event["tid"], event["name"] == "grads reduce_scatter_tree" ? 1 : 0) << event;
    }
}

TEST(Profile, EmptyProfile) {
  EXPECT_TRUE(Profile().empty());
  EXPECT_THAT(Profile().table(1, 1e9), testing::StartsWith("0.0 ms"));
}

} // namespace
} // namespace oriel::trainer
