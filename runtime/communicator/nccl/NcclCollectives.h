// NCCL behind DeviceCollectives: non-blocking, so that every wait has a deadline and sees the errors of peers.
//
// Ordered sums need no kernel of our own. NCCL may add the contributions of many ranks in any order, but between two
// ranks there is only one sum, a + b. So ranks add in pairs: first with the rank whose number differs in bit 0, then in
// bit 1, and so on, and at each level a rank keeps the half of its slices that it shares the next bit with. That is the
// tree of TreeOrder.h, and as many bytes travel as in a reduce-scatter by rings:
//   4 ranks, slice 0:   level 0   rank 0: x0 + x1      rank 2: x2 + x3
//                       level 1   rank 0: (x0 + x1) + (x2 + x3)
#ifndef ORIEL_RUNTIME_COMMUNICATOR_NCCL_NCCLCOLLECTIVES_H
#define ORIEL_RUNTIME_COMMUNICATOR_NCCL_NCCLCOLLECTIVES_H

#include "runtime/communicator/Communicator.h"
#include "runtime/communicator/DeviceCollectives.h"
#include "runtime/communicator/nccl/Nccl.h"

#include "absl/status/statusor.h"

#include <functional>
#include <memory>

namespace oriel::runtime {

/// The stream on which collectives run, beside that of the device (runtime/device/cuda/SideStream.h).
struct CollectiveStream {
  std::function<void *()> enter;                       // the stream, its context made current on this thread
  std::function<absl::Status()> followDevice;          // what is issued next waits for the device's work so far
  std::function<absl::StatusOr<uint64_t>()> mark;      // numbers what was issued so far
  std::function<absl::Status(uint64_t)> letDeviceWait; // for the work of a mark
  std::function<absl::StatusOr<bool>(uint64_t)> isDone; // the work of a mark; asked for ascending marks
  std::function<absl::StatusOr<bool>()> isIdle;
  std::function<absl::StatusOr<bool>()> deviceIsIdle;
};

/// Tree: the order of TreeOrder.h, the same bits for any number of ranks. Library: NCCL's own, which may differ between
/// numbers of ranks, topologies and versions.
enum class SumOrder { Tree, Library };

/// Collective: ids go to all through `host`, which also names the ranks; it must outlive the object. After an error the
/// communicators are aborted and every later call fails; of an error in a collective, `host` is asked who still
/// answers. InvalidArgument for sums in tree order among a number of ranks that is no power of two.
absl::StatusOr<std::unique_ptr<DeviceCollectives>> createNcclCollectives(const nccl::Nccl &library, Communicator &host,
                                                                         CollectiveStream stream, SumOrder order,
                                                                         Deadline deadline);

} // namespace oriel::runtime

#endif
