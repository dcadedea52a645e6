// Finds accesses of one place in memory by two threads of a block that nothing orders, at least one of them a write.
//
// A cell holds who last wrote two bytes of memory and who read them since, each with the step of its clock
// (ThreadClocks.h; the scheme of FastTrack, Flanagan and Freund 2009). Two readers are kept, of two warps where there
// are two: a write is ordered after all reads of the block when it is after these, unless barriers of single warps are
// mixed with three readers. Data of cp.async is in flight from its issue to the wait of the issuing thread; touching it
// then is a race too.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_RACEDETECTOR_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_RACEDETECTOR_H

#include "runtime/device/cuda/emulated/ThreadClocks.h"

#include <optional>

namespace oriel::runtime::emulated {

class RaceDetector {
public:
  static constexpr int64_t cellBytes = 2;

  struct Event {
    uint32_t site = 0;
    ThreadClocks::Step step = 0; // 0: there was none
    uint16_t thread = 0;
  };
  struct Cell {
    Event write, reads[2];
    bool inFlight = false; // written by cp.async, and not waited for
  };

  enum class Trouble { Unordered, InFlight, NeverWritten };
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

private:
  bool isOrdered(const Event &event, size_t thread) const {
    return event.step == 0 || clocks_.isKnown(thread, event.thread, event.step);
  }
  Event eventOf(size_t thread, uint32_t site) const {
    return {site, clocks_.now(thread), static_cast<uint16_t>(thread)};
  }
  void remember(Cell &cell, const Event &read) const;

  ThreadClocks clocks_;
};

} // namespace oriel::runtime::emulated

#endif
