// Finds accesses of one place in memory by two threads of a block that nothing orders, at least one of them a write.
//
// A cell holds who last wrote two bytes of memory and who read them since, each with the step of its clock
// (ThreadClocks.h; the scheme of FastTrack, Flanagan and Freund 2009). Two readers are kept, of two warps where there
// are two: a write is ordered after all reads of the block when it is after these, unless barriers of single warps are
// mixed with three readers. Data of cp.async is in flight from its issue to the wait of the issuing thread, data of bulk
// copies (TMA) to the end of a phase of their mbarrier; touching it then is a race too, and so is writing what a wgmma in
// flight reads.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_RACEDETECTOR_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_RACEDETECTOR_H

#include "runtime/device/cuda/emulated/ThreadClocks.h"
#include "runtime/device/cuda/emulated/Warp.h"

#include <optional>

namespace oriel::runtime::emulated {

class RaceDetector {
public:
  static constexpr int64_t cellBytes = 2;

  struct Event {
    uint32_t site = 0;
    ThreadClocks::Step step = 0; // 0: there was none
    uint16_t thread = 0;
    bool ofWarp = false; // by all lanes of the thread's warp together
  };
  struct Cell {
    Event write, reads[2];
    Event product;         // the last wgmma that reads it
    uint16_t products = 0; // that read it and are not waited for, of all warps
    bool inFlight = false; // written by cp.async or a bulk copy, and not waited for
  };

  enum class Trouble {
    Unordered,
    InFlight, // data of cp.async or of a bulk copy
    NeverWritten,
    Unfenced, // a wgmma reads, or a bulk copy overwrites, what no fence.proxy.async makes it see
    Operand,  // a wgmma in flight still reads it
  };
  /// What an access conflicts with. `other.step` is 0 when nobody has written the place.
  struct Conflict {
    Trouble trouble;
    bool otherWrites;
    Event other;
  };

  explicit RaceDetector(size_t threads) : clocks_(threads) {}

  ThreadClocks &clocks() { return clocks_; }

  /// The access takes effect even when it conflicts, so that one mistake is not reported again by all that follows.
  /// `byWarp`: every lane of the thread's warp gets what is read, so only what all of them know is ordered: a write of
  /// the reading thread itself is not.
  std::optional<Conflict> read(Cell &cell, size_t thread, uint32_t site, bool byWarp = false);
  std::optional<Conflict> write(Cell &cell, size_t thread, uint32_t site);

  /// cp.async by `thread` starts to write the place; it has landed when that thread has waited for it.
  std::optional<Conflict> startCopy(Cell &cell, size_t thread, uint32_t site);
  void land(Cell &cell, size_t thread);

  /// A bulk copy that `thread` issues starts to write the place; it is step `step` of an agent (ThreadClocks::agent).
  std::optional<Conflict> startBulkCopy(Cell &cell, size_t thread, size_t agent, ThreadClocks::Step step,
                                        uint32_t site);
  void landBulkCopy(Cell &cell, size_t agent, ThreadClocks::Step step);
  /// Whether the async proxy, as `thread` works it, sees what was written to the place.
  bool isSeenByAsyncProxy(const Cell &cell, size_t thread) const {
    const Event &write = cell.write;
    return write.step == 0 || clocks_.isAgent(write.thread) || clocks_.isFenced(thread, write.thread, write.step);
  }

  /// A wgmma of the warp of `thread` reads the place from its issue, and until the warp has waited for it.
  std::optional<Conflict> startProduct(Cell &cell, size_t thread, uint32_t site);
  void endProduct(Cell &cell, size_t thread, uint32_t site);

private:
  bool isOrdered(const Event &event, size_t thread) const {
    return event.step == 0 || (event.ofWarp && event.thread / warpSize == thread / warpSize) ||
           clocks_.isKnown(thread, event.thread, event.step);
  }
  /// A lane of the thread's warp that did not write the cell: it knows what it was told.
  size_t laneThatDidNotWrite(const Cell &cell, size_t thread) const {
    return cell.write.thread == thread && (thread ^ 1) < clocks_.threads() ? thread ^ 1 : thread;
  }
  Event eventOf(size_t thread, uint32_t site) const {
    return {site, clocks_.now(thread), static_cast<uint16_t>(thread)};
  }
  void remember(Cell &cell, const Event &read) const;

  ThreadClocks clocks_;
};

} // namespace oriel::runtime::emulated

#endif
