// Checkpoints of a running job: every rank writes its shard, the ranks vote through the coordinator, rank 0 publishes.
// All of that happens while training goes on. A checkpoint that cannot be written costs a warning, not the run: older
// ones stay and the next interval tries again.
#pragma once

#include "trainer/checkpoint/BackgroundSave.h"
#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/loop/ControlPlane.h"
#include "trainer/state/ModelState.h"

#include <optional>
#include <string>

namespace oriel::trainer {

class Checkpointer {
public:
  /// `deadlineSeconds`: how long a rank waits in the vote for the others.
  Checkpointer(CheckpointStore &store, ModelState &state, ControlPlane &control, runtime::Communicator &communicator,
               double deadlineSeconds);

  /// Starts to save the state as it is now, in the background. The result of the save before must have been taken.
  /// `last`: the state will not change before this save has been waited for, so that no copy is made.
  absl::Status begin(const CheckpointInfo &info, bool last);

  /// The result of a save that has ended, once; wait() also waits for one that is under way. `fatal` is set only when
  /// the job itself is over (the coordinator is gone or has failed the job).
  std::optional<SaveResult> poll() { return save_.poll(); }
  std::optional<SaveResult> wait() { return save_.wait(); }

private:
  ModelState &state_;
  BackgroundSave save_;
};

/// Collective. Loads the newest good checkpoint into `state` on every rank and checks that all took the same one.
/// Nothing when the folder has none. An error when there are some and all are damaged, or when they are of another
/// model.
absl::StatusOr<std::optional<LoadedCheckpoint>> resume(CheckpointStore &store, ModelState &state,
                                                       runtime::Communicator &communicator, double deadlineSeconds);

/// Collective. Puts the weights of the checkpoint that `path` names (itself, or the newest good one below it) into a state
/// that has been initialized; moments stay as they are. Errors as of resume().
absl::StatusOr<LoadedCheckpoint> takeWeights(const std::string &path, ModelState &state,
                                             runtime::Communicator &communicator, double deadlineSeconds);

} // namespace oriel::trainer
