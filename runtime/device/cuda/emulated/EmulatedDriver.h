// The driver table without a GPU (CudaDriver.h): its streams are queues in the memory of this process.
//
// Hard on its user, on purpose:
//   * nothing runs when it is issued; work runs in streamQuery. Results that are read, or operands that are
//   overwritten,
//     before the stream is done are wrong;
//   * the streams of a device keep to no order but that of events (StreamQueues.h), and events are not recorded in
//   graphs;
//   * device memory starts as NaNs, not zeros, and the host may touch it only while queued work runs: otherwise the
//     process ends with a segmentation fault;
//   * kernels that were compiled with checks (AccessSites.h) are faulty when the checks find something;
//   * after a kernel has done something wrong every later call on its device fails, as on a GPU; the table's faultText
//     says which kernel, which block and what.
// Kernels and products use all threads that the options give. Not emulated: more than one device, peers.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_EMULATEDDRIVER_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_EMULATEDDRIVER_H

#include "runtime/device/cuda/CudaDriver.h"
#include "runtime/device/cuda/emulated/GridRunner.h"
#include "runtime/device/cuda/emulated/StreamQueues.h"

#include <functional>

namespace oriel::runtime::emulated {

struct EmulatorOptions {
  int threads = 1;   // of the host
  uint64_t seed = 1; // shuffles the threads of each block (GridRunner.h), and the streams (StreamQueues.h)
  /// Gets the report of every launch of a kernel that was compiled with checks; may be empty.
  ReportSink report = nullptr;
};

/// The table. Contexts retained from then on take `options`; each is a machine of its own. Thread safe.
const cuda::Driver &emulatedDriver(const EmulatorOptions &options);

/// Work for a stream beside kernels, copies and fills; it may touch device memory. It runs, or is captured, in order
/// with the rest; what it returns other than "" is reported as a faulty kernel would be. It may return `stillWaiting`
/// (not in a graph).
using HostWork = std::function<std::string(WorkerPool &)>;
cuda::Result enqueueHostWork(cuda::Stream stream, HostWork work);

} // namespace oriel::runtime::emulated

#endif
