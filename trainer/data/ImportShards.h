// Token shards in the format of llm.c (FineWeb and others are published so), turned into one token file.
//
//   SHARD.bin   i32 header[256]: magic, version, tokens N, zeros | ids[N], little endian
//               magic 20240520 (version 1): ids of GPT-2, u16        magic 20240801 (version 7): ids of Llama 3, u32
//
// There a separator stands before each document, and a document may go on in the next shard. Here the
// end-of-document id stands behind each: the stream of shards is cut at its separators.
#pragma once

#include "trainer/data/TokenizeCorpus.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace oriel::trainer {

struct ImportOptions {
  std::vector<std::string> shards;    // in the order of the stream
  std::optional<int32_t> separator{}; // without: 50256 in shards of GPT-2, 128000 in those of Llama 3
  std::optional<int32_t> vocab{};     // ids there are; without: 50257, 128256
};

/// Writes PREFIX.bin/.idx. Empty documents are left out. InvalidArgument, with path and byte offset, when a shard is
/// damaged, of another kind than the first, or has an id outside the vocabulary; then no file is made or changed.
absl::StatusOr<TokenSet> importShards(const ImportOptions &options, const std::string &prefix);

} // namespace oriel::trainer
