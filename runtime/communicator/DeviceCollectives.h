// Collectives of ranks on device memory, without a detour through the host. The executor uses them for the collective
// steps of a plan where it is given them; the Communicator still carries everything that lies in host memory.
//
// They run beside the device's own work, on a queue of their own, in the order in which they were issued. A collective
// starts after all work that the device was given before it; what the device is given after it does not wait for it
// unless letDeviceWait says so. Only `finish` blocks.
#ifndef ORIEL_RUNTIME_COMMUNICATOR_DEVICECOLLECTIVES_H
#define ORIEL_RUNTIME_COMMUNICATOR_DEVICECOLLECTIVES_H

#include "runtime/base/Clock.h"
#include "runtime/base/DType.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>

namespace oriel::runtime {

/// Names an issued collective, ascending from 1.
using CollectiveTicket = uint64_t;

/// Ranks first … last-1.
struct RankRange {
  int first = 0, last = 0;
};

/// Deadlines, errors and the order of calls are those of Communicator.h. Issuing may wait for peers, too (to connect).
class DeviceCollectives {
public:
  virtual ~DeviceCollectives() = default;

  /// In place, as Communicator::allGather, but only the slices of `owners` travel: all of them make a whole all-gather.
  virtual absl::StatusOr<CollectiveTicket> allGather(void *data, int64_t count, DType dtype, RankRange owners,
                                                     Deadline deadline) = 0;
  /// In place: this rank's slice of `count` elements becomes the sum over ranks; the other slices are undefined. F32
  /// only.
  virtual absl::StatusOr<CollectiveTicket> reduceScatter(void *data, int64_t count, DType dtype, Deadline deadline) = 0;

  /// What the device is given from now on runs after that collective, and after all that were issued before it.
  virtual absl::Status letDeviceWait(CollectiveTicket ticket) = 0;

  /// Blocks until the device has done all that it was given, or a collective failed. Collectives that it was not told
  /// to wait for may still run.
  virtual absl::Status finish(Deadline deadline) = 0;
};

} // namespace oriel::runtime

#endif
