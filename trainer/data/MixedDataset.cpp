// The cycle of a mixture, and rows by way of it.
#include "trainer/data/MixedDataset.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace oriel::trainer {

std::vector<int64_t> apportion(std::span<const double> weights, int64_t total) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  // One for each; the rest in proportion to what the parts lack.
  const int64_t rest = total - static_cast<int64_t>(weights.size());
  std::vector<int64_t> counts;
  std::vector<double> remainders;
  double lacking = 0;
  for (double weight : weights)
    lacking += std::max(0.0, weight / sum * static_cast<double>(total) - 1);
  for (double weight : weights) {
    double share = lacking > 0 ? std::max(0.0, weight / sum * static_cast<double>(total) - 1) / lacking : 0;
    double exact = share * static_cast<double>(rest);
    counts.push_back(1 + static_cast<int64_t>(std::floor(exact)));
    remainders.push_back(exact - std::floor(exact));
  }
  for (int64_t left = total - std::accumulate(counts.begin(), counts.end(), int64_t{0}); left > 0; --left) {
    auto largest = std::max_element(remainders.begin(), remainders.end());
    ++counts[static_cast<size_t>(largest - remainders.begin())];
    *largest = -1;
  }
  return counts;
}

MixedDataset::MixedDataset(std::vector<PackedDataset> parts, std::vector<int64_t> perCycle)
    : parts_(std::move(parts)), perCycle_(std::move(perCycle)) {
  const int64_t length = std::accumulate(perCycle_.begin(), perCycle_.end(), int64_t{0});
  std::vector<int64_t> given(parts_.size(), 0);
  // How far a part is behind its share, in samples times `length`: exact, so that every machine deals alike.
  auto behind = [&](size_t part) {
    return perCycle_[part] * (static_cast<int64_t>(cycle_.size()) + 1) - given[part] * length;
  };
  cycle_.reserve(static_cast<size_t>(length));
  while (static_cast<int64_t>(cycle_.size()) < length) {
    size_t next = 0;
    for (size_t part = 1; part < parts_.size(); ++part)
      if (behind(part) > behind(next))
        next = part;
    cycle_.push_back({static_cast<uint32_t>(next), static_cast<uint32_t>(given[next]++)});
  }
}

absl::StatusOr<MixedDataset> MixedDataset::open(std::span<const std::string> prefixes, std::span<const double> weights,
                                                const PackingOptions &options) {
  if (prefixes.empty() || prefixes.size() > kCycle || (!weights.empty() && weights.size() != prefixes.size()))
    return absl::InvalidArgumentError(
        fmt::format("a mixture of {} token files (1 to {}) with {} weights", prefixes.size(), kCycle, weights.size()));
  std::vector<PackedDataset> parts;
  std::vector<double> shares(weights.begin(), weights.end());
  for (const std::string &prefix : prefixes) {
    ORIEL_ASSIGN_OR_RETURN(PackedDataset part, PackedDataset::open(prefix, options));
    if (weights.empty())
      shares.push_back(static_cast<double>(part.rowsPerEpoch()));
    parts.push_back(std::move(part));
  }
  for (double share : shares)
    if (!std::isfinite(share) || share <= 0)
      return absl::InvalidArgumentError(fmt::format("a mixture with the weight {}: weights are above 0", share));
  std::vector<int64_t> perCycle = apportion(shares, parts.size() == 1 ? 1 : kCycle);
  return MixedDataset(std::move(parts), std::move(perCycle));
}

double MixedDataset::share(size_t part) const {
  return static_cast<double>(perCycle_[part]) / static_cast<double>(cycle_.size());
}

int64_t MixedDataset::rowsPerEpoch() const {
  int64_t rows = 0;
  for (const PackedDataset &part : parts_)
    rows += part.rowsPerEpoch();
  return rows;
}

MixedDataset::Place MixedDataset::placeOf(int64_t sample) const {
  const int64_t length = static_cast<int64_t>(cycle_.size());
  const Turn &turn = cycle_[static_cast<size_t>(sample % length)];
  return {turn.part, sample / length * perCycle_[turn.part] + turn.ordinal};
}

absl::Status MixedDataset::fillRows(int64_t firstSample, int64_t count, std::span<int32_t> tokens,
                                    std::span<int32_t> targets, std::span<int32_t> docStart) const {
  const size_t length = static_cast<size_t>(parts_[0].rowTokens()), elements = static_cast<size_t>(count) * length;
  if (firstSample < 0 || count < 0 || tokens.size() != elements || targets.size() != elements ||
      docStart.size() != elements)
    return absl::InvalidArgumentError(fmt::format("{} rows of {} tokens from sample {} into spans of {}, {} and {} elements",
                                                  count, length, firstSample, tokens.size(), targets.size(),
                                                  docStart.size()));
  for (int64_t row = 0; row < count; ++row) {
    const Place place = placeOf(firstSample + row);
    const size_t at = static_cast<size_t>(row) * length;
    ORIEL_RETURN_IF_ERROR(parts_[place.part].fillRow(place.sample, tokens.subspan(at, length),
                                                     targets.subspan(at, length), docStart.subspan(at, length)));
  }
  return absl::OkStatus();
}

} // namespace oriel::trainer
