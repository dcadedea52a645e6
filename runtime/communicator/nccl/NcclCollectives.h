// NCCL behind DeviceCollectives: non-blocking, so that every wait has a deadline and sees the errors of peers.
#ifndef ORIEL_RUNTIME_COMMUNICATOR_NCCL_NCCLCOLLECTIVES_H
#define ORIEL_RUNTIME_COMMUNICATOR_NCCL_NCCLCOLLECTIVES_H

#include "runtime/communicator/Communicator.h"
#include "runtime/communicator/DeviceCollectives.h"
#include "runtime/communicator/nccl/Nccl.h"

#include "absl/status/statusor.h"

#include <functional>
#include <memory>

namespace oriel::runtime {

/// A CUDA stream whose context is current on the calling thread.
struct DeviceStream {
  void *handle = nullptr;
  std::function<absl::StatusOr<bool>()> idle; // whether all of its work is done
};

/// Collective: rank 0's NCCL id goes to all through `host`, which also names the ranks; it must outlive the object.
/// After an error the communicator is aborted and every later call fails.
absl::StatusOr<std::unique_ptr<DeviceCollectives>> createNcclCollectives(const nccl::Nccl &library, Communicator &host,
                                                                         DeviceStream stream, Deadline deadline);

} // namespace oriel::runtime

#endif
