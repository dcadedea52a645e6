// The folders that a run writes to, before it does: what is wrong with them is known at once, so no one shall wait for
// the compiler to hear of it.
#pragma once

#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/config/job.pb.h"

#include "absl/status/status.h"

namespace oriel::trainer {

/// Makes nothing. Whether run_dir, checkpoint.dir and metrics.dir are there or could be made, and could be written to;
/// no other run holds run_dir; and refuseToMixRuns. Errors name the key. What only writing tells (a full disk) is not
/// seen.
absl::Status checkRunFolders(const Job &job, const CheckpointStore &store);

/// Checkpoints are ordered by their step: those of a run that starts over among those of an older one would be pruned
/// as the older ones, and the next start would go on from the other run. FailedPrecondition where that would happen.
absl::Status refuseToMixRuns(const Job &job, const CheckpointStore &store);

} // namespace oriel::trainer
