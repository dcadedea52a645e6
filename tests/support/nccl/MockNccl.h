// NCCL without GPUs, between threads or processes of one machine whose streams are the emulated CUDA driver's. Work
// waits on its stream until every rank has issued its own, as NCCL's kernels do. Ranks exchange files: a communicator
// is a folder in the system's temporary one, named by its id, that the last rank to leave removes.
//
// A rank that ends without leaving its communicator makes the others' commGetAsyncError tell of it, as NCCL does when a
// connection closes. Sums are added in the order of ranks (library order; a tree has to come from the caller).
#ifndef ORIEL_TESTS_SUPPORT_NCCL_MOCKNCCL_H
#define ORIEL_TESTS_SUPPORT_NCCL_MOCKNCCL_H

#include "runtime/communicator/nccl/Nccl.h"

namespace oriel::runtime {

/// What the mock does from now on, in every thread of this process.
struct MockFaults {
  bool noId = false;                       // getUniqueId fails
  nccl::Result asyncError = nccl::success; // what commGetAsyncError tells of a connected communicator
};
void setMockFaults(const MockFaults &faults);

const nccl::Nccl &mockNccl();

} // namespace oriel::runtime

#endif
