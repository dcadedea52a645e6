// Which bytes of global memory blocks read and write, by sectors of 32 bytes.
//
// Of one block it says what HBM would move if nothing were kept between blocks; of all blocks of a launch, what it
// moves when the L2 cache keeps everything that a launch touches. The truth lies between. Blocks of a launch run in any
// order, so two that touch the same byte, one of them writing, are a race.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_GLOBALFOOTPRINT_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_GLOBALFOOTPRINT_H

#include "runtime/device/cuda/emulated/CacheModel.h"

#include "absl/container/flat_hash_map.h"

#include <cstdint>

namespace oriel::runtime::emulated {

class GlobalFootprint {
public:
  /// Bit i: byte i of the sector.
  struct Sector {
    uint32_t read = 0, written = 0;
    uint32_t fetched = 0; // read before it was written: later reads are of what is here
    uint32_t readSite = 0, writeSite = 0;
    int32_t buffer = -1;              // the kernel's argument
    int64_t block = 0;                // the last block that touched it
    size_t readAt = 0, writtenAt = 0; // of one block: where its trace has it; of a phase only if that has begun there
  };

  /// `bytes` 1 to 32, not across a sector's end. A read whose value is thrown away moves data and is no race.
  void read(uintptr_t address, int64_t bytes, int32_t buffer, uint32_t site, bool isUsed);
  void write(uintptr_t address, int64_t bytes, int32_t buffer, uint32_t site);
  void clear() {
    sectors_.clear();
    trace_ = BlockTrace();
  }

  /// A footprint of one block keeps its trace from here on.
  void keepTrace() { keepsTrace_ = true; }
  void endPhase() {
    if (keepsTrace_)
      trace_.phaseEnds.push_back(trace_.sectors.size());
  }
  /// Once the block has ended.
  BlockTrace takeTrace() {
    endPhase();
    return std::move(trace_);
  }

  /// Adds what `block` did. Calls conflict(address, before, now) for each sector of which one of them writes bytes that
  /// the other touches.
  template <typename Conflict> void add(const GlobalFootprint &block, int64_t number, Conflict conflict) {
    for (const auto &[key, now] : block.sectors_) {
      Sector &all = sectors_[key];
      if ((now.written & (all.read | all.written)) != 0 || (now.read & all.written) != 0)
        conflict(key * 32, all, now);
      uint32_t read = all.read | now.read, written = all.written | now.written, fetched = all.fetched | now.fetched;
      all = now;
      all.read = read, all.written = written, all.fetched = fetched, all.block = number;
    }
  }

  const absl::flat_hash_map<uintptr_t, Sector> &sectors() const { return sectors_; } // by address / 32

private:
  static uint32_t maskOf(uintptr_t address, int64_t bytes) {
    return static_cast<uint32_t>(((uint64_t(1) << bytes) - 1) << (address % 32));
  }

  /// Adds `mask` of a sector to the present phase of the trace; `at`: where the sector was traced last.
  void trace(size_t &at, uintptr_t sector, uint32_t mask, int32_t buffer, bool isWrite) {
    if (!keepsTrace_)
      return;
    size_t phase = trace_.phaseEnds.empty() ? 0 : trace_.phaseEnds.back();
    bool isHere = at >= phase && at < trace_.sectors.size() && trace_.sectors[at].sector == sector &&
                  trace_.sectors[at].isWrite == isWrite;
    if (!isHere) {
      at = trace_.sectors.size();
      trace_.sectors.push_back({sector, 0, buffer, isWrite});
    }
    trace_.sectors[at].bytes |= mask;
  }

  absl::flat_hash_map<uintptr_t, Sector> sectors_;
  bool keepsTrace_ = false;
  BlockTrace trace_;
};

inline void GlobalFootprint::read(uintptr_t address, int64_t bytes, int32_t buffer, uint32_t site, bool isUsed) {
  Sector &sector = sectors_[address / 32];
  uint32_t mask = maskOf(address, bytes);
  sector.fetched |= mask & ~sector.written;
  sector.buffer = buffer;
  trace(sector.readAt, address / 32, mask, buffer, /*isWrite=*/false);
  if (isUsed)
    sector.read |= mask, sector.readSite = site;
}

inline void GlobalFootprint::write(uintptr_t address, int64_t bytes, int32_t buffer, uint32_t site) {
  Sector &sector = sectors_[address / 32];
  sector.written |= maskOf(address, bytes);
  sector.buffer = buffer, sector.writeSite = site;
  trace(sector.writtenAt, address / 32, maskOf(address, bytes), buffer, /*isWrite=*/true);
}

} // namespace oriel::runtime::emulated

#endif
