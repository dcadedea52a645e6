// A checkpoint written while training goes on: begin() copies this rank's slices, a thread does the rest (prepare,
// vote, commit or abort). The copy costs three slices of memory, made at the first save and used again.
//
// Every rank has one. They need not be in step with each other: the vote is what brings them together, and it happens
// in the threads, so that no rank holds up another's training. At most one save is under way per rank.
#pragma once

#include "trainer/checkpoint/CheckpointStore.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace oriel::trainer {

struct SaveResult {
  int64_t step = 0;
  bool committed = false;
  std::string folder; // of a committed one, on rank 0
  std::string reason; // why it was not committed: older checkpoints stay, training may go on
  absl::Status fatal; // the vote itself failed: the job is over
};

class BackgroundSave {
public:
  struct Decision {
    bool commit = false;
    std::string reason; // of an abort
  };
  struct Hooks {
    /// Blocks until all ranks have voted. Called from the thread.
    std::function<absl::StatusOr<Decision>(int64_t step, const absl::Status &prepared)> vote;
    /// Called at the phases "prepare", "vote", "commit", "committed"; may be empty. An error of "prepare" is voted
    /// about, an error of another phase is fatal.
    std::function<absl::Status(const char *phase, int64_t step)> phase;
  };

  BackgroundSave(CheckpointStore &store, int rank, int world, Hooks hooks)
      : store_(store), rank_(rank), world_(world), hooks_(std::move(hooks)) {}
  /// Waits for the thread; its result is lost.
  ~BackgroundSave();
  BackgroundSave(const BackgroundSave &) = delete;

  /// What happens to the slices while the save is under way: with Changing ones a copy is saved.
  enum class Slices { Changing, Still };
  /// Starts a save. FailedPrecondition while the result of the one before has not been taken.
  absl::Status begin(const CheckpointInfo &info, const ShardSlices &slices, const std::string &transaction,
                     Slices during = Slices::Changing);

  /// The result of a save that has ended, once. Does not block.
  std::optional<SaveResult> poll();
  /// The same, but waits for one that is under way. Nothing when there is none.
  std::optional<SaveResult> wait();

private:
  ShardSlices takeSnapshot(const ShardSlices &slices);
  SaveResult run(const CheckpointInfo &info, const ShardSlices &slices, const std::string &transaction);
  absl::Status phase(const char *name, int64_t step) const;

  CheckpointStore &store_;
  const int rank_, world_;
  const Hooks hooks_;
  std::vector<float> params_, adamM_, adamV_; // range behind range
  std::thread thread_;
  std::atomic<bool> ended_{false};
  SaveResult result_; // the thread's until ended_
};

} // namespace oriel::trainer
