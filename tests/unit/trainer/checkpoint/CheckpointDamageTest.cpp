// Every torn or flipped file of a checkpoint is found and named, and the older checkpoint is used.
#include "tests/unit/trainer/checkpoint/CheckpointFixture.h"

namespace oriel::trainer {
namespace {

using testing::HasSubstr;

class CheckpointDamageTest : public CheckpointFixture {
protected:
  void SetUp() override {
    ASSERT_TRUE(save(store, 10, 2).ok());
    ASSERT_TRUE(save(store, 20, 2).ok());
  }
  std::string newest(const std::string &file) { return folder / ("c/step-000000020/" + file); }
  /// Damages a file, expects the fallback to step 10, puts the file back, and returns the reason.
  std::string reasonFor(const std::string &file, const std::string &damaged) {
    const std::string good = readText(newest(file));
    EXPECT_NE(damaged, good);
    writeText(newest(file), damaged);
    absl::StatusOr<LoadedCheckpoint> loaded = store.loadNewest({});
    writeText(newest(file), good);
    if (!loaded.ok() || loaded->info.step != 10 || loaded->skipped.size() != 1)
      return "not detected";
    EXPECT_THAT(loaded->skipped[0], HasSubstr(file));
    return loaded->skipped[0];
  }
  static std::string flipped(std::string bytes, size_t bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    return bytes;
  }
  CheckpointStore store{folder / "c"};
};

TEST_F(CheckpointDamageTest, TruncationIsNamedWithItsOffset) {
  for (const char *file : {"shard-00000-of-00002.safetensors", "shard-00001-of-00002.safetensors"}) {
    const std::string good = readText(newest(file));
    for (size_t length : {size_t(0), size_t(5), size_t(100), good.size() / 2, good.size() - 1})
      EXPECT_THAT(reasonFor(file, good.substr(0, length)), HasSubstr("truncated at offset " + std::to_string(length)));
    EXPECT_THAT(reasonFor(file, good + "x"), HasSubstr("too long"));
  }
  const std::string manifest = readText(newest("manifest.json"));
  for (size_t length = 0; length < manifest.size(); length += 13)
    EXPECT_THAT(reasonFor("manifest.json", manifest.substr(0, length)), HasSubstr("truncated, or not a manifest"));
}

TEST_F(CheckpointDamageTest, EveryFlipOfTheManifestIsFound) {
  const std::string manifest = readText(newest("manifest.json"));
  for (size_t bit = 0; bit < manifest.size() * 8; bit += 7)
    EXPECT_NE(reasonFor("manifest.json", flipped(manifest, bit)), "not detected") << "bit " << bit;
}

TEST_F(CheckpointDamageTest, AFlippedBitIsTracedToItsTensor) {
  const std::string file = "shard-00001-of-00002.safetensors", good = readText(newest(file));
  const size_t data = good.size() - 3 * paddedLength(2) / 2 * sizeof(float), first = 512 * sizeof(float);
  EXPECT_THAT(reasonFor(file, flipped(good, (data + 17) * 8)), HasSubstr("tensor 'params@512'"));
  EXPECT_THAT(reasonFor(file, flipped(good, (data + first) * 8 + 3)), HasSubstr("tensor 'adam_m@512'"));
  EXPECT_THAT(reasonFor(file, flipped(good, good.size() * 8 - 1)), HasSubstr("tensor 'adam_v@4608'"));
  for (size_t bit = 0; bit < good.size() * 8; bit += good.size() / 5 + 1)
    EXPECT_NE(reasonFor(file, flipped(good, bit)), "not detected") << "bit " << bit;
}

TEST_F(CheckpointDamageTest, MissingFilesAreFound) {
  std::filesystem::remove(newest("shard-00000-of-00002.safetensors"));
  absl::StatusOr<LoadedCheckpoint> loaded = loadAll(store, 1);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->info.step, 10);
  std::filesystem::remove(newest("manifest.json"));
  EXPECT_EQ(loadAll(store, 1)->info.step, 10);
}

TEST_F(CheckpointDamageTest, WhenAllAreDamagedEveryReasonIsTold) {
  writeText(newest("manifest.json"), "{}");
  writeText(folder / "c/step-000000010/manifest.json", "");
  absl::Status status = store.loadNewest({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("step-000000010/manifest.json"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("step-000000020/manifest.json"));
}

TEST_F(CheckpointDamageTest, VerifyNamesTheDamage) {
  EXPECT_TRUE(CheckpointStore::verify(store.folderOfStep(20)).ok());
  std::filesystem::resize_file(newest("shard-00000-of-00002.safetensors"), 77);
  absl::Status status = CheckpointStore::verify(store.folderOfStep(20)).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("shard-00000-of-00002.safetensors: truncated at offset 77"));
}

} // namespace
} // namespace oriel::trainer
