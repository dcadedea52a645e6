// Tests that a run folder has one owner at a time and that a dead owner does not matter.
#include "trainer/loop/RunLock.h"
#include "tests/unit/trainer/TemporaryFolder.h"

#include <gtest/gtest.h>

namespace oriel::trainer {
namespace {

TEST(RunLock, HasOneOwner) {
  TemporaryFolder folder;
  std::string run = folder / "deep/run";
  {
    absl::StatusOr<RunLock> first = RunLock::take(run);
    ASSERT_TRUE(first.ok()) << first.status();
    absl::Status second = RunLock::take(run).status();
    EXPECT_TRUE(absl::IsAlreadyExists(second));
    EXPECT_NE(second.message().find(std::to_string(getpid())), std::string::npos) << second;
    EXPECT_NE(second.message().find("or name another run_dir"), std::string::npos) << second;
    RunLock moved = *std::move(first);
    EXPECT_TRUE(absl::IsAlreadyExists(RunLock::take(run).status())) << "moving keeps it";
  }
  EXPECT_TRUE(RunLock::take(run).ok()) << "the file stays, the lock does not";
}

TEST(RunLock, LooksWithoutTouching) {
  TemporaryFolder folder;
  std::string run = folder / "run";
  EXPECT_TRUE(RunLock::check(run).ok());
  EXPECT_FALSE(std::filesystem::exists(run));
  {
    absl::StatusOr<RunLock> lock = RunLock::take(run);
    ASSERT_TRUE(lock.ok()) << lock.status();
    EXPECT_EQ(RunLock::check(run), RunLock::take(run).status());
    EXPECT_TRUE(absl::IsAlreadyExists(RunLock::check(run)));
  }
  EXPECT_TRUE(RunLock::check(run).ok());
  EXPECT_TRUE(RunLock::take(run).ok()) << "looking keeps nothing";
}

TEST(RunLock, DoesNotFollowALink) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "run");
  std::filesystem::create_symlink(folder / "victim", folder / "run/lock");
  EXPECT_FALSE(RunLock::take(folder / "run").ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "victim"));
}

} // namespace
} // namespace oriel::trainer
