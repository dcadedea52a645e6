// Event files: known checksums, and records that a reader of the format takes apart again.
#include "trainer/metrics/EventFile.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <bit>
#include <cstring>

namespace oriel::trainer {
namespace {

TEST(Crc32c, MatchesKnownVectors) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau); // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending;
  for (int i = 0; i < 32; ++i)
    ascending += static_cast<char>(i);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
}

TEST(Crc32c, IsMaskedAsTfRecordWants) {
  uint32_t masked = maskedCrc32c("123456789");
  EXPECT_EQ(std::rotl(masked - 0xa282ead8u, 15), 0xe3069283u);
}

/// Takes TFRecords apart, checking both checksums.
std::vector<std::string> recordsOf(std::string bytes) {
  std::vector<std::string> records;
  while (!bytes.empty()) {
    uint64_t length;
    uint32_t crc;
    std::memcpy(&length, bytes.data(), 8);
    std::memcpy(&crc, bytes.data() + 8, 4);
    EXPECT_EQ(crc, maskedCrc32c(bytes.substr(0, 8)));
    records.push_back(bytes.substr(12, length));
    std::memcpy(&crc, bytes.data() + 12 + length, 4);
    EXPECT_EQ(crc, maskedCrc32c(records.back()));
    bytes.erase(0, 16 + length);
  }
  return records;
}

TEST(EventFile, WritesEventsByteForByte) {
  TemporaryFolder folder;
  std::string path;
  {
    auto events = EventFile::create(folder / "metrics");
    ASSERT_TRUE(events.ok()) << events.status();
    ASSERT_TRUE((*events)->add(300, 1.5, {{"a", 2.0}, {"loss", -0.5}}).ok());
    path = (*events)->path();
  }
  EXPECT_THAT(path, testing::HasSubstr("events.out.tfevents."));
  std::vector<std::string> records = recordsOf(readText(path));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_THAT(records[0], testing::EndsWith("\x1a\x0d"
                                            "brain.Event:2"));
  std::string expected = std::string("\x09\0\0\0\0\0\0\xf8\x3f", 9) + "\x10\xac\x02" + // wall time, step 300
                         "\x2a\x17" + "\x0a\x08" +
                         "\x0a\x01"
                         "a" +
                         std::string("\x15\0\0\0\x40", 5) + // summary, "a" = 2
                         "\x0a\x0b" + "\x0a\x04loss" + std::string("\x15\0\0\0\xbf", 5);
  EXPECT_EQ(records[1], expected);
}

TEST(EventFile, NamesAFolderThatCannotBe) {
  TemporaryFolder folder;
  writeText(folder / "file", "x");
  EXPECT_FALSE(EventFile::create(folder / "file").ok());
}

} // namespace
} // namespace oriel::trainer
