// What the memory accesses of a warp cost: the lanes' accesses by one instruction are one request.
//
// Shared memory has 32 banks of 4 bytes; one cycle (a wavefront) serves one word of each. A request of up to 4 bytes a
// lane is served for the whole warp at once, of 8 bytes by half warps, of 16 bytes and of ldmatrix by quarters; each of
// these parts takes as many wavefronts as there are different words in one bank. Global memory is moved by sectors of
// 32 bytes.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_WARPREQUESTS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_WARPREQUESTS_H

#include "runtime/device/cuda/emulated/AccessSites.h"
#include "runtime/device/cuda/emulated/Warp.h"

#include <array>
#include <cstddef>
#include <vector>

namespace oriel::runtime::emulated {

constexpr int64_t sectorBytes = 32;

/// What the requests of one instruction cost together, and at least would. In wavefronts (shared) or sectors (global).
struct SiteCost {
  int64_t requests = 0, cost = 0, leastCost = 0;
  int64_t worst = 0, worstLeast = 1; ///< the request of the largest ratio

  void add(int64_t requestCost, int64_t least);
  SiteCost &operator+=(const SiteCost &other);
  double mean() const { return leastCost == 0 ? 1.0 : static_cast<double>(cost) / static_cast<double>(leastCost); }
  double worstRatio() const { return static_cast<double>(worst) / static_cast<double>(worstLeast); }
};

struct LaneAccess {
  uintptr_t address;
  int32_t bytes; // 1, 2, 4, 8 or 16
  uint32_t site;
};

/// Wavefronts of one request to shared memory. `lanes[i].bytes` is 0 for a lane that takes no part.
int64_t wavefrontsOf(const std::array<LaneAccess, warpSize> &lanes, int64_t &least);
/// Sectors of one request to global memory.
int64_t sectorsOf(const std::array<LaneAccess, warpSize> &lanes, int64_t &least);

/// The accesses of one warp since its lanes last met. Lanes run one after another here, so requests are put together
/// afterwards: of the lanes' next accesses those of the earliest instruction are one request. Lanes that go different
/// ways between two meetings may be paired otherwise than a GPU would.
class WarpRequests {
public:
  void add(size_t lane, const LaneAccess &access) { lanes_[lane].push_back(access); }
  /// Adds what was recorded to `costs`, by site, and forgets it.
  void flush(const SiteEntry *sites, std::vector<SiteCost> &costs);

private:
  std::array<std::vector<LaneAccess>, warpSize> lanes_;
};

} // namespace oriel::runtime::emulated

#endif
