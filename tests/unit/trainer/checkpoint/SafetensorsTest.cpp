// The safetensors reader refuses everything but exactly valid files; the writer makes files it accepts.
#include "trainer/checkpoint/Safetensors.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <bit>
#include <cmath>

namespace oriel::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string fileOf(const std::string &header, const std::string &data) {
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char *>(&length), 8) + header + data;
}

std::string errorOf(const std::string &bytes) {
  TemporaryFolder folder;
  writeText(folder / "x.safetensors", bytes);
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::open(folder / "x.safetensors");
  if (file.ok())
    return "(no error)";
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("x.safetensors")) << "the file is named";
  return std::string(file.status().message());
}

std::string errorOfHeader(const std::string &header, size_t dataBytes = 8) {
  return errorOf(fileOf(header, std::string(dataBytes, '\0')));
}

TEST(Safetensors, RoundTripsEveryType) {
  TemporaryFolder folder;
  std::vector<float> floats{1.5f, -2.0f, 3.25f, 0.0f, 5.0f, 6.0f};
  std::vector<uint16_t> bf16{0x3f80, 0xc000}, f16{0x3c00, 0xc100, 0x7c00, 0x0001};
  std::vector<int32_t> i32{-7, 1 << 30};
  std::vector<int64_t> i64{-(int64_t(1) << 60)};
  std::vector<TensorToWrite> tensors{{"z", TensorType::F32, {2, 3}, std::as_bytes(std::span(floats))},
                                     {"b", TensorType::BF16, {2}, std::as_bytes(std::span(bf16))},
                                     {"h", TensorType::F16, {4}, std::as_bytes(std::span(f16))},
                                     {"i", TensorType::I32, {1, 2, 1}, std::as_bytes(std::span(i32))},
                                     {"l", TensorType::I64, {}, std::as_bytes(std::span(i64))},
                                     {"none", TensorType::F32, {0, 5}, {}}};
  ASSERT_TRUE(writeSafetensors(folder / "x", tensors, {{"family", "rla_op"}, {"quote", "a\"\n"}}).ok());
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::open(folder / "x");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors().size(), 6u);
  EXPECT_EQ(file->metadata().at("quote"), "a\"\n");
  EXPECT_THAT(file->find("z")->shape, ElementsAre(2, 3));
  EXPECT_EQ(file->find("z")->toFloats(), floats);
  EXPECT_EQ(file->find("z")->fileOffset % 8, 0u);
  EXPECT_THAT(file->find("b")->toFloats(), ElementsAre(1.0f, -2.0f));
  std::vector<float> halves = file->find("h")->toFloats();
  EXPECT_THAT(halves, ElementsAre(1.0f, -2.5f, INFINITY, std::ldexp(1.0f, -24)));
  EXPECT_THAT(file->find("i")->toInts(), ElementsAre(-7, 1 << 30));
  EXPECT_THAT(file->find("l")->toInts(), ElementsAre(-(int64_t(1) << 60)));
  EXPECT_EQ(file->find("none")->elements(), 0);
  EXPECT_EQ(file->find("nothing"), nullptr);
  EXPECT_THAT(std::string(file->get("nothing").status().message()), HasSubstr("there is no tensor 'nothing'"));
}

TEST(Safetensors, AcceptsWhatOthersWrite) {
  EXPECT_EQ(errorOfHeader(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   )"), "(no error)");
  EXPECT_EQ(
      errorOfHeader(
          R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})"),
      "(no error)")
      << "header order is not file order";
  EXPECT_EQ(errorOfHeader("{}", 0), "(no error)");
}

TEST(Safetensors, RefusesBrokenHeaders) {
  EXPECT_THAT(errorOf(""), HasSubstr("too short"));
  EXPECT_THAT(errorOf("1234567"), HasSubstr("too short"));
  EXPECT_THAT(errorOf(std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8)), HasSubstr("at most 100000000"));
  EXPECT_THAT(errorOf(std::string("\x10\0\0\0\0\0\0\0{}", 10)), HasSubstr("claims 16 bytes, the file has 2"));
  EXPECT_THAT(errorOfHeader("{", 0), HasSubstr("not valid UTF-8 JSON"));
  EXPECT_THAT(errorOfHeader("{\"\xff\":1}", 0), HasSubstr("not valid UTF-8 JSON"));
  EXPECT_THAT(errorOfHeader("", 0), HasSubstr("not valid UTF-8 JSON"));
  EXPECT_THAT(errorOfHeader("[]", 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(errorOfHeader(std::string(100000, '['), 0), HasSubstr("nests too deep"));
  EXPECT_THAT(errorOfHeader(R"({"__metadata__":{"a":1}})", 0), HasSubstr("key 'a' is not a string"));
  EXPECT_THAT(errorOfHeader(R"({"__metadata__":[]})", 0), HasSubstr("__metadata__ is not an object"));
}

TEST(Safetensors, RefusesBrokenTensors) {
  auto tensor = [](const std::string &body) { return errorOfHeader("{\"w\":" + body + "}"); };
  EXPECT_THAT(tensor("3"), HasSubstr("tensor 'w': needs dtype, shape and data_offsets"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[2]})"), HasSubstr("needs dtype"));
  EXPECT_THAT(tensor(R"({"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]})"),
              HasSubstr("dtype \"F8_E4M3\" is not one of"));
  EXPECT_THAT(tensor(R"({"dtype":7,"shape":[8],"data_offsets":[0,8]})"), HasSubstr("dtype 7"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), HasSubstr("something other than sizes"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), HasSubstr("something other than sizes"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), HasSubstr("shape is not an array"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), HasSubstr("not a pair"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), HasSubstr("lie outside"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})"),
              HasSubstr("lie outside the 8 data bytes"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"),
              HasSubstr("need 12 bytes, data_offsets hold 8"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})"),
              HasSubstr("overflows"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]})"),
              HasSubstr("other than sizes"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})"), HasSubstr("a key other than"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"),
              HasSubstr("4 bytes follow the last tensor"));
  EXPECT_THAT(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), HasSubstr("leaving a hole"));
}

TEST(Safetensors, RefusesOverlapsAndDuplicates) {
  EXPECT_THAT(
      errorOfHeader(
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
      HasSubstr("tensor 'b' begins at byte 4, overlapping"));
  EXPECT_THAT(
      errorOfHeader(
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"),
      HasSubstr("'a' appears twice"));
  EXPECT_THAT(errorOfHeader(R"({"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})"),
              HasSubstr("'shape' appears twice"));
}

TEST(Safetensors, NoTruncationAndNoFlipCrashes) {
  TemporaryFolder folder;
  std::vector<float> values{1, 2, 3};
  ASSERT_TRUE(
      writeSafetensors(folder / "x",
                       std::vector<TensorToWrite>{{"w", TensorType::F32, {3}, std::as_bytes(std::span(values))}})
          .ok());
  std::string good = readText(folder / "x");
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_NE(errorOf(good.substr(0, length)), "(no error)") << length;
  for (size_t bit = 0; bit < (good.size() - 12) * 8; ++bit) {
    std::string changed = good;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    writeText(folder / "y", changed);
    absl::StatusOr<SafetensorsFile> file = SafetensorsFile::open(folder / "y");
    if (file.ok()) { // a flip in a name is legal; what is there must then be readable
      EXPECT_EQ(file->tensors()[0].toFloats().size() * tensorTypeBytes(file->tensors()[0].type), 12u);
    }
  }
}

TEST(Safetensors, WriterRefusesWrongSizesAndNames) {
  TemporaryFolder folder;
  std::vector<float> values{1, 2, 3};
  auto bytes = std::as_bytes(std::span(values));
  EXPECT_THAT(
      std::string(
          writeSafetensors(folder / "x", std::vector<TensorToWrite>{{"w", TensorType::F32, {4}, bytes}}).message()),
      HasSubstr("tensor 'w': 12 data bytes"));
  EXPECT_FALSE(writeSafetensors(folder / "x", std::vector<TensorToWrite>{{"w", TensorType::F32, {3}, bytes},
                                                                         {"w", TensorType::F32, {3}, bytes}})
                   .ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
  EXPECT_EQ(writeSafetensors(folder / "no/x", {}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(SafetensorsFile::open(folder / "none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(SafetensorsFile::open(folder.path()).ok()) << "a folder is no file";
}

} // namespace
} // namespace oriel::trainer
