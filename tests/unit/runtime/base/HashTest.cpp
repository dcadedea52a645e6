// Tests of runtime/base/Hash.h.
#include "runtime/base/Hash.h"

#include "runtime/base/Files.h"

#include "gtest/gtest.h"

#include <cstdio>
#include <unistd.h>

namespace oriel::runtime {
namespace {

TEST(Hash, OfNoBytesIsThePublishedValueOfXxh3) { EXPECT_EQ(hashHex(""), "99aa06d3014798d86001c324468d497f"); }

TEST(Hash, PiecesEqualTheWhole) { EXPECT_EQ(Hasher().add("hello ").add("world").hex(), hashHex("hello world")); }

TEST(Hash, FieldsDoNotRunTogether) {
  EXPECT_NE(Hasher().addField("ab").addField("c").hex(), Hasher().addField("a").addField("bc").hex());
}

TEST(Hash, OfAFileIsThatOfItsBytes) {
  std::string path = ::testing::TempDir() + "oriel-hash-" + std::to_string(::getpid());
  std::string bytes(100000, 'x');
  ASSERT_TRUE(writeFileAtomically(path, bytes).ok());
  EXPECT_EQ(*hashFile(path), hashHex(bytes));
  std::remove(path.c_str());
  EXPECT_EQ(hashFile(path).status().code(), absl::StatusCode::kNotFound);
}

} // namespace
} // namespace oriel::runtime
