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
#include <functional>

namespace oriel::runtime {

/// Names an issued collective, ascending from 1.
using CollectiveTicket = uint64_t;

/// When a collective ran.
struct CollectiveTimes {
  CollectiveTicket ticket = 0;
  double start = 0, end = 0; // monotonicSeconds(), as exact as the polls of whoever waits
};

/// Deadlines, errors and the order of calls are those of Communicator.h. Issuing may wait for peers, too (to connect).
class DeviceCollectives {
public:
  virtual ~DeviceCollectives() = default;

  /// In place, as Communicator::allGather.
  virtual absl::StatusOr<CollectiveTicket> allGather(void *data, int64_t count, DType dtype, Deadline deadline) = 0;
  /// In place: this rank's slice of `count` elements becomes the sum over ranks; the other slices are undefined. F32
  /// only.
  virtual absl::StatusOr<CollectiveTicket> reduceScatter(void *data, int64_t count, DType dtype, Deadline deadline) = 0;

  /// What the device is given from now on runs after that collective, and after all that were issued before it.
  virtual absl::Status letDeviceWait(CollectiveTicket ticket) = 0;

  /// Blocks until the device has done all that it was given, or a collective failed. Collectives that it was not told
  /// to wait for may still run.
  virtual absl::Status finish(Deadline deadline) = 0;

  /// Has `observer` called, from within finish, for each collective that has ended, in order; empty: for none. Watching
  /// costs polls.
  virtual void watch(std::function<void(const CollectiveTimes &)> observer) = 0;
};

} // namespace oriel::runtime

#endif
