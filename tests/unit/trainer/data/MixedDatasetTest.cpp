// Mixtures: whole-number shares, an even cycle, every row of every part in its turn, and the errors.
#include "trainer/data/MixedDataset.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>
#include <numeric>

namespace oriel::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kRow = 4;

/// A file of `rows` rows whose tokens count up from `first`.
std::string writeRows(const TemporaryFolder &folder, const std::string &name, int32_t first, int64_t rows) {
  std::string prefix = folder / name;
  absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::create(prefix, 5000);
  EXPECT_TRUE(writer.ok()) << writer.status();
  std::vector<int32_t> ids(static_cast<size_t>(rows * kRow + 1));
  std::iota(ids.begin(), ids.end(), first);
  EXPECT_TRUE(writer->addDocument(ids).ok());
  EXPECT_TRUE(writer->finish().ok());
  return prefix;
}

PackingOptions inOrder() { return {kRow, 0, /*shuffle=*/false, 5000}; }

TEST(Apportion, GivesWholeNumbersInProportionAndAtLeastOne) {
  EXPECT_THAT(apportion(std::vector<double>{3, 1}, 4), ElementsAre(3, 1));
  EXPECT_THAT(apportion(std::vector<double>{0.7, 0.2, 0.1}, 10), ElementsAre(7, 2, 1));
  EXPECT_THAT(apportion(std::vector<double>{1, 1, 1}, 10), ElementsAre(4, 3, 3));
  EXPECT_THAT(apportion(std::vector<double>{1e9, 1e-9}, 10), ElementsAre(9, 1));
  EXPECT_THAT(apportion(std::vector<double>{5, 5, 5}, 3), ElementsAre(1, 1, 1));
  EXPECT_THAT(apportion(std::vector<double>{42}, 1), ElementsAre(1));
}

TEST(MixedDataset, DealsThePartsEvenly) {
  TemporaryFolder folder;
  std::vector<std::string> prefixes{writeRows(folder, "a", 0, 5), writeRows(folder, "b", 1000, 3),
                                    writeRows(folder, "c", 2000, 2)};
  std::vector<double> weights{0.62, 0.37, 0.01};
  absl::StatusOr<MixedDataset> data = MixedDataset::open(prefixes, weights, inOrder());
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->rowsPerEpoch(), 10);
  std::vector<int64_t> seen(3, 0);
  for (int64_t sample = 0; sample < 3 * MixedDataset::kCycle; ++sample) {
    MixedDataset::Place place = data->placeOf(sample);
    ASSERT_EQ(place.sample, seen[place.part]++) << "the rows of a part come in its own order, sample " << sample;
    for (size_t part = 0; part < 3; ++part)
      ASSERT_LT(std::abs(static_cast<double>(seen[part]) - data->share(part) * static_cast<double>(sample + 1)), 1.0)
          << "sample " << sample << ", part " << part;
  }
  for (size_t part = 0; part < 3; ++part)
    EXPECT_NEAR(data->share(part), weights[part], 1.0 / MixedDataset::kCycle);
}

TEST(MixedDataset, FillsRowsOfTheirPartsWithTheirOwnEpochs) {
  TemporaryFolder folder;
  std::vector<std::string> prefixes{writeRows(folder, "a", 0, 9), writeRows(folder, "b", 1000, 2)};
  std::vector<double> weights{1, 1};
  absl::StatusOr<MixedDataset> data = MixedDataset::open(prefixes, weights, inOrder());
  ASSERT_TRUE(data.ok()) << data.status();
  constexpr int64_t count = 8;
  std::vector<int32_t> tokens(count * kRow), targets(count * kRow), docStart(count * kRow);
  ASSERT_TRUE(data->fillRows(0, count, tokens, targets, docStart).ok());
  std::vector<int32_t> firsts;
  for (int64_t row = 0; row < count; ++row) {
    firsts.push_back(tokens[row * kRow]);
    EXPECT_EQ(targets[row * kRow], firsts.back() + 1);
  }
  EXPECT_THAT(firsts, ElementsAre(0, 1000, 4, 1004, 8, 1000, 12, 1004));
  std::vector<int32_t> later(4 * kRow), laterTargets(4 * kRow), laterStarts(4 * kRow);
  ASSERT_TRUE(data->fillRows(3, 4, later, laterTargets, laterStarts).ok());
  EXPECT_TRUE(std::equal(later.begin(), later.end(), tokens.begin() + 3 * kRow)) << "resumed at sample 3";
}

TEST(MixedDataset, OfOnePartIsThatPart) {
  TemporaryFolder folder;
  std::vector<std::string> prefixes{writeRows(folder, "a", 0, 7)};
  PackingOptions shuffled{kRow, 11, /*shuffle=*/true, 5000};
  absl::StatusOr<MixedDataset> mixed = MixedDataset::open(prefixes, {}, shuffled);
  absl::StatusOr<PackedDataset> alone = PackedDataset::open(prefixes[0], shuffled);
  ASSERT_TRUE(mixed.ok() && alone.ok());
  EXPECT_EQ(mixed->share(0), 1.0);
  std::vector<int32_t> a(20 * kRow), b(20 * kRow), unused(20 * kRow), starts(20 * kRow);
  ASSERT_TRUE(mixed->fillRows(5, 20, a, unused, starts).ok());
  ASSERT_TRUE(alone->fillRows(5, 20, b, unused, starts).ok());
  EXPECT_EQ(a, b);
}

TEST(MixedDataset, WithoutWeightsPartsCountByTheirRows) {
  TemporaryFolder folder;
  std::vector<std::string> prefixes{writeRows(folder, "a", 0, 30), writeRows(folder, "b", 1000, 10)};
  absl::StatusOr<MixedDataset> data = MixedDataset::open(prefixes, {}, inOrder());
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_DOUBLE_EQ(data->share(0), 0.75);
  EXPECT_DOUBLE_EQ(data->share(1), 0.25);
}

TEST(MixedDataset, NamesWhatIsWrong) {
  TemporaryFolder folder;
  std::vector<std::string> prefixes{writeRows(folder, "a", 0, 3), writeRows(folder, "b", 0, 3)};
  auto errorOf = [&](std::vector<double> weights) {
    return MixedDataset::open(prefixes, weights, inOrder()).status().ToString();
  };
  EXPECT_THAT(errorOf({1}), HasSubstr("2 token files (1 to 65536) with 1 weights"));
  EXPECT_THAT(errorOf({1, 0}), HasSubstr("the weight 0: weights are above 0"));
  EXPECT_THAT(errorOf({1, NAN}), HasSubstr("the weight nan"));
  prefixes[1] = folder / "absent";
  EXPECT_THAT(errorOf({1, 1}), HasSubstr("absent.idx"));
}

} // namespace
} // namespace oriel::trainer
