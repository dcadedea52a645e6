// Watches every memory access of one block: bounds, alignment, races (RaceDetector.h), cost (WarpRequests.h) and
// traffic (GlobalFootprint.h). Lives on one thread of the host.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_BLOCKMONITOR_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_BLOCKMONITOR_H

#include "runtime/device/cuda/emulated/BulkCopy.h"
#include "runtime/device/cuda/emulated/LaunchMonitor.h"
#include "runtime/device/cuda/emulated/RaceDetector.h"

#include <array>
#include <set>

namespace oriel::runtime::emulated {

class BlockMonitor {
public:
  /// For blocks of `threads` threads whose shared memory lies at `shared`.
  BlockMonitor(LaunchMonitor &launch, size_t threads, const std::byte *shared, int64_t sharedBytes);

  /// `number` in the grid; `place` for messages.
  void begin(int64_t number, std::array<int64_t, 3> place);
  /// Tells the launch.
  void end();
  bool hasFindings() const { return !findings_.empty(); }

  /// False when the access must not be made: it would touch memory of somebody else. Accesses of no bytes are none;
  /// `bytes` is negative for a load whose value is thrown away, which is part of no race.
  bool access(size_t thread, uintptr_t address, int64_t bytes, uint32_t site);

  /// The warp that starts at thread `first` issues a wgmma, which reads elements of 2 bytes of shared memory at
  /// `places` (bytes), and has waited for it. Returns the wgmma's site, which productEnded wants.
  uint32_t productStarted(size_t first, const std::vector<uint32_t> &places);
  void productEnded(size_t first, uint32_t site, const std::vector<uint32_t> &places);
  void asyncProxyFenced(size_t thread) { races_.clocks().fenceAsyncProxy(thread); }
  /// The thread reads a register that the wgmma of site `product` gives and that was not waited for.
  void accumulatorRead(size_t thread, uint32_t site, uint32_t product);

  /// The thread issues a bulk copy, step `step` of mbarrier number `agent` (ThreadClocks.h) at byte `mbarrier` of shared
  /// memory. False when it must not be made: it would read memory of somebody else.
  bool bulkCopyStarted(size_t thread, const BulkCopy &copy, size_t mbarrier, size_t agent, ThreadClocks::Step step);
  void bulkCopyLanded(const BulkCopy &copy, size_t agent, ThreadClocks::Step step);
  /// The thread arrives at an mbarrier, in a phase in which `knowledge` has been brought; it sees the end of one.
  void arrived(size_t thread, ThreadClocks::Knowledge &knowledge) { races_.clocks().release(thread, knowledge); }
  void phaseSeen(size_t thread, size_t agent, ThreadClocks::Step step, const ThreadClocks::Knowledge &knowledge) {
    races_.clocks().acquire(thread, races_.clocks().agent(agent), step, knowledge);
  }

  /// A cp.async of the thread's to shared memory, already told of by access(), is waited for.
  void copyLanded(size_t thread, const std::byte *target, int64_t bytes);
  /// All threads go on from a barrier; the lanes of the warp that starts at thread `first` go on from a barrier of
  /// theirs
  /// (`ordersMemory`) or from mma.sync and the like, which order nothing.
  void barrierReleased();
  void warpReleased(size_t first, size_t lanes, bool ordersMemory);

private:
  bool checkShared(size_t thread, uintptr_t address, int64_t bytes, uint32_t site, bool isUsed);
  bool checkGlobal(size_t thread, uintptr_t address, int64_t bytes, uint32_t site, bool isUsed);
  bool readByBulkCopy(size_t thread, uintptr_t address, int64_t bytes, uint32_t site);
  void touchShared(size_t thread, int64_t offset, int64_t bytes, uint32_t site);
  void touchGlobal(size_t thread, uintptr_t address, int64_t bytes, uint32_t site, int32_t buffer, bool isUsed);
  void checkConvergence(size_t first, size_t lanes);
  void find(const char *kind, uint32_t site, uint32_t other, const std::string &text);
  void findConflict(size_t thread, uint32_t site, const RaceDetector::Conflict &conflict, const std::string &where);

  LaunchMonitor &launch_;
  uintptr_t shared_;
  int64_t sharedBytes_;
  int64_t number_ = 0;
  std::string place_;

  RaceDetector races_;
  std::vector<RaceDetector::Cell> sharedCells_;
  absl::flat_hash_map<uintptr_t, std::array<RaceDetector::Cell, 16>> outputCells_; // by address / 32
  std::vector<uint32_t> meetingAt_; // by thread: the site of what it does together with others, or lets others do
  std::vector<WarpRequests> requests_;                                             // by warp
  std::vector<SiteCost> costs_;                                                    // by site
  GlobalFootprint footprint_;
  std::vector<Finding> findings_;
  std::set<LaunchMonitor::FindingKey> found_;
};

} // namespace oriel::runtime::emulated

#endif
