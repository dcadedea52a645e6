// Runs the threads of one block as fibers. Barriers and warp collectives are rendezvous points.
//
// The order in which threads run between rendezvous is shuffled by a seed, and shared memory is filled with NaNs before
// each block, so that a kernel which needs a barrier it does not have gives a wrong result under some seed.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_BLOCKSCHEDULER_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_BLOCKSCHEDULER_H

#include "runtime/device/cuda/emulated/BlockMonitor.h"
#include "runtime/device/cuda/emulated/Fiber.h"
#include "runtime/device/cuda/emulated/Mbarriers.h"
#include "runtime/device/cuda/emulated/Warp.h"
#include "runtime/device/cuda/emulated/WarpgroupProducts.h"

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace oriel::runtime::emulated {

/// What the lanes of a warp do together: lanes[i] is what lane i passed to BlockScheduler::meetWarp.
using WarpFunction = void (*)(void *const *lanes);

/// Runs blocks one after another, each with the same number of threads. Belongs to one thread of the host.
class BlockScheduler {
public:
  /// `threads`: of a block, 1 to 1024. `sharedBytes`: its dynamic shared memory.
  BlockScheduler(int64_t threads, int64_t sharedBytes);
  ~BlockScheduler();

  int64_t threads() const { return static_cast<int64_t>(fibers_.size()); }
  int64_t sharedBytes() const { return sharedBytes_; }

  /// Who is told of what the next blocks do; null: nobody. Of kernels compiled with checks only (AccessSites.h).
  void setMonitor(BlockMonitor *monitor) { monitor_ = monitor; }
  BlockMonitor *monitor() const { return monitor_; }

  /// Runs `thread(argument)` once for each thread of block (x, y, z). Returns an empty string, or what went wrong:
  /// threads that wait for others which never come, writes behind the shared memory.
  /// What a monitor finds is not among it.
  std::string runBlock(std::array<int64_t, 3> block, uint64_t seed, Fiber::Body thread, void *argument);

  // Called from inside a running thread.
  int32_t threadIndex() const { return static_cast<int32_t>(current_); }
  int32_t blockIndex(int dim) const { return static_cast<int32_t>(block_[static_cast<size_t>(dim)]); }
  /// Aligned to 1024 bytes, after which the swizzles of wgmma repeat.
  std::byte *shared() const { return shared_; }
  /// Returns when all threads of the block have called it.
  void barrier();
  /// Returns when all lanes of the caller's warp wait for `together` and it was run once for all of them. `lane` points
  /// to this lane's operands and results; it may lie on the caller's stack.
  void meetWarp(WarpFunction together, void *lane);
  /// bar.warp.sync of all lanes: orders what they did to memory before with what they do after.
  void warpBarrier();

  /// Asynchronous copies of 16 bytes to shared memory, by the calling thread: see Intrinsics.h.
  void startCopy(void *destination, const void *source, int64_t bytes);
  void commitCopies();
  void waitForCopies(int64_t inFlight);
  /// Ends the block with a fault unless `bytes` from `address` lie in shared memory, aligned to `bytes`. `what` names
  /// the access.
  bool checkShared(const void *address, int64_t bytes, const char *what);
  /// Tells the monitor of an access that the thread is about to make, or of where it is about to meet others. A thread
  /// whose access must not be made stops here for ever, and the block ends.
  void announce(const void *address, int64_t bytes, int32_t site);

  WarpgroupProducts &warpgroupProducts() { return warpgroupProducts_; }
  Mbarriers &mbarriers() { return mbarriers_; }
  /// Returns when the phase of that parity of the mbarrier at byte `at` may be over.
  void waitForMbarrier(size_t at, int32_t parity);
  /// Ends the block with a fault, unless it has one.
  void fail(std::string fault);

  /// The scheduler whose block runs on this thread of the host.
  static BlockScheduler &running();

private:
  enum class State : uint8_t { Ready, AtBarrier, AtCollective, AtMbarrier, Stopped, Done };
  struct Meeting {
    WarpFunction together;
    void *lane;
  };
  struct MbarrierWait {
    size_t at;
    int32_t parity;
  };

  struct Copy {
    std::byte *destination;
    const std::byte *source;
    int64_t bytes;
    int64_t group; // of its thread, from 0
  };
  struct ThreadCopies {
    std::vector<Copy> inFlight; // oldest first
    int64_t committed = 0;      // groups
  };

  void wait(State state);
  void resumeReadyThreads();
  bool releaseBarrier();
  bool releaseMbarriers();
  bool releaseWarps();
  bool releaseWarp(size_t first, size_t lanes);
  std::string findFault() const;

  std::vector<Fiber> fibers_;
  std::vector<State> states_;
  std::vector<Meeting> meetings_; // of threads AtCollective
  std::vector<MbarrierWait> mbarrierWaits_; // of threads AtMbarrier
  std::vector<ThreadCopies> copies_;
  Mbarriers mbarriers_;
  WarpgroupProducts warpgroupProducts_;
  std::string fault_; // the first of the block
  BlockMonitor *monitor_ = nullptr;
  std::vector<uint16_t> order_;
  std::mt19937_64 random_;
  std::array<int64_t, 3> block_ = {};
  size_t current_ = 0;
  bool progress_ = false;

  int64_t sharedBytes_;
  std::unique_ptr<std::byte[]> sharedBlock_; // alignment, shared memory, guard
  std::byte *shared_;
};

} // namespace oriel::runtime::emulated

#endif
