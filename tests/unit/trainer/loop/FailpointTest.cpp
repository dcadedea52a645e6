// Tests that a failpoint fires at its place only.
#include "trainer/loop/Failpoint.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace oriel::trainer {
namespace {

struct FailpointTest : testing::Test {
  void TearDown() override { unsetenv("ORIEL_FAIL"); }
  void set(const char *value) { setenv("ORIEL_FAIL", value, 1); }
};

TEST_F(FailpointTest, IsSilentWithoutTheVariable) { EXPECT_TRUE(failpoint("micro", 0, 0).ok()); }

TEST_F(FailpointTest, FiresAtPhaseRankAndStep) {
  set("micro:1:7:error");
  EXPECT_TRUE(failpoint("micro", 1, 6).ok());
  EXPECT_TRUE(failpoint("micro", 0, 7).ok());
  EXPECT_TRUE(failpoint("update", 1, 7).ok());
  EXPECT_EQ(failpoint("micro", 1, 7), absl::InternalError("failpoint micro of step 7"));
}

TEST_F(FailpointTest, RefusesNonsense) {
  for (const char *text : {"micro", "micro:1:7", "micro:x:7:kill", "micro:1:y:kill", "micro:1:7:dance", "a:b:c:d:e"}) {
    set(text);
    EXPECT_TRUE(absl::IsInvalidArgument(failpoint("micro", 1, 7))) << text;
  }
}

TEST_F(FailpointTest, Kills) {
  set("commit:0:2:kill");
  EXPECT_EXIT(failpoint("commit", 0, 2).IgnoreError(), testing::KilledBySignal(SIGKILL), "");
}

} // namespace
} // namespace oriel::trainer
