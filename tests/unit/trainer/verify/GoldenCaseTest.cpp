// Golden files made here: what becomes of them, and the one clear error for each thing that is wrong with them.
#include "trainer/verify/GoldenCase.h"
#include "gtest/gtest.h"

#include <cstring>
#include <filesystem>
#include <unistd.h>

using namespace oriel::trainer;

namespace {

struct Entry {
  std::string name;
  TensorType type;
  Shape shape;
};

using Metadata = std::map<std::string, std::string>;

/// Writes a file of counted values (0, 1, 2 …) and reads it back as a golden case.
absl::StatusOr<GoldenCase> roundTrip(const std::vector<Entry> &entries, const Metadata &metadata) {
  std::string path =
      (std::filesystem::temp_directory_path() / ("golden-" + std::to_string(::getpid()) + ".safetensors"));
  std::vector<std::vector<int32_t>> storage;
  std::vector<TensorToWrite> tensors;
  for (const Entry &entry : entries) {
    size_t count = 1;
    for (int64_t size : entry.shape)
      count *= size_t(size);
    std::vector<int32_t> words(count);
    for (size_t i = 0; i < count; ++i)
      if (float value = float(i); entry.type == TensorType::F32)
        std::memcpy(&words[i], &value, sizeof value);
      else
        words[i] = int32_t(i);
    storage.push_back(std::move(words));
  }
  for (size_t i = 0; i < entries.size(); ++i)
    tensors.push_back({entries[i].name, entries[i].type, entries[i].shape, std::as_bytes(std::span(storage[i]))});
  EXPECT_TRUE(writeSafetensors(path, tensors, metadata).ok());
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  absl::StatusOr<GoldenCase> golden = readGoldenCase(*file);
  std::filesystem::remove(path);
  return golden;
}

const Shape kHeads{1, 2, 3, 2}; // [B,heads,T,D]
const std::vector<Entry> kAttention = {
    {"q", TensorType::F32, kHeads},  {"k", TensorType::F32, kHeads},  {"v", TensorType::F32, kHeads},
    {"do", TensorType::F32, kHeads}, {"dq", TensorType::F32, kHeads}, {"dk", TensorType::F32, kHeads},
    {"dv", TensorType::F32, kHeads}, {"o", TensorType::F32, kHeads},  {"lse", TensorType::F32, {1, 2, 3}}};
const Metadata kAttentionMetadata = {{"family", "attention"}, {"case", "c"},         {"window", "1"},
                                     {"scale", "0.5"},        {"segments", "false"}, {"logit_soft_cap", "0.0"}};

TEST(GoldenCaseTest, HeadsMoveBehindTokens) {
  absl::StatusOr<GoldenCase> golden = roundTrip(kAttention, kAttentionMetadata);
  ASSERT_TRUE(golden.ok()) << golden.status();
  ASSERT_EQ(golden->arguments.size(), 4u); // q, k, v, the cotangent of o
  EXPECT_EQ(golden->arguments[0].shape, (Shape{1, 3, 2, 2}));
  EXPECT_EQ(golden->arguments[0].values, (std::vector<float>{0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}));
  ASSERT_EQ(golden->expected.size(), 5u); // o, lse, dq, dk, dv
  EXPECT_EQ(golden->expected[1].tensor.name, "lse");
  EXPECT_EQ(golden->expected[2].tensor.name, "dq");
}

TEST(GoldenCaseTest, SegmentsBecomeDocumentStarts) {
  std::vector<Entry> entries = kAttention;
  entries.push_back({"segment_ids", TensorType::I32, {1, 3}});
  Metadata metadata = kAttentionMetadata;
  metadata["segments"] = "true";
  absl::StatusOr<GoldenCase> golden = roundTrip(entries, metadata);
  ASSERT_TRUE(golden.ok()) << golden.status();
  EXPECT_TRUE(golden->arguments[3].isInteger);
  EXPECT_EQ(golden->arguments[3].values, (std::vector<float>{0, 1, 2})); // ids 0, 1, 2: three documents
}

void expectError(const std::vector<Entry> &entries, const Metadata &metadata, const std::string &message) {
  absl::StatusOr<GoldenCase> golden = roundTrip(entries, metadata);
  ASSERT_FALSE(golden.ok());
  EXPECT_EQ(golden.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(golden.status().message().find(message), std::string::npos) << golden.status();
  EXPECT_NE(golden.status().message().find(".safetensors: "), std::string::npos) << golden.status();
}

TEST(GoldenCaseErrorTest, EveryDefectHasItsMessage) {
  auto with = [](std::string key, std::string value) {
    Metadata metadata = kAttentionMetadata;
    metadata[key] = value;
    return metadata;
  };
  Metadata withoutFamily = kAttentionMetadata;
  withoutFamily.erase("family");
  expectError(kAttention, withoutFamily, "has no metadata 'family'");
  expectError(kAttention, with("family", "delta_rule"), "is of the family 'delta_rule'; known are rla_op");
  expectError(kAttention, with("window", "wide"), "metadata 'window' is 'wide', expected an integer");
  expectError(kAttention, with("scale", "x"), "metadata 'scale' is 'x', expected a number");
  expectError(kAttention, with("segments", "yes"), "metadata 'segments' is 'yes', expected true or false");
  std::vector<Entry> flat = kAttention;
  flat[1].shape = {12};
  expectError(flat, kAttentionMetadata, "tensor 'k' has 1 dimensions, expected 4");
  std::vector<Entry> missing(kAttention.begin() + 1, kAttention.end());
  expectError(missing, kAttentionMetadata, "has no tensor 'q'");
}

} // namespace
