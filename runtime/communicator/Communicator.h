// What ranks say to each other: six collectives behind one interface, for threads in one process (local/) and
// processes under mpirun (mpi/). What lies in GPU memory may go by NCCL: DeviceCollectives.h.
//
// Every rank of a group calls the same operations in the same order with the same sizes. Each call blocks until this
// rank's part is done and takes a deadline; no wait is unbounded. When a deadline passes the call returns
// DeadlineExceeded and the group is broken for good: every later call fails at once, and the caller should leave the
// process by _exit, because a library below may still wait. Messages name op, sequence number, rank, size and peers:
//   all_gather #412 (rank 3 of 4, 8.0 MiB per rank, f32): no answer from rank 1, 2 within 30 s
// One thread at a time may use a communicator. After a warm-up nothing here allocates, except in allGatherBytes.
#ifndef ORIEL_RUNTIME_COMMUNICATOR_COMMUNICATOR_H
#define ORIEL_RUNTIME_COMMUNICATOR_COMMUNICATOR_H

#include "runtime/base/Clock.h"
#include "runtime/base/DType.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace oriel::runtime {

class Communicator {
public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// "local" or "mpi".
  virtual absl::string_view backend() const = 0;

  /// In place: `data` holds size() slices of `count` elements; rank r's own is slice r; afterwards all are filled.
  virtual absl::Status allGather(void *data, int64_t count, DType dtype, Deadline deadline) = 0;

  /// In place: `data` holds size() slices of `count` elements. Afterwards this rank's slice is the sum of all ranks'
  /// versions of it, added in the fixed tree order of TreeOrder.h; the other slices are unchanged. `scratch` holds
  /// (size()-1)*count elements. F32 only.
  virtual absl::Status reduceScatterTree(void *data, void *scratch, int64_t count, DType dtype, Deadline deadline) = 0;

  /// `bytes` bytes from rank `root` to all.
  virtual absl::Status broadcast(void *data, int64_t bytes, int root, Deadline deadline) = 0;

  virtual absl::Status barrier(Deadline deadline) = 0;

  /// Every rank's message, in rank order; lengths may differ. For small control data.
  virtual absl::StatusOr<std::vector<std::string>> allGatherBytes(absl::string_view message, Deadline deadline) = 0;
};

/// True under mpirun (or another launcher that speaks PMI/PMIx).
bool launchedByMpi();

/// The communicator of the whole job: MPI under mpirun, else a group of one. FailedPrecondition under mpirun in a build
/// without MPI. Call once, before other threads start.
absl::StatusOr<std::unique_ptr<Communicator>> createWorldCommunicator();

} // namespace oriel::runtime

#endif
