// Both tokenizers give back what they were given.
#include "trainer/tokenizer/Tokenizer.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::trainer {
namespace {

using testing::HasSubstr;

TEST(ByteTokenizer, IsTheIdentityOnBytes) {
  auto tokenizer = makeTokenizer("byte");
  ASSERT_TRUE(tokenizer.ok());
  std::string every;
  for (int i = 0; i < 256; ++i)
    every += static_cast<char>(i);
  std::vector<int32_t> ids = (*tokenizer)->encode(every);
  ASSERT_EQ(ids.size(), 256u);
  EXPECT_EQ(ids[200], 200);
  EXPECT_EQ((*tokenizer)->decode(ids), every);
  EXPECT_EQ((*tokenizer)->vocabSize(), 257);
  EXPECT_EQ((*tokenizer)->endOfDocument(), 256);
  EXPECT_EQ((*tokenizer)->decode(std::vector<int32_t>{72, 256, 105, -1, 9999}), "Hi") << "other ids give nothing";
}

TEST(Tokenizer, NamesItsFilesAsOthersExpectThem) {
  TemporaryFolder folder;
  auto filesOf = [&](const std::string &spec) {
    std::vector<std::pair<std::string, std::string>> files;
    for (const TokenizerFile &file : tokenizerFiles(spec))
      files.emplace_back(file.path, file.sharedName);
    return files;
  };
  using Files = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(filesOf("byte"), Files());
  EXPECT_EQ(filesOf(folder / "en.model"), (Files{{folder / "en.model", "tokenizer.model"}}));
  EXPECT_EQ(filesOf(folder / "en.json"), (Files{{folder / "en.json", "tokenizer.json"}}));
  EXPECT_EQ(filesOf(folder.path()), (Files{{folder / "tokenizer.json", "tokenizer.json"}}));
  writeText(folder / "tokenizer_config.json", "{}");
  const std::pair<std::string, std::string> config = {folder / "tokenizer_config.json", "tokenizer_config.json"};
  EXPECT_EQ(filesOf(folder / "en.json"), (Files{{folder / "en.json", "tokenizer.json"}, config}));
  EXPECT_EQ(filesOf(folder.path()), (Files{{folder / "tokenizer.json", "tokenizer.json"}, config}));
}

TEST(Tokenizer, RefusesWhatItCannotOpen) {
  TemporaryFolder folder;
  EXPECT_THAT(std::string(makeTokenizer("gpt9").status().message()), HasSubstr("unknown tokenizer 'gpt9'"));
  EXPECT_EQ(makeTokenizer(folder / "no.model").status().code(), absl::StatusCode::kNotFound);
  writeText(folder / "bad.model", "this is no model");
  absl::Status status = makeTokenizer(folder / "bad.model").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("bad.model: not a sentencepiece model"));
  writeText(folder / "empty.model", "");
  EXPECT_FALSE(makeTokenizer(folder / "empty.model").ok());
}

/// Words of two or three syllables with a skewed frequency, so that there is something to learn.
std::string sampleText() {
  const char *syllables[] = {"win", "dow", "stre", "et",  "hou", "se", "o", "ri",
                             "el",  "la",  "mor",  "ten", "shi", "ne", "ka"};
  std::string text;
  uint32_t state = 1;
  for (int i = 0; i < 6000; ++i) {
    state = state * 1664525 + 1013904223;
    uint32_t word = (state >> 16) % 60 * ((state >> 8) % 7) / 6;
    text +=
        std::string(syllables[word % 15]) + syllables[(word / 4) % 15] + (word % 3 ? "" : syllables[(word * 7) % 15]);
    text += i % 9 == 8 ? ".\n" : i % 50 == 49 ? "  " : " ";
  }
  return text;
}

class SentencePiece : public testing::TestWithParam<const char *> {};

TEST_P(SentencePiece, TrainsAndKeepsEveryText) {
  TemporaryFolder folder;
  writeText(folder / "text.txt", sampleText());
  TokenizerTraining training{{folder / "text.txt"}, folder / "sub/t.model", 320, GetParam()};
  ASSERT_TRUE(trainTokenizer(training).ok()) << trainTokenizer(training);
  auto tokenizer = makeTokenizer(folder / "sub/t.model");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocabSize(), 320);
  EXPECT_GT((*tokenizer)->endOfDocument(), 0);
  for (const std::string &text : {std::string("the small window"), std::string("  two  spaces\n\n\nlines \n"),
                                  sampleText(), std::string("caf\u00e9 \u4e2d\u6587 1234\tend"), std::string()})
    EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode(text)), text);
  EXPECT_LT((*tokenizer)->encode(sampleText()).size(), sampleText().size() / 2) << "words were learnt";
}

INSTANTIATE_TEST_SUITE_P(Kinds, SentencePiece, testing::Values("bpe", "unigram"));

TEST(TrainTokenizer, RefusesBadRequests) {
  TemporaryFolder folder;
  writeText(folder / "text.txt", "too little text\n");
  EXPECT_THAT(std::string(trainTokenizer({{}, folder / "t.model", 400}).message()),
              HasSubstr("at least one text file"));
  EXPECT_THAT(std::string(trainTokenizer({{folder / "text.txt"}, folder / "t.bin", 400}).message()),
              HasSubstr("must end in .model"));
  EXPECT_THAT(std::string(trainTokenizer({{folder / "text.txt"}, folder / "t.model", 100}).message()),
              HasSubstr("outside 300"));
  EXPECT_EQ(trainTokenizer({{folder / "none.txt"}, folder / "t.model", 400}).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(trainTokenizer({{folder / "text.txt"}, folder / "t.model", 9000}).message()),
              HasSubstr("training "));
  EXPECT_FALSE(std::filesystem::exists(folder / "t.model")) << "nothing is left behind";
}

} // namespace
} // namespace oriel::trainer
