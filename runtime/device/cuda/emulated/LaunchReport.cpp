#include "runtime/device/cuda/emulated/LaunchReport.h"

#include "absl/strings/str_format.h"

namespace oriel::runtime::emulated {

static int64_t sumOver(const std::vector<BufferTraffic> &buffers, int64_t (*bytes)(const BufferTraffic &)) {
  int64_t sum = 0;
  for (const BufferTraffic &buffer : buffers)
    sum += bytes(buffer);
  return sum;
}

int64_t LaunchReport::neededBytes() const {
  return sumOver(buffers, [](const BufferTraffic &b) { return b.needed; });
}
int64_t LaunchReport::launchBytes() const {
  return sumOver(buffers, [](const BufferTraffic &b) { return b.read + b.written; });
}
int64_t LaunchReport::blockBytes() const {
  return sumOver(buffers, [](const BufferTraffic &b) { return b.readByBlocks + b.writtenByBlocks; });
}

int64_t LaunchReport::cachedBytes(const CacheModel &cache) const {
  int64_t sum = 0;
  for (const HbmBytes &buffer : replay(traces, cache, buffers.size()))
    sum += buffer.read + buffer.written;
  return sum;
}

SiteCost LaunchReport::costOf(bool shared) const {
  SiteCost cost;
  for (const SiteReport &site : sites)
    if (isShared(site.kind) == shared)
      cost += site.cost;
  return cost;
}

const SiteReport *LaunchReport::worstSite(bool shared) const {
  const SiteReport *worst = nullptr;
  int64_t most = 0;
  for (const SiteReport &site : sites)
    if (int64_t waste = site.cost.cost - site.cost.leastCost; isShared(site.kind) == shared && waste > most)
      worst = &site, most = waste;
  return worst;
}

std::string LaunchReport::summary() const {
  int64_t needed = neededBytes();
  if (needed == 0)
    return {};
  auto ratio = [&](int64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(needed); };
  SiteCost shared = costOf(true), global = costOf(false);
  return absl::StrFormat("needs %d bytes, HBM x%.3f (no L2 x%.2f); bank conflicts x%.3f (worst x%.1f); sectors x%.3f",
                         needed, ratio(launchBytes()), ratio(blockBytes()), shared.mean(),
                         shared.requests == 0 ? 1.0 : shared.worstRatio(), global.mean());
}

} // namespace oriel::runtime::emulated
