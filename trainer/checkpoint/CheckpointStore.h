// The folder of checkpoints of a run, committed by a vote and read back only when every byte is right.
//
//   <dir>/step-000000500/manifest.json                     everything about it, with size and XXH3-128 of each shard
//   <dir>/step-000000500/shard-00000-of-00002.safetensors  what rank 0 owns of params, adam_m, adam_v: ranges of elements
//   <dir>/step-000000900.tmp-<transaction>/                being written; removed by abort() and by sweep()
//   <dir>/latest                                           the name of the newest commit, for people and scripts
//
// Protocol. Every rank calls prepare() (write and fsync its shard and a note with its checksum). When all ranks said
// yes, rank 0 calls commit(): it checks that every note is there, writes and fsyncs the manifest and the folder,
// renames the folder, and fsyncs the parent. The rename is the commit point: before it the checkpoint does not exist,
// after it it is complete. If any rank failed, rank 0 calls abort() and training goes on with the older checkpoints.
//
// Loading never trusts a name or a time: load() verifies a candidate fully (manifest, sizes, checksums, shard contents)
// and falls back to the next older one, with the reason. Slices are cut out of any world size for any other, because
// the flat layout up to `usedElements` is the same for all.
//
// All ranks see the same folder (shared file system). One process must not call two functions of a store at once.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace oriel::trainer {

/// Name, shape and place of one parameter in the flat vector; checkpoints refuse a plan whose list differs.
struct ParameterPlace {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset = 0;
  bool operator==(const ParameterPlace &) const = default;
};

/// Everything of a checkpoint but the numbers; the same on every rank.
struct CheckpointInfo {
  int64_t step = 0;     // optimizer steps done
  int64_t position = 0; // samples consumed: the number of the next one
  uint64_t seed = 0;
  std::string runId;
  std::string planFingerprint;
  std::string configHash;   // jobNumericsHash
  int64_t usedElements = 0; // of the flat vector; the rest is padding
  std::vector<ParameterPlace> parameters;
  std::map<std::string, std::string> extra; // free facts: model text, tokenizer, validation loss …
};

/// Elements [first, first + count) of the flat vectors.
struct ElementRange {
  int64_t first = 0, count = 0;
  bool operator==(const ElementRange &) const = default;
};

/// A range that this rank owns: elements [first, first + params.size()) of each flat vector. Spans outlive the call.
struct ShardSlice {
  int64_t first = 0;
  std::span<const float> params, adamM, adamV;
  ElementRange range() const { return {first, static_cast<int64_t>(params.size())}; }
};
using ShardSlices = std::vector<ShardSlice>; // all of a rank, ascending

/// Where a loaded range goes; elements behind the saved ones are set to zero.
struct ShardTarget {
  int64_t first = 0;
  std::span<float> params, adamM, adamV; // adamM, adamV may be empty (evaluation, export)
};
using ShardTargets = std::vector<ShardTarget>;

struct LoadedCheckpoint {
  CheckpointInfo info;
  std::string path;                 // the folder
  std::vector<std::string> skipped; // newer ones that were refused, each with its reason
};

/// The checkpoint folder that a path names: itself, or the newest below it that verifies. `skipped`: newer ones that do
/// not, each with its reason. NotFound, with these reasons, when there is none.
absl::StatusOr<std::string> findGoodCheckpoint(const std::string &path, std::vector<std::string> &skipped);

class CheckpointStore {
public:
  /// `keep` newest commits stay (at least one).
  explicit CheckpointStore(std::string dir, int keep = 3);

  /// Phase one, on every rank. `transaction` is a name (letters, digits, '-') that all ranks agreed on for this try.
  absl::Status prepare(const CheckpointInfo &info, const ShardSlices &slices, int rank, int world,
                       const std::string &transaction);

  /// Phase two, on rank 0 alone, after every rank's prepare() returned OK. Returns the folder. On an error the
  /// checkpoint is not committed and its temporary folder is removed.
  absl::StatusOr<std::string> commit(const CheckpointInfo &info, int world, const std::string &transaction);

  /// Instead of commit(), on rank 0 alone. Missing folders are fine.
  absl::Status abort(int64_t step, const std::string &transaction);

  /// Removes temporary folders of dead tries and commits beyond `keep`; never the newest that verifies. Rank 0 at
  /// start.
  absl::Status sweep();

  /// The newest checkpoint that verifies, its info and this rank's slices. NotFound when there is none; DataLoss,
  /// listing each reason, when all are damaged; FailedPrecondition when it is of a model whose parameters are not
  /// `expected` (null: any).
  absl::StatusOr<LoadedCheckpoint> loadNewest(const ShardTargets &targets,
                                              const std::vector<ParameterPlace> *expected = nullptr);

  /// One given checkpoint folder, no fallback.
  static absl::StatusOr<LoadedCheckpoint> load(const std::string &folder, const ShardTargets &targets,
                                               const std::vector<ParameterPlace> *expected = nullptr);

  /// Only the info, after checking manifest and checksums (`oriel status`, `oriel eval`, picking a common step).
  static absl::StatusOr<CheckpointInfo> verify(const std::string &folder);

  /// Steps of committed folders, ascending, not verified.
  std::vector<int64_t> steps() const;
  std::string folderOfStep(int64_t step) const;
  const std::string &dir() const { return dir_; }

private:
  std::string temporaryFolder(int64_t step, const std::string &transaction) const;
  /// Removes commits beyond `keep_`, unless none of those that stay verifies.
  absl::Status prune();

  std::string dir_;
  int keep_;
};

} // namespace oriel::trainer
