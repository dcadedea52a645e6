// Collectives of ranks on device memory, without a detour through the host. The executor uses them for the collective
// steps of a plan where it is given one; the Communicator still carries everything that lies in host memory.
#ifndef ORIEL_RUNTIME_COMMUNICATOR_DEVICECOLLECTIVES_H
#define ORIEL_RUNTIME_COMMUNICATOR_DEVICECOLLECTIVES_H

#include "runtime/base/Clock.h"
#include "runtime/base/DType.h"

#include "absl/status/status.h"

#include <cstdint>

namespace oriel::runtime {

/// Calls block until this rank's part is done. Deadlines, errors and order are those of Communicator.h.
class DeviceCollectives {
public:
  virtual ~DeviceCollectives() = default;

  /// In place, as Communicator::allGather.
  virtual absl::Status allGather(void *data, int64_t count, DType dtype, Deadline deadline) = 0;
  /// In place: this rank's slice of `count` elements becomes the sum over ranks, in the library's own order (which may
  /// differ between numbers of ranks, unlike Communicator::reduceScatterTree); the other slices are undefined. F32
  /// only.
  virtual absl::Status reduceScatter(void *data, int64_t count, DType dtype, Deadline deadline) = 0;
};

} // namespace oriel::runtime

#endif
