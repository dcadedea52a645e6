// Samples to rows, and rows to tokens, targets and document starts.
#include "trainer/data/PackedDataset.h"
#include "trainer/data/Permutation.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>

namespace oriel::trainer {

PackedDataset::PackedDataset(TokenFile file, const PackingOptions &options, int64_t rows)
    : file_(std::move(file)), options_(options), rows_(rows) {}

absl::StatusOr<PackedDataset> PackedDataset::open(const std::string &prefix, const PackingOptions &options) {
  if (options.rowTokens < 1 || options.vocab < 1)
    return absl::InvalidArgumentError(
        fmt::format("{}: rows of {} tokens out of {} ids", prefix, options.rowTokens, options.vocab));
  ORIEL_ASSIGN_OR_RETURN(TokenFile file, TokenFile::open(prefix));
  const int64_t rows = (file.tokenCount() - 1) / options.rowTokens;
  if (rows < 1)
    return absl::InvalidArgumentError(fmt::format("{}: {} tokens are less than one row ({} tokens and one target more)",
                                                  file.binPath(), file.tokenCount(), options.rowTokens));
  return PackedDataset(std::move(file), options, rows);
}

int64_t PackedDataset::streamRow(int64_t sample) const {
  const int64_t epoch = sample / rows_, row = sample % rows_;
  if (!options_.shuffle)
    return row;
  // Any injective mix of seed and epoch will do: Permutation hashes its key.
  return Permutation(rows_, options_.seed * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(epoch))(row);
}

absl::Status PackedDataset::fillRow(int64_t sample, std::span<int32_t> tokens, std::span<int32_t> targets,
                                    std::span<int32_t> docStart) const {
  const int64_t length = options_.rowTokens;
  if (sample < 0 || tokens.size() != static_cast<size_t>(length) || targets.size() != tokens.size() ||
      docStart.size() != tokens.size())
    return absl::InvalidArgumentError(fmt::format("sample {} into spans of {}, {} and {} elements for rows of {}",
                                                  sample, tokens.size(), targets.size(), docStart.size(), length));
  const int64_t first = streamRow(sample) * length;
  ORIEL_RETURN_IF_ERROR(file_.read(first, tokens, options_.vocab));
  ORIEL_RETURN_IF_ERROR(file_.read(first + 1, targets, options_.vocab));
  int64_t document = file_.documentOf(first);
  for (int64_t t = 0; t < length;) {
    const int64_t end = std::min(length, file_.documentStart(document + 1) - first);
    const int64_t start = std::max<int64_t>(0, file_.documentStart(document) - first);
    for (; t < end; ++t)
      docStart[t] = static_cast<int32_t>(start);
    ++document;
  }
  return absl::OkStatus();
}

absl::Status PackedDataset::fillRows(int64_t firstSample, int64_t count, std::span<int32_t> tokens,
                                     std::span<int32_t> targets, std::span<int32_t> docStart) const {
  const size_t length = static_cast<size_t>(options_.rowTokens), elements = static_cast<size_t>(count) * length;
  if (count < 0 || tokens.size() != elements || targets.size() != elements || docStart.size() != elements)
    return absl::InvalidArgumentError(fmt::format("{} rows of {} tokens into spans of {}, {} and {} elements", count,
                                                  length, tokens.size(), targets.size(), docStart.size()));
  for (int64_t r = 0; r < count; ++r) {
    const size_t at = static_cast<size_t>(r) * length;
    ORIEL_RETURN_IF_ERROR(fillRow(firstSample + r, tokens.subspan(at, length), targets.subspan(at, length),
                                  docStart.subspan(at, length)));
  }
  return absl::OkStatus();
}

} // namespace oriel::trainer
