// What HBM moves for a launch when an L2 cache of a given size stands before it.
//
// Each block of a launch leaves a trace: the sectors of 32 bytes that it asks of the cache, in phases from barrier to
// barrier; inside of a phase a sector is asked for once, as coalescing and an L1 cache see to. The traces are replayed
// against one cache with as many blocks at a time as the GPU runs: they start in the order of their numbers and go on
// by turns, a phase each. The cache keeps what was asked for last (LRU), any sector in any place; what was written goes
// to HBM when it is pushed out, or at the end.
//
// Real blocks drift apart, and a real cache has sets and hashes addresses to two halves: a model, not a count.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_CACHEMODEL_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_CACHEMODEL_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace oriel::runtime::emulated {

struct TracedSector {
  uintptr_t sector = 0; // address / 32
  uint32_t bytes = 0;   // bit i: byte i of the sector
  int32_t buffer = -1;  // the kernel's argument
  bool isWrite = false;
};

struct BlockTrace {
  std::vector<TracedSector> sectors;
  std::vector<size_t> phaseEnds; // places in `sectors`; the last is the end
};

struct CacheModel {
  int64_t bytes = 0;
  int64_t blocksAtOnce = 1; // >= 1
};

/// Bytes that HBM moves for one buffer.
struct HbmBytes {
  int64_t read = 0, written = 0;
};

/// By buffer; `blocks` in the order of their numbers, of a kernel that takes `buffers` buffers.
std::vector<HbmBytes> replay(const std::vector<BlockTrace> &blocks, const CacheModel &model, size_t buffers);

} // namespace oriel::runtime::emulated

#endif
