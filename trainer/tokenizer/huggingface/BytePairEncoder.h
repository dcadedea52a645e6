// Byte-pair encoding (Sennrich et al., arXiv 1508.07909): a word begins as its units; as long as two neighbours have a
// merge, the pair of the lowest rank, and of equal ones the leftmost, becomes one token.
//
// A word of n units costs O(n log n) by a queue of pairs; a word that is itself a token, which most words are, costs
// one look-up.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oriel::trainer::huggingface {

/// Thread safe after creation.
class BytePairEncoder {
public:
  struct Model {
    std::vector<std::pair<std::string, int32_t>> vocab; // texts, as they occur in words, and ids
    std::vector<std::pair<std::string, std::string>> merges;
    std::array<int32_t, 256> byteIds; // the token of each byte
    /// Units are bytes; else characters, and only those that are no token fall back to bytes.
    bool overBytes = true;
    /// A word that is a token is that token, even where merging would give others.
    bool ignoreMerges = false;
  };

  /// InvalidArgument when a merge names a token that is not there.
  static absl::StatusOr<BytePairEncoder> create(const Model &model);

  /// Appends the ids of a word.
  void encode(std::string_view word, std::vector<int32_t> &ids) const;

private:
  struct Entry {
    int32_t id;
    bool whole; // the word with this text is this token
  };
  struct Merge {
    int32_t rank, id;
  };
  using Pair = std::pair<int32_t, int32_t>;

  BytePairEncoder() = default;
  const Entry *find(std::string_view text) const;
  absl::Status addMerge(const std::string &left, const std::string &right, int32_t rank);
  std::vector<int32_t> unitsOf(std::string_view word) const;
  void mergeInto(const std::vector<int32_t> &units, std::vector<int32_t> &ids) const;

  absl::flat_hash_map<std::string, Entry> vocab_;
  absl::flat_hash_map<Pair, Merge> merges_;
  std::array<int32_t, 256> byteIds_{};
  bool overBytes_ = true;
  size_t longest_ = 0; // bytes of the longest token
};

} // namespace oriel::trainer::huggingface
