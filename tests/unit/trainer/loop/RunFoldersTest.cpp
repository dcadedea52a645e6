// Tests that a run's folders are judged before anything is written to them.
#include "trainer/loop/RunFolders.h"
#include "tests/unit/trainer/TemporaryFolder.h"
#include "trainer/config/JobConfig.h"
#include "trainer/loop/RunLock.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace oriel::trainer {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

struct RunFoldersTest : testing::Test {
  TemporaryFolder folder;
  Job job;

  void SetUp() override { job.set_run_dir(folder / "deep/run"); }
  absl::Status check() const { return checkRunFolders(job, CheckpointStore(checkpointDir(job))); }
  std::string error() const { return std::string(check().message()); }
};

TEST_F(RunFoldersTest, MayBeAbsentAndStaySo) {
  EXPECT_TRUE(check().ok()) << check();
  EXPECT_TRUE(fs::is_empty(folder.path()));
  fs::create_directories(job.run_dir());
  EXPECT_TRUE(check().ok()) << check();
  EXPECT_TRUE(fs::is_empty(job.run_dir()));
}

TEST_F(RunFoldersTest, AFileIsNoFolderNorHasOneBelow) {
  writeText(folder / "file", "");
  for (const char *name : {"file", "file/a/b"}) {
    const std::string expected = folder / "file" + " is no folder; name another folder";
    job.set_run_dir(folder / name);
    EXPECT_EQ(error(), fmt::format("run_dir: {}", expected));
    job.set_run_dir(folder / "run");
    job.mutable_checkpoint()->set_dir(folder / name);
    EXPECT_EQ(error(), fmt::format("checkpoint.dir: {}", expected));
    job.clear_checkpoint();
    job.mutable_metrics()->set_dir(folder / name);
    EXPECT_EQ(error(), fmt::format("metrics.dir: {}", expected));
    job.clear_metrics();
  }
}

TEST_F(RunFoldersTest, MustBeWritable) {
  fs::create_directory(folder / "deep");
  fs::permissions(folder.path(), fs::perms::all);
  fs::permissions(folder / "deep", fs::perms(0555));
  const bool root = ::geteuid() == 0; // whom no permission stops
  ASSERT_TRUE(!root || ::seteuid(65534) == 0);
  const std::string told = error();
  ASSERT_TRUE(!root || ::seteuid(0) == 0);
  EXPECT_EQ(told, fmt::format("run_dir: cannot write to {}: Permission denied; name another folder", folder / "deep"));
}

TEST_F(RunFoldersTest, AreOfOneRun) {
  absl::StatusOr<RunLock> other = RunLock::take(job.run_dir());
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_THAT(error(), StartsWith(fmt::format("run_dir: {} is in use by another run", job.run_dir())));
  other = RunLock();
  EXPECT_TRUE(check().ok()) << check();
  fs::create_directories(job.run_dir() + "/checkpoints/step-000000007");
  EXPECT_TRUE(check().ok()) << "it goes on from there: " << check();
  job.mutable_training()->set_resume(false);
  EXPECT_THAT(error(), HasSubstr("holds checkpoints of an earlier run (the newest: step 7)"));
}

} // namespace
} // namespace oriel::trainer
