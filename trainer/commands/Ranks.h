// Private to this folder: how a command starts and ends when it may be one of several ranks.
#pragma once

#include "runtime/communicator/Communicator.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <memory>

namespace oriel::trainer {

/// The communicator of this program, with logging set up for its rank.
absl::StatusOr<std::unique_ptr<runtime::Communicator>> startRanks();

/// The same for commands that run in one process; InvalidArgument under `mpirun -n 2`.
absl::StatusOr<std::unique_ptr<runtime::Communicator>> startAlone(const char *command);

/// What a rank's command returns: an error that all ranks share stays silent above rank 0. An error of this rank alone
/// ends the process here, since the others may be waiting inside a library that cannot be left in order.
absl::Status endRanks(const absl::Status &status, const runtime::Communicator &communicator);

/// Prints the reason and leaves at once, without destructors or MPI_Finalize.
[[noreturn]] void leaveAtOnce(const absl::Status &reason);

} // namespace oriel::trainer
