#include "runtime/device/cuda/emulated/BlockMonitor.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <cstdlib>

namespace oriel::runtime::emulated {

static constexpr uint32_t nowhere = UINT32_MAX;

BlockMonitor::BlockMonitor(LaunchMonitor &launch, size_t threads, const std::byte *shared, int64_t sharedBytes)
    : launch_(launch), shared_(reinterpret_cast<uintptr_t>(shared)), sharedBytes_(sharedBytes), races_(threads),
      sharedCells_(static_cast<size_t>((sharedBytes + RaceDetector::cellBytes - 1) / RaceDetector::cellBytes)),
      meetingAt_(threads, nowhere), requests_((threads + warpSize - 1) / warpSize),
      costs_(static_cast<size_t>(launch.checks().siteCount)) {
  if (launch.keepsTraces())
    footprint_.keepTrace();
}

void BlockMonitor::begin(int64_t number, std::array<int64_t, 3> place) {
  number_ = number;
  place_ = absl::StrCat("block (", place[0], ", ", place[1], ", ", place[2], ")");
  races_.clocks().reset();
  std::fill(sharedCells_.begin(), sharedCells_.end(), RaceDetector::Cell());
  outputCells_.clear();
  std::fill(meetingAt_.begin(), meetingAt_.end(), nowhere);
  std::fill(costs_.begin(), costs_.end(), SiteCost());
  footprint_.clear();
  findings_.clear();
  found_.clear();
}

void BlockMonitor::end() {
  for (WarpRequests &warp : requests_)
    warp.flush(launch_.checks().sites, costs_);
  launch_.add(number_, findings_, costs_, footprint_);
}

// ---- Accesses -------------------------------------------------------------------------------------------------------

bool BlockMonitor::access(size_t thread, uintptr_t address, int64_t bytes, uint32_t site) {
  AccessKind kind = launch_.site(site).kind;
  if (kind == AccessKind::Convergence || kind == AccessKind::ProductRead || kind == AccessKind::BulkCopy) {
    meetingAt_[thread] = site;
    return true;
  }
  if (bytes == 0)
    return true;
  bool isUsed = bytes > 0;
  bytes = std::abs(bytes);
  bool isAllowed = isShared(kind) ? checkShared(thread, address, bytes, site, isUsed)
                                  : checkGlobal(thread, address, bytes, site, isUsed);
  bool isRequest = kind != AccessKind::MbarrierInit && kind != AccessKind::MbarrierUse;
  if (isAllowed && isRequest)
    requests_[thread / warpSize].add(thread % warpSize, {address, static_cast<int32_t>(bytes), site});
  return isAllowed;
}

bool BlockMonitor::checkShared(size_t thread, uintptr_t address, int64_t bytes, uint32_t site, bool isUsed) {
  auto offset = static_cast<int64_t>(address - shared_);
  bool isInside = offset >= 0 && offset + bytes <= sharedBytes_, isAligned = offset % bytes == 0;
  if (!isInside || !isAligned) {
    find(isInside ? "misaligned" : "out of bounds", site, site,
         absl::StrCat(isInside ? "misaligned: " : "out of bounds: ", describe(launch_.site(site)), ": ", bytes,
                      " bytes at byte ", offset, " of ", sharedBytes_, " bytes of shared memory, thread ", thread));
    return false;
  }
  if (isUsed)
    touchShared(thread, offset, bytes, site);
  return true;
}

void BlockMonitor::touchShared(size_t thread, int64_t offset, int64_t bytes, uint32_t site) {
  AccessKind kind = launch_.site(site).kind;
  std::optional<RaceDetector::Conflict> first;
  int64_t at = 0;
  for (int64_t byte = offset / 2 * 2; byte < offset + bytes; byte += RaceDetector::cellBytes) {
    RaceDetector::Cell &cell = sharedCells_[static_cast<size_t>(byte / RaceDetector::cellBytes)];
    auto conflict = kind == AccessKind::CopyTarget ? races_.startCopy(cell, thread, site)
                    : isWrite(kind)                ? races_.write(cell, thread, site)
                                                   : races_.read(cell, thread, site, kind == AccessKind::MatrixLoad);
    if (conflict && !first)
      first = conflict, at = byte;
  }
  if (first)
    findConflict(thread, site, *first, absl::StrCat("byte ", at, " of shared memory"));
}

bool BlockMonitor::checkGlobal(size_t thread, uintptr_t address, int64_t bytes, uint32_t site, bool isUsed) {
  const SiteEntry &entry = launch_.site(site);
  int32_t buffer = entry.buffer >= 0 ? entry.buffer : launch_.bufferAt(address, bytes);
  if (buffer < 0) {
    find("out of bounds", site, site,
         absl::StrCat("out of bounds: ", describe(entry), ": ", bytes, " bytes in no buffer of the kernel, thread ",
                      thread));
    return false;
  }
  const BufferEntry &of = launch_.checks().buffers[buffer];
  auto offset = static_cast<int64_t>(address - launch_.startOf(buffer));
  bool isInside = offset >= 0 && offset + bytes <= of.bytes, isAligned = address % static_cast<uintptr_t>(bytes) == 0;
  if (!isInside || !isAligned) {
    find(isInside ? "misaligned" : "out of bounds", site, site,
         absl::StrCat(isInside ? "misaligned: " : "out of bounds: ", describe(entry), ": ", bytes, " bytes at byte ",
                      offset, " of buffer ", buffer, " (", of.type, ", ", of.bytes, " bytes), thread ", thread));
    return false;
  }
  touchGlobal(thread, address, bytes, site, buffer, isUsed);
  return true;
}

/// Threads of one block can only conflict in what is written: outputs.
void BlockMonitor::touchGlobal(size_t thread, uintptr_t address, int64_t bytes, uint32_t site, int32_t buffer,
                               bool isUsed) {
  bool writes = isWrite(launch_.site(site).kind);
  if (writes)
    footprint_.write(address, bytes, buffer, site);
  else
    footprint_.read(address, bytes, buffer, site, isUsed);
  if (!isUsed || !launch_.isOutput(address))
    return;
  auto &cells = outputCells_[address / sectorBytes];
  std::optional<RaceDetector::Conflict> first;
  for (uintptr_t byte = address / 2 * 2; byte < address + static_cast<uintptr_t>(bytes);
       byte += RaceDetector::cellBytes) {
    RaceDetector::Cell &cell = cells[byte % sectorBytes / RaceDetector::cellBytes];
    auto conflict = writes ? races_.write(cell, thread, site) : races_.read(cell, thread, site);
    // What no thread of the block has written comes from before the launch.
    if (conflict && !first && conflict->trouble != RaceDetector::Trouble::NeverWritten)
      first = conflict;
  }
  if (first)
    findConflict(thread, site, *first, absl::StrCat("byte ", address - launch_.startOf(buffer), " of buffer ", buffer));
}

// ---- Products of warpgroups -----------------------------------------------------------------------------------------

uint32_t BlockMonitor::productStarted(size_t first, const std::vector<uint32_t> &places) {
  uint32_t site = meetingAt_[first];
  std::optional<RaceDetector::Conflict> conflict;
  uint32_t at = 0;
  for (uint32_t place : places) {
    auto found = races_.startProduct(sharedCells_[place / RaceDetector::cellBytes], first, site);
    if (found && !conflict)
      conflict = found, at = place;
  }
  if (conflict)
    findConflict(first, site, *conflict, absl::StrCat("byte ", at, " of shared memory"));
  return site;
}

void BlockMonitor::productEnded(size_t first, uint32_t site, const std::vector<uint32_t> &places) {
  for (uint32_t place : places)
    races_.endProduct(sharedCells_[place / RaceDetector::cellBytes], first, site);
}

void BlockMonitor::accumulatorRead(size_t thread, uint32_t site, uint32_t product) {
  find("accumulator in flight", site, product,
       absl::StrCat("missing wait: ", describe(launch_.site(site)), ", thread ", thread, ": they are those of ",
                    describe(launch_.site(product)), ", and no wgmma.wait_group has given them"));
}

// ---- Bulk copies ----------------------------------------------------------------------------------------------------

bool BlockMonitor::bulkCopyStarted(size_t thread, const BulkCopy &copy, size_t mbarrier, size_t agent,
                                   ThreadClocks::Step step) {
  uint32_t site = meetingAt_[thread];
  std::optional<RaceDetector::Conflict> first;
  size_t at = mbarrier;
  RaceDetector::Cell &barrier = sharedCells_[mbarrier / RaceDetector::cellBytes];
  first = races_.read(barrier, thread, site);
  if (!first && !races_.isSeenByAsyncProxy(barrier, thread))
    first = RaceDetector::Conflict{RaceDetector::Trouble::Unfenced, true, barrier.write};
  bool isAllowed = true;
  int64_t bytes = 0, sectors = 0;
  uintptr_t lastSector = 0;
  copy.visit([&](const BulkCopy::Piece &piece) {
    for (size_t byte = piece.target; byte < piece.target + BulkCopy::pieceBytes; byte += RaceDetector::cellBytes) {
      auto found = races_.startBulkCopy(sharedCells_[byte / RaceDetector::cellBytes], thread,
                                        races_.clocks().agent(agent), step, site);
      if (found && !first)
        first = found, at = byte;
    }
    if (piece.insideBytes == 0)
      return;
    isAllowed &= readByBulkCopy(thread, piece.source, piece.insideBytes, site);
    bytes += piece.insideBytes;
    sectors += piece.source / sectorBytes != lastSector;
    sectors += (piece.source + piece.insideBytes - 1) / sectorBytes != piece.source / sectorBytes;
    lastSector = (piece.source + piece.insideBytes - 1) / sectorBytes;
  });
  costs_[site].add(sectors, (bytes + sectorBytes - 1) / sectorBytes);
  if (first)
    findConflict(thread, site, *first, absl::StrCat("byte ", at, " of shared memory"));
  return isAllowed;
}

/// At most 16 bytes; they may cross a sector's end.
bool BlockMonitor::readByBulkCopy(size_t thread, uintptr_t address, int64_t bytes, uint32_t site) {
  int32_t buffer = launch_.bufferAt(address, bytes);
  if (buffer < 0) {
    find("out of bounds", site, site,
         absl::StrCat("out of bounds: ", describe(launch_.site(site)), ": ", bytes,
                      " bytes in no buffer of the kernel, thread ", thread));
    return false;
  }
  int64_t first = std::min<int64_t>(bytes, sectorBytes - static_cast<int64_t>(address % sectorBytes));
  touchGlobal(thread, address, first, site, buffer, /*isUsed=*/true);
  if (bytes > first)
    touchGlobal(thread, address + first, bytes - first, site, buffer, /*isUsed=*/true);
  return true;
}

void BlockMonitor::bulkCopyLanded(const BulkCopy &copy, size_t agent, ThreadClocks::Step step) {
  copy.visit([&](const BulkCopy::Piece &piece) {
    for (size_t byte = piece.target; byte < piece.target + BulkCopy::pieceBytes; byte += RaceDetector::cellBytes)
      races_.landBulkCopy(sharedCells_[byte / RaceDetector::cellBytes], races_.clocks().agent(agent), step);
  });
}

// ---- Order ----------------------------------------------------------------------------------------------------------

void BlockMonitor::copyLanded(size_t thread, const std::byte *target, int64_t bytes) {
  auto offset = static_cast<int64_t>(reinterpret_cast<uintptr_t>(target) - shared_);
  for (int64_t byte = offset; byte < offset + bytes; byte += RaceDetector::cellBytes)
    races_.land(sharedCells_[static_cast<size_t>(byte / RaceDetector::cellBytes)], thread);
}

void BlockMonitor::barrierReleased() {
  for (size_t first = 0; first < meetingAt_.size(); first += warpSize) {
    checkConvergence(first, std::min<size_t>(warpSize, meetingAt_.size() - first));
    requests_[first / warpSize].flush(launch_.checks().sites, costs_);
  }
  races_.clocks().barrier();
  footprint_.endPhase();
}

void BlockMonitor::warpReleased(size_t first, size_t lanes, bool ordersMemory) {
  checkConvergence(first, lanes);
  requests_[first / warpSize].flush(launch_.checks().sites, costs_);
  if (ordersMemory)
    races_.clocks().barrierOf(first, lanes);
}

void BlockMonitor::checkConvergence(size_t first, size_t lanes) {
  uint32_t site = meetingAt_[first];
  for (size_t thread = first + 1; thread < first + lanes; ++thread)
    if (uint32_t other = meetingAt_[thread]; other != site && other != nowhere && site != nowhere)
      find("divergent warp", std::min(site, other), std::max(site, other),
           absl::StrCat("divergent warp: threads ", first, " and ", thread,
                        " of one warp meet at different instructions, ", describe(launch_.site(site)), " and ",
                        describe(launch_.site(other))));
}

// ---- Findings -------------------------------------------------------------------------------------------------------

void BlockMonitor::find(const char *kind, uint32_t site, uint32_t other, const std::string &text) {
  Finding finding{kind, site, other, {}};
  if (!found_.insert(launch_.keyOf(finding)).second)
    return;
  finding.text = absl::StrCat(place_, ": ", text);
  findings_.push_back(std::move(finding));
}

void BlockMonitor::findConflict(size_t thread, uint32_t site, const RaceDetector::Conflict &conflict,
                                const std::string &where) {
  const SiteEntry &entry = launch_.site(site), &other = launch_.site(conflict.other.site);
  std::string by = absl::StrCat(describe(entry), " at ", where, ", thread ", thread);
  bool isBulk = other.kind == AccessKind::BulkCopy; // of an mbarrier, not of a thread
  switch (conflict.trouble) {
  case RaceDetector::Trouble::NeverWritten:
    return find("never written", site, site, absl::StrCat("never written: ", by, ": nothing has been written there"));
  case RaceDetector::Trouble::InFlight:
    return find("in flight", site, conflict.other.site,
                isBulk ? absl::StrCat("missing wait: ", by, ": data of ", describe(other),
                                      " is in flight: no wait for its mbarrier before it")
                       : absl::StrCat("missing wait: ", by, ": data of ", describe(other), ", thread ",
                                      conflict.other.thread, ", is in flight: no cp.async.wait_group before it"));
  case RaceDetector::Trouble::Unordered:
    return find("race", site, conflict.other.site,
                isBulk && conflict.otherWrites
                    ? absl::StrCat("race: ", by, ": no wait for the mbarrier of the ", describe(other),
                                   " orders it after that")
                    : absl::StrCat("race: ", by, ": no barrier orders it after the ", describe(other), ", thread ",
                                   conflict.other.thread));
  case RaceDetector::Trouble::Unfenced:
    return find("unfenced", site, conflict.other.site,
                absl::StrCat("missing fence: ", by, ": no fence.proxy.async makes it see the ", describe(other),
                             ", thread ", conflict.other.thread));
  case RaceDetector::Trouble::Operand:
    return find("operand in flight", site, conflict.other.site,
                absl::StrCat("missing wait: ", by, ": ", describe(other), ", warp ", conflict.other.thread / warpSize,
                             ", still reads it: no wgmma.wait_group before it"));
  }
}

} // namespace oriel::runtime::emulated
