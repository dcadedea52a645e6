// manifest.json of a checkpoint, and the notes that ranks leave for it. Internal to trainer/checkpoint.
//
// {"format": 2, "step": 500, "position": 8000, "seed": 1, "run_id": "…", "plan_fingerprint": "…", "config_hash": "…",
//  "used_elements": 1048576, "parameters": [{"name": "…", "shape": [64, 64], "offset": 0}, …], "extra": {…},
//  "shards": [{"file": "shard-00000-of-00002.safetensors", "bytes": 123, "xxh3_128": "…", "ranges": [[0, 262144], …]}, …],
//  "checksum": "…"}                         XXH3-128 of the file's text before `,"checksum"`: flips in the manifest show
//
// A range is its first element and how many there are. The shard has tensors params@F, adam_m@F and adam_v@F of each, F its
// first element.
#pragma once

#include "trainer/checkpoint/CheckpointStore.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <string>
#include <string_view>
#include <vector>

namespace oriel::trainer {

/// One file of a checkpoint: its checksum and the elements of the flat vectors that it holds.
struct ShardNote {
  std::string file;
  int64_t bytes = 0;
  std::string checksum;
  std::vector<ElementRange> ranges;
  bool operator==(const ShardNote &) const = default;
};

struct Manifest {
  CheckpointInfo info;
  std::vector<ShardNote> shards; // by rank; all their ranges together are contiguous from 0 and reach info.usedElements
};

std::string writeManifest(const Manifest &manifest);
/// InvalidArgument or DataLoss, naming `path`.
absl::StatusOr<Manifest> parseManifest(std::string_view text, const std::string &path);

/// A rank's note carries the identity of its try, so that commit() cannot pick up a stale one.
std::string writeNote(const ShardNote &note, int64_t step, const std::string &transaction);
absl::StatusOr<ShardNote> parseNote(std::string_view text, const std::string &path, int64_t step,
                                    const std::string &transaction);

std::string shardFileName(int rank, int world);
std::string noteFileName(int rank, int world);
/// Of the elements from `first` on of "params", "adam_m" or "adam_v", in a shard.
std::string tensorName(std::string_view vector, int64_t first);

} // namespace oriel::trainer
