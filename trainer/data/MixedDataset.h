// Several token files as one endless sequence of training rows: a mixture with weights.
//
// Samples are dealt out in a cycle of kCycle, of which part i has n_i, its weight in whole samples (at least one). Inside
// the cycle the parts alternate as evenly as they can: at every place the part that is furthest behind its share is next.
// So a batch is a small copy of the mixture, and where sample s comes from is a pure function of s: like a PackedDataset,
// a mixture is resumed by one integer. A part that is used up begins its next epoch, whatever the others do.
//
//   n = 3, 1 of a cycle of 4      sample   0   1   2   3   4   5   6 …
//                                 part     0   0   1   0   0   0   1 …
//                                 its row  0   1   0   2   3   4   1 …    (before its own shuffle)
//
// A mixture of one part is that part, sample by sample.
#pragma once

#include "trainer/data/PackedDataset.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace oriel::trainer {

class MixedDataset {
public:
  static constexpr int64_t kCycle = 1 << 16;

  /// Opens every PREFIX.bin/.idx. `weights` (above 0, in any scale) has one entry for each, or none: then the parts weigh
  /// what they have in rows, as if they were one file. Errors as of PackedDataset::open().
  static absl::StatusOr<MixedDataset> open(std::span<const std::string> prefixes, std::span<const double> weights,
                                           const PackingOptions &options);

  const std::vector<PackedDataset> &parts() const { return parts_; }
  /// Of all samples, the part's.
  double share(size_t part) const;
  int64_t rowsPerEpoch() const; // of all parts

  struct Place {
    size_t part = 0;
    int64_t sample = 0; // of that part
  };
  /// Where sample number `sample` >= 0 comes from.
  Place placeOf(int64_t sample) const;

  /// Fills `count` consecutive samples, row major [count, rowTokens] (PackedDataset::fillRows). Thread safe.
  absl::Status fillRows(int64_t firstSample, int64_t count, std::span<int32_t> tokens, std::span<int32_t> targets,
                        std::span<int32_t> docStart) const;

private:
  struct Turn {
    uint32_t part = 0, ordinal = 0; // the ordinal-th of that part in the cycle
  };
  MixedDataset(std::vector<PackedDataset> parts, std::vector<int64_t> perCycle);

  std::vector<PackedDataset> parts_;
  std::vector<int64_t> perCycle_; // n_i
  std::vector<Turn> cycle_;
};

/// `total` in whole numbers of at least one, in proportion to `weights` (above 0, at most `total` of them): rounded down,
/// and what is left over goes to the largest remainders.
std::vector<int64_t> apportion(std::span<const double> weights, int64_t total);

} // namespace oriel::trainer
