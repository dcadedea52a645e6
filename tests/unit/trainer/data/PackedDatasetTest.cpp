// Rows: the worked example of the header, one pass over every token per epoch, and exact resumption.
#include "trainer/data/PackedDataset.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <set>

namespace oriel::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void writeDocuments(const std::string &prefix, const std::vector<int> &lengths) {
  absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::create(prefix, 5000);
  ASSERT_TRUE(writer.ok()) << writer.status();
  int32_t next = 0;
  for (int length : lengths) {
    std::vector<int32_t> ids;
    for (int i = 0; i < length; ++i)
      ids.push_back(next++); // every token is its own stream position
    ASSERT_TRUE(writer->addDocument(ids).ok());
  }
  ASSERT_TRUE(writer->finish().ok());
}

struct Row {
  std::vector<int32_t> tokens, targets, docStart;
};

Row rowOf(const PackedDataset &data, int64_t sample) {
  size_t length = static_cast<size_t>(data.rowTokens());
  Row row{std::vector<int32_t>(length), std::vector<int32_t>(length), std::vector<int32_t>(length)};
  absl::Status status = data.fillRow(sample, row.tokens, row.targets, row.docStart);
  EXPECT_TRUE(status.ok()) << status;
  return row;
}

TEST(PackedDataset, GivesTheRowsOfTheWorkedExample) {
  TemporaryFolder folder;
  writeDocuments(folder / "x", {4, 3, 5});
  absl::StatusOr<PackedDataset> data = PackedDataset::open(folder / "x", {4, 0, false, 5000});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->rowsPerEpoch(), 2);
  Row first = rowOf(*data, 0), second = rowOf(*data, 1), third = rowOf(*data, 2);
  EXPECT_THAT(first.tokens, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(first.targets, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(first.docStart, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(second.tokens, ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(second.docStart, ElementsAre(0, 0, 0, 3));
  EXPECT_EQ(third.tokens, first.tokens) << "the next epoch of an unshuffled set";
}

TEST(PackedDataset, DocumentStartsAgreeWithAScan) {
  TemporaryFolder folder;
  std::vector<int> lengths{1, 1, 9, 2, 0, 30, 1, 3, 3, 40, 2};
  writeDocuments(folder / "x", lengths);
  std::vector<int> startOf;
  for (int length : lengths)
    for (int i = 0, start = static_cast<int>(startOf.size()); i < length; ++i)
      startOf.push_back(start);
  for (int64_t rowTokens : {1, 2, 7, 16, 91}) {
    absl::StatusOr<PackedDataset> data = PackedDataset::open(folder / "x", {rowTokens, 3, true, 5000});
    ASSERT_TRUE(data.ok()) << data.status();
    for (int64_t sample = 0; sample < 2 * data->rowsPerEpoch(); ++sample) {
      Row row = rowOf(*data, sample);
      for (int64_t t = 0; t < rowTokens; ++t) {
        size_t at = static_cast<size_t>(t);
        EXPECT_EQ(row.tokens[at], row.tokens[0] + t);
        EXPECT_EQ(row.targets[at], row.tokens[0] + t + 1);
        EXPECT_EQ(row.docStart[at], std::max(0, startOf[static_cast<size_t>(row.tokens[at])] - row.tokens[0]));
      }
    }
  }
}

TEST(PackedDataset, EveryEpochVisitsEveryRowOnceInANewOrder) {
  TemporaryFolder folder;
  writeDocuments(folder / "x", {500, 500, 501});
  absl::StatusOr<PackedDataset> data = PackedDataset::open(folder / "x", {10, 9, true, 5000});
  ASSERT_TRUE(data.ok());
  ASSERT_EQ(data->rowsPerEpoch(), 150);
  std::vector<std::vector<int32_t>> orders;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int32_t> order;
    for (int64_t i = 0; i < 150; ++i)
      order.push_back(rowOf(*data, epoch * 150 + i).tokens[0]);
    EXPECT_EQ(std::set<int32_t>(order.begin(), order.end()).size(), 150u);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
  absl::StatusOr<PackedDataset> otherSeed = PackedDataset::open(folder / "x", {10, 10, true, 5000});
  EXPECT_NE(rowOf(*otherSeed, 0).tokens[0] == orders[0][0] && rowOf(*otherSeed, 1).tokens[0] == orders[0][1], true);
}

TEST(PackedDataset, APositionIsAllThatResumingNeeds) {
  TemporaryFolder folder;
  writeDocuments(folder / "x", {300, 700, 1001});
  PackingOptions options{16, 4, true, 5000};
  absl::StatusOr<PackedDataset> unbroken = PackedDataset::open(folder / "x", options);
  absl::StatusOr<PackedDataset> resumed = PackedDataset::open(folder / "x", options);
  ASSERT_TRUE(unbroken.ok() && resumed.ok());
  // One process in batches of 8 from the start; another, later, in two halves of 4 from sample 800.
  for (int64_t step = 100; step < 120; ++step) {
    std::vector<int32_t> whole[3], halves[3];
    for (int i = 0; i < 3; ++i)
      whole[i].resize(8 * 16), halves[i].resize(8 * 16);
    ASSERT_TRUE(unbroken->fillRows(step * 8, 8, whole[0], whole[1], whole[2]).ok());
    for (int64_t half = 0; half < 2; ++half) {
      auto part = [&](int i) { return std::span(halves[i]).subspan(static_cast<size_t>(half) * 64, 64); };
      ASSERT_TRUE(resumed->fillRows(step * 8 + half * 4, 4, part(0), part(1), part(2)).ok());
    }
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(whole[i], halves[i]);
  }
}

TEST(PackedDataset, NamesWhatDoesNotFit) {
  TemporaryFolder folder;
  writeDocuments(folder / "x", {10});
  EXPECT_THAT(std::string(PackedDataset::open(folder / "x", {10, 0, true, 5000}).status().message()),
              HasSubstr("x.bin: 10 tokens are less than one row"));
  EXPECT_FALSE(PackedDataset::open(folder / "x", {0, 0, true, 5000}).ok());
  EXPECT_EQ(PackedDataset::open(folder / "y", {4, 0, true, 5000}).status().code(), absl::StatusCode::kNotFound);
  writeDocuments(folder / "e", {});
  EXPECT_FALSE(PackedDataset::open(folder / "e", {1, 0, true, 5000}).ok()) << "an empty set";
  absl::StatusOr<PackedDataset> data = PackedDataset::open(folder / "x", {4, 0, false, 7});
  ASSERT_TRUE(data.ok());
  std::vector<int32_t> a(4), b(4), c(4), small(3);
  EXPECT_TRUE(data->fillRow(0, a, b, c).ok());
  EXPECT_THAT(std::string(data->fillRow(1, a, b, c).message()), HasSubstr("token 7 at byte offset 14"));
  EXPECT_FALSE(data->fillRow(0, a, small, c).ok());
  EXPECT_FALSE(data->fillRow(-1, a, b, c).ok());
}

} // namespace
} // namespace oriel::trainer
