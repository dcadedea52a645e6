// Shards of llm.c: documents are cut at separators, across shards too, and every damaged shard is refused.
#include "trainer/data/ImportShards.h"
#include "trainer/data/TokenFile.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <filesystem>

namespace oriel::trainer {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int32_t gpt2 = 50256, llama3 = 128000;

template <typename T> void append(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof(T));
}

template <typename Id> std::string shard(int32_t magic, int32_t version, const std::vector<int32_t> &ids) {
  std::string bytes;
  append(bytes, magic);
  append(bytes, version);
  append(bytes, static_cast<int32_t>(ids.size()));
  bytes.resize(1024, '\0');
  for (int32_t id : ids)
    append(bytes, static_cast<Id>(id));
  return bytes;
}

std::string gpt2Shard(const std::vector<int32_t> &ids) { return shard<uint16_t>(20240520, 1, ids); }
std::string llama3Shard(const std::vector<int32_t> &ids) { return shard<uint32_t>(20240801, 7, ids); }

class ImportShards : public testing::Test {
protected:
  std::string write(const std::string &name, const std::string &bytes) {
    writeText(folder / name, bytes);
    return folder / name;
  }

  std::string refusal(const ImportOptions &options) {
    absl::StatusOr<TokenSet> set = importShards(options, folder / "x");
    EXPECT_FALSE(set.ok());
    EXPECT_FALSE(std::filesystem::exists(folder / "x.bin") || std::filesystem::exists(folder / "x.idx"));
    return std::string(set.status().message());
  }

  std::vector<int32_t> imported(int32_t vocab, std::vector<int64_t> *starts = nullptr) {
    absl::StatusOr<TokenFile> file = TokenFile::open(folder / "x");
    EXPECT_TRUE(file.ok()) << file.status();
    std::vector<int32_t> ids(static_cast<size_t>(file->tokenCount()));
    EXPECT_TRUE(file->read(0, ids, vocab).ok());
    for (int64_t d = 0; starts && d < file->documentCount(); ++d)
      starts->push_back(file->documentStart(d));
    return ids;
  }

  TemporaryFolder folder;
};

TEST_F(ImportShards, CutsTheStreamAtSeparatorsAndAcrossShards) {
  std::string first = write("1.bin", gpt2Shard({gpt2, 7, 8, gpt2, gpt2, 50255, 1}));
  std::string second = write("2.bin", gpt2Shard({2, gpt2, 3}));
  absl::StatusOr<TokenSet> set = importShards({.shards = {first, second}}, folder / "x");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->documents, 3);
  EXPECT_EQ(set->tokens, 9);
  std::vector<int64_t> starts;
  EXPECT_THAT(imported(50257, &starts), ElementsAre(7, 8, gpt2, 50255, 1, 2, gpt2, 3, gpt2));
  EXPECT_THAT(starts, ElementsAre(0, 3, 7));
}

TEST_F(ImportShards, ReadsWideIds) {
  std::string path = write("1.bin", llama3Shard({llama3, 100000, 5, llama3, 6}));
  ASSERT_TRUE(importShards({.shards = {path}}, folder / "x").ok());
  EXPECT_THAT(imported(128256), ElementsAre(100000, 5, llama3, 6, llama3));
}

TEST_F(ImportShards, TakesAnotherSeparatorAndVocabulary) {
  std::string path = write("1.bin", gpt2Shard({0, 9, 4, 0, 6}));
  ASSERT_TRUE(importShards({.shards = {path}, .separator = 0, .vocab = 10}, folder / "x").ok());
  EXPECT_THAT(imported(10), ElementsAre(9, 4, 0, 6, 0));
}

TEST_F(ImportShards, RefusesWhatIsNotAShardOfItsKind) {
  std::string good = write("good.bin", gpt2Shard({gpt2, 1, 2}));
  EXPECT_THAT(refusal({.shards = {folder / "none.bin"}}), HasSubstr("none.bin"));
  EXPECT_THAT(refusal({.shards = {write("a.bin", "short")}}), AllOf(HasSubstr("a.bin"), HasSubstr("5 bytes")));
  EXPECT_THAT(refusal({.shards = {write("b.bin", shard<uint16_t>(4711, 1, {1}))}}), HasSubstr("begins with 4711"));
  EXPECT_THAT(refusal({.shards = {write("c.bin", shard<uint16_t>(20240520, 2, {1}))}}), HasSubstr("version 2"));
  std::string cut = gpt2Shard({gpt2, 1, 2});
  cut.pop_back();
  EXPECT_THAT(refusal({.shards = {good, write("d.bin", cut)}}), AllOf(HasSubstr("d.bin"), HasSubstr("3 tokens of 2")));
  EXPECT_THAT(refusal({.shards = {good, write("e.bin", llama3Shard({llama3, 1}))}}),
              AllOf(HasSubstr("e.bin"), HasSubstr("Llama 3"), HasSubstr("import them apart")));
  EXPECT_THAT(refusal({.shards = {write("f.bin", gpt2Shard({gpt2, 1, 50300}))}}),
              AllOf(HasSubstr("f.bin: token 50300 at byte offset 1028"), HasSubstr("50257")));
  EXPECT_THAT(refusal({.shards = {good}, .separator = 60000}), HasSubstr("--separator"));
  EXPECT_THAT(refusal({.shards = {write("g.bin", gpt2Shard({gpt2, gpt2}))}}), HasSubstr("no document"));
}

} // namespace
} // namespace oriel::trainer
