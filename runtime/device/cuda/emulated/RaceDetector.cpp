#include "runtime/device/cuda/emulated/RaceDetector.h"

namespace oriel::runtime::emulated {

static size_t warpOf(const RaceDetector::Event &event) { return event.thread / warpSize; }

std::optional<RaceDetector::Conflict> RaceDetector::read(Cell &cell, size_t thread, uint32_t site, bool byWarp) {
  std::optional<Conflict> conflict;
  const Event &write = cell.write;
  size_t reader = byWarp ? laneThatDidNotWrite(cell, thread) : thread;
  if (cell.inFlight)
    conflict = Conflict{Trouble::InFlight, true, write};
  else if (write.step == 0)
    conflict = Conflict{Trouble::NeverWritten, true, write};
  else if (!isOrdered(write, reader))
    conflict = Conflict{Trouble::Unordered, true, write};
  remember(cell, eventOf(thread, site));
  return conflict;
}

/// A read that everybody knows of, or one of the same thread, makes room first.
void RaceDetector::remember(Cell &cell, const Event &read) const {
  for (Event &kept : cell.reads)
    if (kept.step == 0 || kept.thread == read.thread) {
      kept = read;
      return;
    }
  for (Event &kept : cell.reads)
    if (isOrdered(kept, read.thread)) {
      kept = read;
      return;
    }
  if (warpOf(cell.reads[0]) == warpOf(cell.reads[1]))
    cell.reads[1] = read;
}

std::optional<RaceDetector::Conflict> RaceDetector::write(Cell &cell, size_t thread, uint32_t site) {
  std::optional<Conflict> conflict;
  if (cell.products > 0)
    conflict = Conflict{Trouble::Operand, false, cell.product};
  else if (cell.inFlight)
    conflict = Conflict{Trouble::InFlight, true, cell.write};
  else if (!isOrdered(cell.write, thread))
    conflict = Conflict{Trouble::Unordered, true, cell.write};
  for (const Event &read : cell.reads)
    if (!conflict && !isOrdered(read, thread))
      conflict = Conflict{Trouble::Unordered, false, read};
  cell = Cell();
  cell.write = eventOf(thread, site);
  return conflict;
}

std::optional<RaceDetector::Conflict> RaceDetector::startCopy(Cell &cell, size_t thread, uint32_t site) {
  std::optional<Conflict> conflict = write(cell, thread, site);
  cell.inFlight = true;
  return conflict;
}

void RaceDetector::land(Cell &cell, size_t thread) {
  // Another copy to the same place may have started since; then that one is in flight.
  if (cell.write.thread != thread)
    return;
  cell.inFlight = false;
  cell.write.step = clocks_.now(thread);
}

std::optional<RaceDetector::Conflict> RaceDetector::startBulkCopy(Cell &cell, size_t thread, size_t agent,
                                                                  ThreadClocks::Step step, uint32_t site) {
  Event before = cell.write;
  bool isSeen = isSeenByAsyncProxy(cell, thread);
  std::optional<Conflict> conflict = write(cell, thread, site);
  if (!conflict && !isSeen)
    conflict = Conflict{Trouble::Unfenced, true, before};
  cell.write = {site, step, static_cast<uint16_t>(agent)};
  cell.inFlight = true;
  return conflict;
}

/// Another copy to the same place may have started since.
void RaceDetector::landBulkCopy(Cell &cell, size_t agent, ThreadClocks::Step step) {
  if (cell.write.thread == agent && cell.write.step == step)
    cell.inFlight = false;
}

std::optional<RaceDetector::Conflict> RaceDetector::startProduct(Cell &cell, size_t thread, uint32_t site) {
  std::optional<Conflict> conflict = read(cell, thread, site, /*byWarp=*/true);
  const Event &write = cell.write;
  if (!conflict && !isSeenByAsyncProxy(cell, laneThatDidNotWrite(cell, thread)))
    conflict = Conflict{Trouble::Unfenced, true, write};
  cell.product = eventOf(thread, site);
  ++cell.products;
  return conflict;
}

/// A write that came too early has forgotten the product.
void RaceDetector::endProduct(Cell &cell, size_t thread, uint32_t site) {
  if (cell.products > 0)
    --cell.products;
  Event read = eventOf(thread, site);
  read.ofWarp = true;
  remember(cell, read);
}

} // namespace oriel::runtime::emulated
