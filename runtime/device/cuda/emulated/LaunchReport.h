// What checks found in one launch of a kernel, and what its memory accesses cost.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_LAUNCHREPORT_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_LAUNCHREPORT_H

#include "runtime/device/cuda/emulated/CacheModel.h"
#include "runtime/device/cuda/emulated/WarpRequests.h"

#include <functional>
#include <string>
#include <vector>

namespace oriel::runtime::emulated {

/// Bytes of one buffer that a launch moves, in sectors of 32 bytes (GlobalFootprint.h).
struct BufferTraffic {
  std::string type;
  bool isOutput = false;
  int64_t bytes = 0;                             ///< of the buffer
  int64_t needed = 0;                            ///< different bytes that were read first or written: the least to move
  int64_t read = 0, written = 0;                 ///< each sector once for the launch
  int64_t readByBlocks = 0, writtenByBlocks = 0; ///< each sector once for every block that touches it
};

struct SiteReport {
  std::string op;
  AccessKind kind;
  SiteCost cost;
};

struct LaunchReport {
  std::string kernel;
  std::vector<std::string> findings; ///< mistakes, each of them once
  std::vector<BufferTraffic> buffers;
  std::vector<SiteReport> sites;  ///< that were reached
  std::vector<BlockTrace> traces; ///< by number of the block, if asked for

  /// Over all buffers.
  int64_t neededBytes() const;
  int64_t launchBytes() const;
  int64_t blockBytes() const;
  /// Through an L2 cache of some size. Needs traces.
  int64_t cachedBytes(const CacheModel &cache) const;
  /// Of all requests to shared (or global) memory.
  SiteCost costOf(bool shared) const;
  /// The instruction of that memory whose requests waste most; null when none wastes anything.
  const SiteReport *worstSite(bool shared) const;
  /// One line: traffic, bank conflicts and sectors. "" before any access.
  std::string summary() const;
};

using ReportSink = std::function<void(const LaunchReport &)>;

} // namespace oriel::runtime::emulated

#endif
