// One outcome for all ranks. After a phase that every rank does by itself (reading the job, opening data, loading a
// checkpoint) the ranks exchange their statuses, so that all go on or all leave with the same error, told once.
#pragma once

#include "runtime/communicator/Communicator.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <string>

namespace oriel::trainer {

/// OK on every rank, or on every rank the error of the lowest rank that had one; it names the rank unless all failed
/// alike. A communicator error is returned as it is.
absl::Status agree(runtime::Communicator &communicator, const absl::Status &mine, runtime::Deadline deadline);

/// Marks an error that every rank has computed alike from shared numbers (a loss that is not finite).
absl::Status asAgreed(absl::Status status);
/// Whether every rank has this error (it came from agree, fromRankZero or asAgreed), so that only rank 0 needs to print
/// it.
bool isAgreed(const absl::Status &status);

/// Rank 0's `text`, or its error, on every rank.
absl::StatusOr<std::string> fromRankZero(runtime::Communicator &communicator, const absl::StatusOr<std::string> &text,
                                         runtime::Deadline deadline);

} // namespace oriel::trainer
