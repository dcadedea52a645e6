// mbarriers of an emulated block, and the bulk copies (TMA) that they complete.
//
// A phase of an mbarrier ends when all arrivals have come and all bytes that these expect have been brought. Copies are
// in flight from their issue until then, and data lands as late as it may: when a thread that waits sees the end of the
// phase. Until then the target holds NaNs. Hardware hangs where a phase never ends; here the block ends with a fault
// that says which mbarrier, which phase, and what is missing. Also faults: more bytes than expected, a wait that sees
// an old phase while copies of the next are in flight, an mbarrier that nobody initialised or that was overwritten,
// copies that nobody has waited for when the threads end.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_MBARRIERS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_MBARRIERS_H

#include "runtime/device/cuda/emulated/BulkCopy.h"
#include "runtime/device/cuda/emulated/ThreadClocks.h"

#include <map>
#include <string>
#include <vector>

extern "C" {
void orielEmulatedMbarrierInit(void *mbarrier, int32_t count); // mbarrier.init
/// mbarrier.arrive.expect_tx by the calling thread.
void orielEmulatedMbarrierArrive(void *mbarrier, int32_t expectedBytes);
/// mbarrier.try_wait.parity: returns when the phase of that parity has ended; always 1.
int32_t orielEmulatedMbarrierWait(void *mbarrier, int32_t parity);
/// cp.async.bulk.tensor of the box of `map` at `coordinates` to `target`, in shared memory.
void orielEmulatedCopyTensor(void *target, void *mbarrier, const void *map, const int32_t *coordinates, int32_t rank);
int32_t orielEmulatedElect(); // elect.sync of a whole warp: 1 for one lane
}

namespace oriel::runtime::emulated {

/// Of one block. Mbarriers are named by their byte of shared memory.
class Mbarriers {
public:
  static constexpr int64_t bytes = 8;

  /// For a new block of `threads` threads.
  void reset(size_t threads);

  void init(size_t at, int64_t count);
  void arrive(size_t at, size_t thread, int64_t expectedBytes);
  void startCopy(size_t at, size_t thread, BulkCopy copy);
  /// Whether the phase of that parity has ended; if so `thread` has seen it.
  bool testWait(size_t at, size_t thread, int32_t parity);
  /// Ends the present phase if it can, and says whether that of `parity` is over.
  bool isOver(size_t at, int32_t parity);

  /// Why `waiting` threads that wait there never go on.
  std::string whyStuck(size_t at, int64_t waiting) const;
  /// What is wrong when all threads have ended; empty when nothing is.
  std::string fault() const;

private:
  struct Mbarrier {
    size_t number;          // of those of the block
    int64_t count, pending; // arrivals of a phase, and those that have not come
    int64_t phase = 0, expectedBytes = 0, broughtBytes = 0;
    std::vector<BulkCopy> inFlight = {};
    ThreadClocks::Knowledge arriving = {}, released = {}; // in this phase, by the last
    std::vector<int64_t> seen = {};                       // by thread: the last phase whose end it has seen
  };

  Mbarrier *find(size_t at);
  void land(Mbarrier &mbarrier);

  std::map<size_t, Mbarrier> all_;
  size_t threads_ = 0;
};

} // namespace oriel::runtime::emulated

#endif
