// A token file as an endless, shuffled sequence of training rows, addressed by one integer.
//
// The tokens of all documents form one stream of N tokens (N-1 predictions). Row w of an epoch covers the stream
// positions [w*T, w*T + T]: T inputs and, shifted by one, T targets. Sample s lies in epoch s / rowsPerEpoch and is row
// permutation_epoch(s mod rowsPerEpoch), where the permutation is a keyed bijection that needs no memory
// (Permutation.h). So a sample is a pure function of (seed, s): to resume, one stores s and nothing else, whatever the
// number of ranks or the batch size is afterwards.
//
//   stream    a b c $ | d e $ | f g h i $          $ closes its document          T = 4
//   row 0     tokens a b c $   targets b c $ d     doc_start 0 0 0 0
//   row 1     tokens d e $ f   targets e $ f g     doc_start 0 0 0 3
//
// doc_start[t] is the first position of this row that belongs to the document of token t; a document that began
// before the row starts at 0.
#pragma once

#include "trainer/data/TokenFile.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <span>
#include <string>

namespace oriel::trainer {

struct PackingOptions {
  int64_t rowTokens = 0; // T
  uint64_t seed = 0;
  bool shuffle = true; // false: stream order (validation)
  int32_t vocab = 0;   // a token id >= vocab is an error that names file and offset
};

class PackedDataset {
public:
  /// Opens PREFIX.bin/.idx. InvalidArgument when the set holds less than one row.
  static absl::StatusOr<PackedDataset> open(const std::string &prefix, const PackingOptions &options);

  int64_t rowTokens() const { return options_.rowTokens; }
  int64_t rowsPerEpoch() const { return rows_; }
  int64_t streamTokens() const { return file_.tokenCount(); }
  const TokenFile &file() const { return file_; }

  /// Fills one row (each span has rowTokens elements) with sample number `sample` >= 0. Thread safe.
  absl::Status fillRow(int64_t sample, std::span<int32_t> tokens, std::span<int32_t> targets,
                       std::span<int32_t> docStart) const;

  /// Fills `count` consecutive samples, row major [count, rowTokens]: micro-batch m (global index over all ranks) of
  /// the step that starts at `position` holds the samples position + m * microRows + [0, microRows).
  absl::Status fillRows(int64_t firstSample, int64_t count, std::span<int32_t> tokens, std::span<int32_t> targets,
                        std::span<int32_t> docStart) const;

private:
  PackedDataset(TokenFile file, const PackingOptions &options, int64_t rows);
  int64_t streamRow(int64_t sample) const;

  TokenFile file_;
  PackingOptions options_;
  int64_t rows_ = 0;
};

} // namespace oriel::trainer
