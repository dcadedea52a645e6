// Checkpoints of a running job: every rank writes its shard, the ranks vote through the coordinator, rank 0 publishes.
// A checkpoint that cannot be written costs a warning, not the run: older ones stay and the next interval tries again.
#pragma once

#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/loop/ControlPlane.h"
#include "trainer/state/ModelState.h"

#include <optional>
#include <string>

namespace oriel::trainer {

struct SaveOutcome {
  bool committed = false;
  std::string folder; // of a committed one, on rank 0
  std::string reason; // why not
};

class Checkpointer {
public:
  Checkpointer(CheckpointStore &store, ModelState &state, ControlPlane &control, runtime::Communicator &communicator)
      : store_(store), state_(state), control_(control), communicator_(communicator) {}

  /// Collective. Errors only when the job itself is over (the coordinator is gone or has failed the job).
  absl::StatusOr<SaveOutcome> save(const CheckpointInfo &info, double deadlineSeconds);

private:
  CheckpointStore &store_;
  ModelState &state_;
  ControlPlane &control_;
  runtime::Communicator &communicator_;
};

/// Collective. Loads the newest good checkpoint into `state` on every rank and checks that all took the same one.
/// Nothing when the folder has none. An error when there are some and all are damaged, or when they are of another model.
absl::StatusOr<std::optional<LoadedCheckpoint>> resume(CheckpointStore &store, ModelState &state,
                                                       runtime::Communicator &communicator, double deadlineSeconds);

} // namespace oriel::trainer
