// `oriel data …` as a user types it.
#include "trainer/data/DataCommands.h"
#include "trainer/data/TokenFile.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "CLI/CLI.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::trainer {
namespace {

using testing::HasSubstr;

/// Parses and runs; a usage error comes back as InvalidArgument "usage: …".
absl::Status runCommand(std::vector<std::string> arguments, std::string *printed = nullptr) {
  CLI::App app("oriel");
  std::function<absl::Status()> action;
  addDataCommands(app, &action);
  std::reverse(arguments.begin(), arguments.end()); // CLI11 takes them last first
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError &error) {
    return absl::InvalidArgumentError(std::string("usage: ") + error.what());
  }
  testing::internal::CaptureStdout();
  absl::Status status = action ? action() : absl::InternalError("no action");
  std::string text = testing::internal::GetCapturedStdout();
  if (printed)
    *printed = text;
  return status;
}

TEST(DataCommands, TokenizeSplitAndInspect) {
  TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 3000; ++i)
    text += "line " + std::to_string(i) + "\n";
  writeText(folder / "a.txt", text);
  std::string printed;
  absl::Status status = runCommand({"data", "tokenize", folder / "a.txt", "--output", folder / "out/t", "--validation-every",
                                    "5", "--block-bytes", "1000"},
                                   &printed);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(printed, HasSubstr("t-train.bin: "));
  EXPECT_THAT(printed, HasSubstr("t-val.bin: "));
  ASSERT_TRUE(runCommand({"data", "inspect", folder / "out/t-val"}, &printed).ok());
  EXPECT_THAT(printed, HasSubstr("(u16)"));
  EXPECT_THAT(printed, HasSubstr("begins:\nline "));
  EXPECT_FALSE(runCommand({"data", "inspect", folder / "out/t-val", "--document", "999"}).ok());
}

TEST(DataCommands, ImportThenInspect) {
  TemporaryFolder folder;
  std::string header("\x88\xd8\x34\x01\x01\0\0\0\x04\0\0\0", 12); // 20240520, version 1, 4 tokens
  header.resize(1024, '\0');
  writeText(folder / "a.bin", header + std::string("\x00\x01h\0i\0\x00\x01", 8));
  std::string printed;
  absl::Status status = runCommand({"data", "import", folder / "a.bin", "-o", folder / "x", "--separator", "256", "--vocab", "257"},
                                   &printed);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(printed, HasSubstr("x.bin: 1 documents, 3 tokens"));
  ASSERT_TRUE(runCommand({"data", "inspect", folder / "x"}, &printed).ok());
  EXPECT_THAT(printed, HasSubstr("begins:\nhi\n"));
}

TEST(DataCommands, TrainTokenizerThenTokenizeWithIt) {
  TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 2000; ++i)
    text += "the window number " + std::to_string(i * 7919 % 1000) + " shows a street\n";
  writeText(folder / "a.txt", text);
  absl::Status status =
      runCommand({"data", "train-tokenizer", folder / "a.txt", "--output", folder / "t.model", "--vocab", "320"});
  ASSERT_TRUE(status.ok()) << status;
  status = runCommand({"data", "tokenize", folder / "a.txt", "-o", folder / "x", "--tokenizer", folder / "t.model"});
  ASSERT_TRUE(status.ok()) << status;
  absl::StatusOr<TokenFile> file = TokenFile::open(folder / "x");
  ASSERT_TRUE(file.ok());
  EXPECT_LT(file->tokenCount(), static_cast<int64_t>(text.size()) / 2);
  std::string printed;
  ASSERT_TRUE(runCommand({"data", "inspect", folder / "x", "--tokenizer", folder / "t.model"}, &printed).ok());
  EXPECT_THAT(printed, HasSubstr("the window number"));
  EXPECT_THAT(std::string(runCommand({"data", "inspect", folder / "x"}).message()), HasSubstr("(--tokenizer is byte)"));
}

TEST(DataCommands, RefusesBadUsage) {
  EXPECT_THAT(std::string(runCommand({"data"}).message()), HasSubstr("usage: "));
  EXPECT_THAT(std::string(runCommand({"data", "tokenize", "a"}).message()), HasSubstr("--output"));
  EXPECT_THAT(std::string(runCommand({"data", "tokenize", "a", "-o", "x", "--documents", "page"}).message()),
              HasSubstr("--documents: 'page' is none of file, paragraph, jsonl"));
  EXPECT_THAT(std::string(runCommand({"data", "tokenize", "a", "-o", "x", "--block-bytes", "0"}).message()),
              HasSubstr("--block-bytes"));
  EXPECT_EQ(runCommand({"data", "tokenize", "/no/such.txt", "-o", "/tmp/oriel-never"}).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(runCommand({"data", "tokenize", "a", "-o", "x", "--tokenizer", "bpe"}).message()),
              HasSubstr("unknown tokenizer 'bpe'"));
}

} // namespace
} // namespace oriel::trainer
