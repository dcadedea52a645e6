// The life of checkpoints: commit, abort, resharding, retention, and what a crash at any point leaves.
#include "tests/unit/trainer/checkpoint/CheckpointFixture.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace oriel::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CheckpointStoreTest : public CheckpointFixture {};

TEST_F(CheckpointStoreTest, GivesBackEverythingOnAnyWorldSize) {
  for (int savedWorld : {1, 2, 4}) {
    CheckpointStore store(folder / fmt::format("c{}", savedWorld));
    absl::StatusOr<std::string> path = save(store, 500, savedWorld);
    ASSERT_TRUE(path.ok()) << path.status();
    EXPECT_THAT(*path, HasSubstr("/step-000000500"));
    for (int world : {1, 2, 4, 8}) {
      absl::StatusOr<LoadedCheckpoint> loaded = loadAll(store, world);
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      EXPECT_EQ(loaded->path, *path);
      EXPECT_EQ(loaded->info.position, 8000);
      EXPECT_EQ(loaded->info.seed, 7u);
      EXPECT_EQ(loaded->info.extra.at("tokenizer"), "byte");
      EXPECT_EQ(loaded->info.parameters, infoAt(500).parameters);
      EXPECT_THAT(loaded->skipped, IsEmpty());
    }
  }
}

TEST_F(CheckpointStoreTest, LoadsParametersAlone) {
  CheckpointStore store(folder / "c");
  ASSERT_TRUE(save(store, 3, 2).ok());
  std::vector<float> params(static_cast<size_t>(used));
  ASSERT_TRUE(store.loadNewest({{0, params, {}, {}}}).ok());
  EXPECT_EQ(params, flat(0, 3, used));
}

TEST_F(CheckpointStoreTest, BeforeTheCommitThereIsNoCheckpoint) {
  CheckpointStore store(folder / "c");
  ASSERT_TRUE(prepareAll(store, 10, 2, "t1").ok());
  EXPECT_THAT(store.steps(), IsEmpty());
  EXPECT_EQ(loadAll(store, 1).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(store.commit(infoAt(10), 2, "t1").ok());
  EXPECT_THAT(store.steps(), ElementsAre(10));
  EXPECT_EQ(readText(folder / "c/latest"), "step-000000010\n");
}

TEST_F(CheckpointStoreTest, AbortLeavesTheOlderOneAlone) {
  CheckpointStore store(folder / "c");
  ASSERT_TRUE(save(store, 10).ok());
  ASSERT_TRUE(prepareAll(store, 20, 1, "t2").ok());
  EXPECT_TRUE(store.abort(20, "t2").ok());
  EXPECT_TRUE(store.abort(20, "t2").ok()) << "twice is fine";
  EXPECT_FALSE(std::filesystem::exists(folder / "c/step-000000020.tmp-t2"));
  EXPECT_EQ(loadAll(store, 1)->info.step, 10);
}

TEST_F(CheckpointStoreTest, ACommitNeedsEveryRank) {
  CheckpointStore store(folder / "c");
  ASSERT_TRUE(prepareAll(store, 10, 2, "t1").ok());
  std::filesystem::remove(folder / "c/step-000000010.tmp-t1/shard-00001-of-00002.note");
  absl::StatusOr<std::string> path = store.commit(infoAt(10), 2, "t1");
  EXPECT_THAT(std::string(path.status().message()), HasSubstr("commit of checkpoint step 10"));
  EXPECT_THAT(std::string(path.status().message()), HasSubstr("shard-00001-of-00002.note"));
  EXPECT_THAT(store.steps(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(folder / "c/step-000000010.tmp-t1"));
}

TEST_F(CheckpointStoreTest, ACommitRefusesShardsThatDoNotFit) {
  CheckpointStore store(folder / "c");
  std::vector<float> values(100);
  ASSERT_TRUE(store.prepare(infoAt(10), {{0, values, values, values}}, 0, 1, "t1").ok());
  EXPECT_THAT(std::string(store.commit(infoAt(10), 1, "t1").status().message()),
              HasSubstr("the shards hold 100 of 5164 elements"));
  std::vector<float> shorter(50);
  EXPECT_FALSE(store.prepare(infoAt(10), {{0, values, shorter, values}}, 0, 1, "t1").ok());
  EXPECT_FALSE(store.prepare(infoAt(10), {{0, values, values, values}}, 0, 1, "../evil").ok());
  EXPECT_FALSE(store.abort(10, "a/b").ok());
}

TEST_F(CheckpointStoreTest, KeepsTheNewest) {
  CheckpointStore store(folder / "c", 2);
  for (int64_t step : {10, 20, 30, 40})
    ASSERT_TRUE(save(store, step).ok());
  EXPECT_THAT(store.steps(), ElementsAre(30, 40));
}

TEST_F(CheckpointStoreTest, NeverDeletesTheLastGoodOne) {
  CheckpointStore store(folder / "c", 3), strict(folder / "c", 1);
  for (int64_t step : {10, 20, 30})
    ASSERT_TRUE(save(store, step).ok());
  std::filesystem::resize_file(folder / "c/step-000000030/shard-00000-of-00001.safetensors", 1000);
  absl::Status status = strict.sweep();
  EXPECT_THAT(std::string(status.message()), HasSubstr("older ones are kept"));
  EXPECT_THAT(store.steps(), ElementsAre(10, 20, 30));
  ASSERT_TRUE(save(strict, 40).ok());
  EXPECT_THAT(store.steps(), ElementsAre(40)) << "once there is a good one, the rest goes";
}

TEST_F(CheckpointStoreTest, ReplacesAStepThatExists) {
  CheckpointStore store(folder / "c");
  ASSERT_TRUE(save(store, 10, 2).ok());
  std::filesystem::resize_file(folder / "c/step-000000010/shard-00000-of-00002.safetensors", 1000);
  EXPECT_EQ(loadAll(store, 1).status().code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(save(store, 10, 1).ok());
  EXPECT_EQ(loadAll(store, 1)->info.step, 10);
  EXPECT_FALSE(std::filesystem::exists(folder / "c/step-000000010/shard-00000-of-00002.safetensors"));
}

TEST_F(CheckpointStoreTest, SweepRemovesDeadTriesOnly) {
  CheckpointStore store(folder / "c");
  ASSERT_TRUE(save(store, 10).ok());
  ASSERT_TRUE(prepareAll(store, 20, 1, "dead").ok());
  std::filesystem::create_directory(folder / "c/my.tmp-notes");
  std::filesystem::create_directory(folder / "c/step-extra");
  ASSERT_TRUE(store.sweep().ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "c/step-000000020.tmp-dead"));
  EXPECT_TRUE(std::filesystem::exists(folder / "c/my.tmp-notes"));
  EXPECT_TRUE(std::filesystem::exists(folder / "c/step-extra"));
  EXPECT_THAT(store.steps(), ElementsAre(10));
  EXPECT_TRUE(CheckpointStore(folder / "nowhere").sweep().ok());
}

TEST_F(CheckpointStoreTest, RefusesAnotherModel) {
  CheckpointStore store(folder / "c");
  ASSERT_TRUE(save(store, 10).ok());
  std::vector<ParameterPlace> expected = infoAt(0).parameters;
  EXPECT_TRUE(store.loadNewest({}, &expected).ok());
  expected[2].shape = {50, 51};
  absl::Status status = store.loadNewest({}, &expected).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("parameter 2 is 'wq' [50, 50] at 2304 here and 'wq' [50, 51] at 2304"));
  expected = infoAt(0).parameters;
  expected.pop_back();
  EXPECT_THAT(std::string(store.loadNewest({}, &expected).status().message()), HasSubstr("and nothing in the model"));
}

TEST_F(CheckpointStoreTest, AFullDiskIsAnErrorAndTheOldOneStays) {
  if (::geteuid() != 0)
    GTEST_SKIP() << "needs root to mount a small tmpfs";
  std::string mount = folder / "small";
  std::filesystem::create_directory(mount);
  if (std::system(("mount -t tmpfs -o size=192k none '" + mount + "' 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << "cannot mount tmpfs here";
  CheckpointStore store(mount + "/c");
  EXPECT_TRUE(save(store, 10).ok()); // 98 KiB
  absl::StatusOr<std::string> second = save(store, 20);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kResourceExhausted) << second.status();
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("step-000000020.tmp-t1"));
  EXPECT_TRUE(store.abort(20, "t1").ok());
  absl::StatusOr<LoadedCheckpoint> loaded = loadAll(store, 1);
  EXPECT_TRUE(loaded.ok() && loaded->info.step == 10) << loaded.status();
  EXPECT_EQ(std::system(("umount '" + mount + "'").c_str()), 0);
}

} // namespace
} // namespace oriel::trainer
