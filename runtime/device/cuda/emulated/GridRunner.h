// Runs whole grids of an emulated kernel, their blocks on all cores of the host.
//
// Every block shuffles its threads by (seed, its place in the grid), so a run can be repeated whatever the number of
// cores. It checks the program up to the IR that ptxas gets; not ptxas, the memory model between blocks, or speed.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_GRIDRUNNER_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_GRIDRUNNER_H

#include "runtime/device/cpu/WorkerPool.h"
#include "runtime/device/cuda/emulated/BlockScheduler.h"
#include "runtime/device/cuda/emulated/KernelObject.h"
#include "runtime/device/cuda/emulated/LaunchReport.h"

#include "absl/status/status.h"

#include <array>
#include <memory>
#include <vector>

namespace oriel::runtime::emulated {

struct LaunchShape {
  std::array<int64_t, 3> grid;
  int64_t threads;     // of one block, along x
  int64_t sharedBytes; // dynamic shared memory of one block
};

/// One caller at a time.
class GridRunner {
public:
  /// `threads` >= 1 of the host. `seed` shuffles the threads of each block.
  GridRunner(int threads, uint64_t seed);

  WorkerPool &pool() { return pool_; }

  /// Returns when all blocks have run. InvalidArgument for a shape that no GPU takes; Internal with what the first
  /// faulty block did wrong (BlockScheduler::runBlock).
  /// Of a kernel that was compiled with checks also Internal with what they found, a line for each mistake; `report` (may
  /// be null) gets all that is known of the launch then, faulty or not, with traces of its blocks if `keepTraces`.
  absl::Status run(const KernelEntry &kernel, void *const *arguments, const LaunchShape &shape,
                   LaunchReport *report = nullptr, bool keepTraces = false);

private:
  BlockScheduler &schedulerOf(int thread, const LaunchShape &shape);
  std::vector<std::unique_ptr<BlockMonitor>> monitorsFor(LaunchMonitor &launch, const LaunchShape &shape);

  WorkerPool pool_;
  uint64_t seed_;
  std::vector<std::unique_ptr<BlockScheduler>> schedulers_; // one per thread of the pool, for the last shape it ran
};

} // namespace oriel::runtime::emulated

#endif
