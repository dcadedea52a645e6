// NCCL between threads of one process whose streams are the emulated driver's. Work waits on the stream until all ranks
// have issued theirs, as NCCL's kernels do; nothing else of the library is imitated.
#ifndef ORIEL_TESTS_UNIT_RUNTIME_COMMUNICATOR_NCCL_MOCKNCCL_H
#define ORIEL_TESTS_UNIT_RUNTIME_COMMUNICATOR_NCCL_MOCKNCCL_H

#include "runtime/communicator/nccl/Nccl.h"

namespace oriel::runtime {

/// What the mock does from now on, in every thread.
struct MockFaults {
  bool noId = false;                       // getUniqueId fails
  nccl::Result asyncError = nccl::success; // what commGetAsyncError tells of a connected communicator
};
void setMockFaults(const MockFaults &faults);

const nccl::Nccl &mockNccl();

} // namespace oriel::runtime

#endif
