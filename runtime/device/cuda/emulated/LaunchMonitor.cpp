#include "runtime/device/cuda/emulated/LaunchMonitor.h"

#include "absl/strings/str_cat.h"

#include <bit>

namespace oriel::runtime::emulated {

std::string describe(const SiteEntry &site) {
  static constexpr const char *names[] = {"read of shared memory",
                                          "write of shared memory",
                                          "ldmatrix",
                                          "wgmma",
                                          "cp.async (its target)",
                                          "cp.async (its source)",
                                          "read of global memory",
                                          "write of global memory",
                                          "read of accumulators",
                                          "meeting",
                                          "cp.async.bulk.tensor",
                                          "mbarrier.init",
                                          "use of an mbarrier"};
  return absl::StrCat(names[static_cast<int>(site.kind)], " by [", site.op, "]");
}

LaunchMonitor::LaunchMonitor(const CheckEntry &checks, void *const *arguments, size_t traceBlocks)
    : checks_(checks), arguments_(arguments), costs_(static_cast<size_t>(checks.siteCount)), traces_(traceBlocks) {
  for (int64_t i = 0; i < checks.bufferCount; ++i) {
    const BufferEntry &buffer = checks.buffers[i];
    traffic_.push_back({buffer.type, buffer.isOutput != 0, buffer.bytes});
  }
}

int32_t LaunchMonitor::bufferAt(uintptr_t address, int64_t bytes) const {
  for (int32_t i = 0; i < checks_.bufferCount; ++i)
    if (address >= startOf(i) &&
        address + static_cast<uintptr_t>(bytes) <= startOf(i) + static_cast<uintptr_t>(checks_.buffers[i].bytes))
      return i;
  return -1;
}

bool LaunchMonitor::isOutput(uintptr_t address) const {
  for (int32_t i = 0; i < checks_.bufferCount; ++i)
    if (checks_.buffers[i].isOutput && address - startOf(i) < static_cast<uintptr_t>(checks_.buffers[i].bytes))
      return true;
  return false;
}

void LaunchMonitor::find(int64_t block, const Finding &finding) {
  auto [entry, isNew] = findings_.try_emplace(keyOf(finding), block, finding.text);
  if (!isNew && block < entry->second.first)
    entry->second = {block, finding.text};
}

void LaunchMonitor::add(int64_t number, const std::vector<Finding> &findings, const std::vector<SiteCost> &costs,
                        GlobalFootprint &footprint) {
  std::lock_guard lock(mutex_);
  if (keepsTraces())
    traces_[static_cast<size_t>(number)] = footprint.takeTrace();
  for (const Finding &finding : findings)
    find(number, finding);
  for (size_t i = 0; i < costs.size(); ++i)
    costs_[i] += costs[i];
  for (const auto &[key, sector] : footprint.sectors()) {
    BufferTraffic &traffic = traffic_[static_cast<size_t>(sector.buffer)];
    traffic.readByBlocks += sector.fetched ? sectorBytes : 0;
    traffic.writtenByBlocks += sector.written ? sectorBytes : 0;
  }
  footprint_.add(footprint, number, [&](uintptr_t address, const auto &before, const auto &now) {
    bool laterWrites = (now.written & (before.read | before.written)) != 0;
    bool bothWrite = (now.written & before.written) != 0;
    uint32_t one = laterWrites ? now.writeSite : now.readSite;
    uint32_t other = bothWrite || !laterWrites ? before.writeSite : before.readSite;
    uintptr_t offset = address - startOf(now.buffer);
    // By the pair of instructions, whichever block came first.
    Finding finding{"race between blocks", std::min(one, other), std::max(one, other), {}};
    finding.text = absl::StrCat("race between blocks: ", describe(site(finding.site)), " and ",
                                describe(site(finding.other)), " touch the same bytes of buffer ", now.buffer, " (",
                                checks_.buffers[now.buffer].type, "), first near byte ", offset);
    find(INT64_MAX, finding);
  });
}

LaunchReport LaunchMonitor::report() {
  std::lock_guard lock(mutex_);
  LaunchReport report;
  report.kernel = checks_.kernel;
  for (const auto &[key, finding] : findings_)
    report.findings.push_back(finding.second);
  report.buffers = traffic_;
  report.traces = std::move(traces_);
  for (const auto &[key, sector] : footprint_.sectors()) {
    BufferTraffic &traffic = report.buffers[static_cast<size_t>(sector.buffer)];
    traffic.needed += std::popcount(sector.fetched) + std::popcount(sector.written);
    traffic.read += sector.fetched ? sectorBytes : 0;
    traffic.written += sector.written ? sectorBytes : 0;
  }
  for (size_t i = 0; i < costs_.size(); ++i)
    if (costs_[i].requests > 0)
      report.sites.push_back({checks_.sites[i].op, checks_.sites[i].kind, costs_[i]});
  return report;
}

} // namespace oriel::runtime::emulated
