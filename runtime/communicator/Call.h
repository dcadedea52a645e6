// One call of a collective, as it is named in errors. Shared by all backends, so that they speak alike.
#ifndef ORIEL_RUNTIME_COMMUNICATOR_CALL_H
#define ORIEL_RUNTIME_COMMUNICATOR_CALL_H

#include "runtime/base/Clock.h"

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include <cstdint>
#include <string>
#include <vector>

namespace oriel::runtime {

struct Call {
  const char *op = "";   // "all_gather", …
  uint64_t sequence = 0; // counts the calls of this rank from 1
  int rank = 0, size = 1;
  int64_t bytes = 0;      // per rank
  const char *dtype = ""; // "f32", or "" for bytes
  int root = 0;           // of a broadcast

  /// all_gather #412 (rank 3 of 4, 8.0 MiB per rank, f32)
  std::string describe() const;
  /// DeadlineExceeded: …: no answer from rank 1, 2 within 30 s
  absl::Status timedOut(const std::vector<int> &peers, Deadline deadline) const;
  /// Unavailable: …: an earlier operation of this group failed: <why>
  absl::Status broken(const absl::Status &why) const;
  /// FailedPrecondition: …: <why>
  absl::Status misused(absl::string_view why) const;

  /// Whether two ranks mean the same operation.
  bool agreesWith(const Call &other) const;
};

} // namespace oriel::runtime

#endif
