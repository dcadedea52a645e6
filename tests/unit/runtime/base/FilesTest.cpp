// Tests of runtime/base/Files.h on a folder of its own.
#include "runtime/base/Files.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace oriel::runtime {
namespace {

using ::testing::HasSubstr;

class FilesTest : public ::testing::Test {
protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "oriel files " + std::to_string(::getpid());
    ASSERT_TRUE(makeFolders(folder_ + "/a/b").ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(FilesTest, WritesAndReadsBytesIncludingZeros) {
  std::string bytes("ab\0cd\n", 6);
  ASSERT_TRUE(writeFileAtomically(folder_ + "/x", bytes).ok());
  auto read = readFile(folder_ + "/x");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, bytes);
}

TEST_F(FilesTest, AtomicWriteReplacesAndLeavesNoOtherFile) {
  ASSERT_TRUE(writeFileAtomically(folder_ + "/a/b/x", "old").ok());
  ASSERT_TRUE(writeFileAtomically(folder_ + "/a/b/x", "new").ok());
  EXPECT_EQ(*readFile(folder_ + "/a/b/x"), "new");
  int files = 0;
  for ([[maybe_unused]] auto &entry : std::filesystem::directory_iterator(folder_ + "/a/b"))
    ++files;
  EXPECT_EQ(files, 1);
}

TEST_F(FilesTest, AtomicWriteIntoAMissingFolderFailsAndNamesThePath) {
  absl::Status status = writeFileAtomically(folder_ + "/none/x", "1");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder_ + "/none/x"));
}

TEST_F(FilesTest, ReadingFailsClearly) {
  EXPECT_EQ(readFile(folder_ + "/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(readFile(folder_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(FilesTest, MapsAFileAndAnEmptyOne) {
  ASSERT_TRUE(writeFileAtomically(folder_ + "/x", "hello").ok());
  ASSERT_TRUE(writeFileAtomically(folder_ + "/empty", "").ok());
  auto mapped = MappedFile::open(folder_ + "/x");
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  MappedFile moved = std::move(*mapped);
  EXPECT_EQ(moved.text(), "hello");
  auto empty = MappedFile::open(folder_ + "/empty");
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_TRUE(empty->bytes().empty());
}

TEST_F(FilesTest, RenameReplacesAndReportsAMissingSource) {
  ASSERT_TRUE(writeFileAtomically(folder_ + "/x", "1").ok());
  ASSERT_TRUE(renameDurably(folder_ + "/x", folder_ + "/y").ok());
  EXPECT_EQ(*readFile(folder_ + "/y"), "1");
  EXPECT_EQ(renameDurably(folder_ + "/x", folder_ + "/z").code(), absl::StatusCode::kNotFound);
}

TEST(FolderOf, TakesThePathApart) {
  EXPECT_EQ(folderOf("a/b/c"), "a/b");
  EXPECT_EQ(folderOf("c"), ".");
  EXPECT_EQ(folderOf("/c"), "/");
}

} // namespace
} // namespace oriel::runtime
