#include "runtime/device/cuda/emulated/WarpRequests.h"

#include <algorithm>

namespace oriel::runtime::emulated {

void SiteCost::add(int64_t requestCost, int64_t least) {
  ++requests;
  cost += requestCost;
  leastCost += least;
  if (requestCost * worstLeast > worst * least)
    worst = requestCost, worstLeast = least;
}

SiteCost &SiteCost::operator+=(const SiteCost &other) {
  requests += other.requests;
  cost += other.cost;
  leastCost += other.leastCost;
  if (other.worst * worstLeast > worst * other.worstLeast)
    worst = other.worst, worstLeast = other.worstLeast;
  return *this;
}

/// The most different words that lanes [first, first + count) want of one bank; 0 when none takes part.
static int64_t wavefrontsOfPart(const LaneAccess *lanes, size_t count) {
  constexpr int64_t banks = 32, wordBytes = 4;
  std::array<uintptr_t, warpSize> words; // a part has at most 32: fewer lanes where each has more
  size_t size = 0;
  for (size_t lane = 0; lane < count; ++lane)
    for (int64_t byte = 0; byte < lanes[lane].bytes; byte += wordBytes)
      words[size++] = (lanes[lane].address + static_cast<uintptr_t>(byte)) / wordBytes;
  std::sort(words.begin(), words.begin() + size);
  auto *end = std::unique(words.begin(), words.begin() + size);
  std::array<int64_t, banks> inBank = {};
  int64_t most = 0;
  for (auto *word = words.begin(); word != end; ++word)
    most = std::max(most, ++inBank[*word % banks]);
  return most;
}

int64_t wavefrontsOf(const std::array<LaneAccess, warpSize> &lanes, int64_t &least) {
  int32_t bytes = 0;
  for (const LaneAccess &lane : lanes)
    bytes = std::max(bytes, lane.bytes);
  size_t part = warpSize / std::max(1, bytes / 4);
  int64_t total = 0;
  least = 0;
  for (size_t first = 0; first < warpSize; first += part) {
    int64_t wavefronts = wavefrontsOfPart(&lanes[first], part);
    total += wavefronts;
    least += wavefronts > 0;
  }
  return total;
}

int64_t sectorsOf(const std::array<LaneAccess, warpSize> &lanes, int64_t &least) {
  std::array<std::pair<uintptr_t, uintptr_t>, warpSize> ranges;
  size_t size = 0;
  for (const LaneAccess &lane : lanes)
    if (lane.bytes > 0)
      ranges[size++] = {lane.address, lane.address + static_cast<uintptr_t>(lane.bytes)};
  std::sort(ranges.begin(), ranges.begin() + size);
  uintptr_t covered = 0, nextSector = 0;
  int64_t bytes = 0, sectors = 0;
  for (size_t i = 0; i < size; ++i) {
    auto [begin, end] = ranges[i];
    bytes += static_cast<int64_t>(std::max(end, covered) - std::max(begin, covered));
    covered = std::max(covered, end);
    uintptr_t first = std::max<uintptr_t>(begin / sectorBytes, nextSector), last = (end - 1) / sectorBytes;
    if (last >= first)
      sectors += static_cast<int64_t>(last - first) + 1;
    nextSector = std::max(nextSector, last + 1);
  }
  least = (bytes + sectorBytes - 1) / sectorBytes;
  return sectors;
}

void WarpRequests::flush(const SiteEntry *sites, std::vector<SiteCost> &costs) {
  std::array<size_t, warpSize> next = {};
  while (true) {
    uint32_t site = UINT32_MAX;
    for (size_t lane = 0; lane < warpSize; ++lane)
      if (next[lane] < lanes_[lane].size())
        site = std::min(site, lanes_[lane][next[lane]].site);
    if (site == UINT32_MAX)
      break;
    std::array<LaneAccess, warpSize> request = {};
    for (size_t lane = 0; lane < warpSize; ++lane)
      if (next[lane] < lanes_[lane].size() && lanes_[lane][next[lane]].site == site)
        request[lane] = lanes_[lane][next[lane]++];
    int64_t least = 0;
    int64_t cost = isShared(sites[site].kind) ? wavefrontsOf(request, least) : sectorsOf(request, least);
    costs[site].add(cost, least);
  }
  for (std::vector<LaneAccess> &lane : lanes_)
    lane.clear();
}

} // namespace oriel::runtime::emulated
