// Token files: what was written comes back, and every damaged file is refused with its place.
#include "trainer/data/TokenFile.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cstring>

namespace oriel::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void writeFile(const std::string &prefix, int32_t vocab, const std::vector<std::vector<int32_t>> &documents) {
  absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::create(prefix, vocab);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const std::vector<int32_t> &document : documents)
    ASSERT_TRUE(writer->addDocument(document).ok());
  ASSERT_TRUE(writer->finish().ok());
}

std::vector<int32_t> readAll(const TokenFile &file, int32_t vocab) {
  std::vector<int32_t> ids(static_cast<size_t>(file.tokenCount()));
  EXPECT_TRUE(file.read(0, ids, vocab).ok());
  return ids;
}

TEST(TokenFile, RoundTripsBothTypes) {
  TemporaryFolder folder;
  for (int32_t vocab : {257, 65536, 65537, 1000000}) {
    std::string prefix = folder / ("deep/er/" + std::to_string(vocab));
    writeFile(prefix, vocab, {{1, 2, 3}, {}, {vocab - 1}, {5, 6}});
    absl::StatusOr<TokenFile> file = TokenFile::open(prefix);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->type(), vocab <= 65536 ? TokenType::U16 : TokenType::I32);
    EXPECT_THAT(readAll(*file, vocab), ElementsAre(1, 2, 3, vocab - 1, 5, 6));
    EXPECT_EQ(file->documentCount(), 4);
    EXPECT_EQ(file->documentStart(2), 3);
    EXPECT_EQ(file->documentOf(2), 0);
    EXPECT_EQ(file->documentOf(3), 2) << "an empty document holds nothing";
    EXPECT_EQ(file->documentOf(5), 3);
  }
}

TEST(TokenFile, WritesTheMegatronLayoutExactly) {
  TemporaryFolder folder;
  writeFile(folder / "x", 300, {{1, 2, 3}, {299}});
  const std::string expected = std::string("MMIDIDX\0\0", 9) + std::string("\x01\0\0\0\0\0\0\0", 8) + "\x08" +
                               std::string("\x02\0\0\0\0\0\0\0", 8) + std::string("\x03\0\0\0\0\0\0\0", 8) +
                               std::string("\x03\0\0\0\x01\0\0\0", 8) +                // lengths
                               std::string("\0\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0", 16) + // byte offsets
                               std::string("\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0", 24);
  EXPECT_EQ(readText(folder / "x.idx"), expected);
  EXPECT_EQ(readText(folder / "x.bin"), std::string("\x01\0\x02\0\x03\0\x2b\x01", 8));
}

TEST(TokenFile, ReadsDocumentsOfSeveralSequences) {
  TemporaryFolder folder;
  writeFile(folder / "x", 300, {{1, 2}, {3}, {4}});
  std::string index = readText(folder / "x.idx");
  // Three sequences, but bounds 0, 2, 3 instead of 0, 1, 2, 3.
  index[26] = 3;
  std::string bounds("\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0", 24);
  writeText(folder / "x.idx", index.substr(0, index.size() - 32) + bounds);
  absl::StatusOr<TokenFile> file = TokenFile::open(folder / "x");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->documentCount(), 2);
  EXPECT_EQ(file->documentStart(1), 3);
}

TEST(TokenFile, TellsThatAPrefixHasNoEnding) {
  TemporaryFolder folder;
  writeFile(folder / "x", 300, {{1, 2}});
  absl::Status status = TokenFile::open(folder / "x.bin").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), testing::AllOf(HasSubstr("x.bin: there is no "), HasSubstr("without its ending"), HasSubstr("oriel data import")));
}

class BrokenTokenFile : public testing::Test {
protected:
  void SetUp() override {
    writeFile(folder / "x", 300, {{1, 2, 3}, {4, 5}});
    index = readText(folder / "x.idx");
    bin = readText(folder / "x.bin");
  }
  std::string errorWith(const std::string &newIndex, const std::string &newBin) {
    writeText(folder / "x.idx", newIndex);
    writeText(folder / "x.bin", newBin);
    absl::StatusOr<TokenFile> file = TokenFile::open(folder / "x");
    return file.ok() ? "(no error)" : std::string(file.status().message());
  }
  std::string withByte(size_t at, char value) {
    std::string changed = index;
    changed[at] = value;
    return changed;
  }
  TemporaryFolder folder;
  std::string index, bin;
};

TEST_F(BrokenTokenFile, IsRefusedWithItsPlace) {
  EXPECT_THAT(errorWith(withByte(0, 'X'), bin), HasSubstr("does not begin with MMIDIDX"));
  EXPECT_THAT(errorWith(withByte(9, 2), bin), HasSubstr("version 2 at offset 9"));
  EXPECT_THAT(errorWith(withByte(17, 7), bin), HasSubstr("dtype code 7 at offset 17"));
  EXPECT_THAT(errorWith(withByte(18, 9), bin), HasSubstr("do not fill"));
  EXPECT_THAT(errorWith(withByte(25, '\x7f'), bin), HasSubstr("do not fill")) << "a count near 2^63";
  EXPECT_THAT(errorWith(withByte(33, '\xff'), bin), HasSubstr("do not fill"));
  EXPECT_THAT(errorWith(withByte(37, '\x80'), bin), HasSubstr("has length -")) << "a negative length";
  EXPECT_THAT(errorWith(withByte(34, 1), bin), HasSubstr("begins at byte 6 of .bin"));
  EXPECT_THAT(errorWith(withByte(42, 1), bin), HasSubstr("sequence 0 begins at byte 1"));
  EXPECT_THAT(errorWith(withByte(58, 1), bin), HasSubstr("document bound 0 is 1"));
  EXPECT_THAT(errorWith(withByte(66, 5), bin), HasSubstr("document bound 1 is 5"));
  EXPECT_THAT(errorWith(withByte(74, 1), bin), HasSubstr("the documents end at sequence 1 of 2"));
  EXPECT_THAT(errorWith(index.substr(0, 20), bin), HasSubstr("fewer than the 34 of the header"));
  EXPECT_THAT(errorWith("", bin), HasSubstr("0 bytes are fewer"));
  EXPECT_THAT(errorWith(index, bin.substr(0, 7)), HasSubstr("x.bin: truncated at offset 7: the index needs 10 bytes"));
  EXPECT_THAT(errorWith(index, ""), HasSubstr("truncated at offset 0"));
  EXPECT_THAT(errorWith(index, bin + "z"), HasSubstr("too long"));
  std::filesystem::remove(folder / "x.bin");
  EXPECT_EQ(TokenFile::open(folder / "x").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(BrokenTokenFile, NoTruncationAndNoFlipOfTheIndexCrashes) {
  for (size_t length = 0; length < index.size(); ++length)
    EXPECT_NE(errorWith(index.substr(0, length), bin), "(no error)") << length;
  for (size_t bit = 0; bit < index.size() * 8; ++bit) {
    std::string changed = withByte(bit / 8, static_cast<char>(index[bit / 8] ^ 1 << bit % 8));
    errorWith(changed, bin); // a document bound may move legally; what counts is that nothing is read outside
  }
}

TEST_F(BrokenTokenFile, ForeignIdsAreNamedWithTheirOffset) {
  absl::StatusOr<TokenFile> file = TokenFile::open(folder / "x");
  ASSERT_TRUE(file.ok());
  std::vector<int32_t> ids(3);
  EXPECT_THAT(std::string(file->read(2, ids, 5).message()),
              HasSubstr("x.bin: token 5 at byte offset 8 is outside the vocabulary of 5"));
  EXPECT_EQ(file->read(3, ids, 300).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(file->read(-1, ids, 300).code(), absl::StatusCode::kOutOfRange);
}

TEST(TokenFileWriter, LeavesNothingWithoutFinish) {
  TemporaryFolder folder;
  {
    absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::create(folder / "x", 10);
    ASSERT_TRUE(writer.ok());
    EXPECT_TRUE(writer->addDocument(std::vector<int32_t>{1}).ok());
    EXPECT_THAT(std::string(writer->addDocument(std::vector<int32_t>{10}).message()),
                HasSubstr("token 10 of document 1"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

} // namespace
} // namespace oriel::trainer
