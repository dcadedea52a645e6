// sentencepiece in a program that links the system's protobuf, as oriel does.
#include "trainer/tokenizer/Tokenizer.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"

namespace oriel::trainer {
namespace {

// libsentencepiece brings an old protobuf with it. The module must keep the two apart, in both orders of first use.
TEST(Tokenizer, LivesBesideTheSystemsProtobuf) {
  google::protobuf::Value value;
  value.set_string_value("before");
  TemporaryFolder folder;
  writeText(folder / "bad.model", std::string("\x0a\x03\x0a\x01", 4));
  EXPECT_FALSE(makeTokenizer(folder / "bad.model").ok());
  std::string bytes = value.SerializeAsString();
  google::protobuf::Value again;
  ASSERT_TRUE(again.ParseFromString(bytes));
  EXPECT_EQ(again.string_value(), "before");
}

} // namespace
} // namespace oriel::trainer
