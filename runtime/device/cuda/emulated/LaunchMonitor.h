// Gathers what the blocks of one launch did (BlockMonitor.h) into a report. Thread safe.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_LAUNCHMONITOR_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_LAUNCHMONITOR_H

#include "runtime/device/cuda/emulated/AccessSites.h"
#include "runtime/device/cuda/emulated/GlobalFootprint.h"
#include "runtime/device/cuda/emulated/LaunchReport.h"

#include <map>
#include <mutex>
#include <tuple>

namespace oriel::runtime::emulated {

/// A mistake is known by what it is and by the ops that make it; where it was seen first is told.
struct Finding {
  std::string kind; // "race", "out of bounds" …
  uint32_t site, other;
  std::string text;
};

class LaunchMonitor {
public:
  /// `arguments`: addresses of the kernel's buffers. With `traceBlocks` > 0, the number of blocks, all leave traces.
  LaunchMonitor(const CheckEntry &checks, void *const *arguments, size_t traceBlocks = 0);

  bool keepsTraces() const { return !traces_.empty(); }
  const CheckEntry &checks() const { return checks_; }
  const SiteEntry &site(uint32_t number) const { return checks_.sites[number]; }
  /// The argument that [address, address + bytes) lies in; -1 when there is none.
  int32_t bufferAt(uintptr_t address, int64_t bytes) const;
  uintptr_t startOf(int32_t buffer) const { return reinterpret_cast<uintptr_t>(arguments_[buffer]); }
  /// Whether the place belongs to an output.
  bool isOutput(uintptr_t address) const;

  using FindingKey = std::tuple<std::string, std::string, std::string>;
  FindingKey keyOf(const Finding &finding) const {
    return {finding.kind, site(finding.site).op, site(finding.other).op};
  }

  /// Adds what block `number` of the grid did. Mistakes are told of the block of the lowest number.
  void add(int64_t number, const std::vector<Finding> &findings, const std::vector<SiteCost> &costs,
           GlobalFootprint &footprint);

  LaunchReport report();

private:
  void find(int64_t block, const Finding &finding);

  const CheckEntry &checks_;
  void *const *arguments_;

  std::mutex mutex_;
  std::map<FindingKey, std::pair<int64_t, std::string>> findings_; // block, text
  std::vector<SiteCost> costs_;
  std::vector<BufferTraffic> traffic_; // by blocks
  GlobalFootprint footprint_;          // of the launch
  std::vector<BlockTrace> traces_;
};

/// "cp.async to shared memory by [%3 = tile.load …]"
std::string describe(const SiteEntry &site);

} // namespace oriel::runtime::emulated

#endif
