#include "runtime/device/cuda/emulated/Mbarriers.h"

#include "runtime/device/cuda/emulated/BlockScheduler.h"

#include "absl/strings/str_cat.h"

#include <cstring>

namespace oriel::runtime::emulated {

static constexpr uint64_t mark = 0x6d62617272696572; // lies in shared memory where an mbarrier does
static constexpr int64_t mostExpectedBytes = (1 << 20) - 1;
static constexpr int poison = 0xff;

static void fail(const std::string &fault) { BlockScheduler::running().fail(fault); }

void Mbarriers::reset(size_t threads) {
  all_.clear();
  threads_ = threads;
}

void Mbarriers::init(size_t at, int64_t count) {
  if (all_.size() == ThreadClocks::mostAgents)
    return fail(absl::StrCat("more than ", ThreadClocks::mostAgents, " mbarriers, which the emulator does not do"));
  Mbarrier fresh{all_.size(), count, count};
  fresh.seen.assign(threads_, -1);
  if (!all_.emplace(at, std::move(fresh)).second)
    return fail(absl::StrCat("mbarrier at byte ", at, ": initialised twice"));
  std::memcpy(BlockScheduler::running().shared() + at, &mark, sizeof(mark));
}

Mbarriers::Mbarrier *Mbarriers::find(size_t at) {
  auto found = all_.find(at);
  if (found == all_.end()) {
    fail(absl::StrCat("mbarrier at byte ", at, ": nobody has initialised it"));
    return nullptr;
  }
  if (std::memcmp(BlockScheduler::running().shared() + at, &mark, sizeof(mark)) != 0)
    fail(absl::StrCat("mbarrier at byte ", at, ": its memory was overwritten"));
  return &found->second;
}

void Mbarriers::arrive(size_t at, size_t thread, int64_t expectedBytes) {
  Mbarrier *mbarrier = find(at);
  if (!mbarrier)
    return;
  isOver(at, /*parity=*/0); // a phase that nobody waits for ends all the same
  if (mbarrier->pending == 0)
    return fail(absl::StrCat("mbarrier at byte ", at, ": more arrivals in phase ", mbarrier->phase, " than its ",
                             mbarrier->count));
  --mbarrier->pending;
  mbarrier->expectedBytes += expectedBytes;
  if (mbarrier->expectedBytes > mostExpectedBytes)
    fail(absl::StrCat("mbarrier at byte ", at, ": expects ", mbarrier->expectedBytes, " bytes; ", mostExpectedBytes,
                      " are the most"));
  if (BlockMonitor *monitor = BlockScheduler::running().monitor())
    monitor->arrived(thread, mbarrier->arriving);
}

void Mbarriers::startCopy(size_t at, size_t thread, BulkCopy copy) {
  Mbarrier *mbarrier = find(at);
  if (!mbarrier)
    return;
  BlockScheduler &block = BlockScheduler::running();
  mbarrier->broughtBytes += copy.bytes();
  bool isAllowed = !block.monitor() ||
                   block.monitor()->bulkCopyStarted(thread, copy, at, mbarrier->number,
                                                    static_cast<ThreadClocks::Step>(mbarrier->phase + 1));
  if (!isAllowed)
    copy.map.sizes = {}; // all of it is outside
  copy.visit([&](const BulkCopy::Piece &piece) {
    std::memset(block.shared() + piece.target, poison, BulkCopy::pieceBytes);
  });
  mbarrier->inFlight.push_back(std::move(copy));
}

void Mbarriers::land(Mbarrier &mbarrier) {
  BlockScheduler &block = BlockScheduler::running();
  for (const BulkCopy &copy : mbarrier.inFlight) {
    copy.visit([&](const BulkCopy::Piece &piece) {
      std::byte *target = block.shared() + piece.target;
      std::memset(target, 0, BulkCopy::pieceBytes);
      if (piece.insideBytes > 0)
        std::memcpy(target + piece.begin, reinterpret_cast<const void *>(piece.source),
                    static_cast<size_t>(piece.insideBytes));
    });
    if (block.monitor())
      block.monitor()->bulkCopyLanded(copy, mbarrier.number, static_cast<ThreadClocks::Step>(mbarrier.phase + 1));
  }
  mbarrier.inFlight.clear();
}

bool Mbarriers::isOver(size_t at, int32_t parity) {
  Mbarrier &mbarrier = all_.at(at);
  bool ends = mbarrier.pending == 0 && mbarrier.broughtBytes >= mbarrier.expectedBytes;
  if (ends && mbarrier.broughtBytes > mbarrier.expectedBytes)
    fail(absl::StrCat("mbarrier at byte ", at, ": phase ", mbarrier.phase, " expects ", mbarrier.expectedBytes,
                      " bytes and copies bring ", mbarrier.broughtBytes, ": it ends before they have landed"));
  if (ends) {
    land(mbarrier);
    ++mbarrier.phase;
    mbarrier.pending = mbarrier.count;
    mbarrier.expectedBytes = mbarrier.broughtBytes = 0;
    mbarrier.released = std::move(mbarrier.arriving);
    mbarrier.arriving = {};
  }
  return mbarrier.phase % 2 != parity;
}

bool Mbarriers::testWait(size_t at, size_t thread, int32_t parity) {
  Mbarrier *mbarrier = find(at);
  if (!mbarrier)
    return true;
  // A thread that waits for the phase before the present one does not end the present one.
  if (mbarrier->phase % 2 == parity && !isOver(at, parity))
    return false;
  int64_t over = mbarrier->phase - 1;
  if (mbarrier->seen[thread] == over && !mbarrier->inFlight.empty())
    fail(absl::StrCat("mbarrier at byte ", at, ": wrong phase: thread ", thread, " waits for parity ", parity,
                      over < 0 ? ", of no phase that was" : ", of a phase that it has seen end",
                      ", while copies of phase ", mbarrier->phase, " are in flight"));
  mbarrier->seen[thread] = over;
  if (BlockMonitor *monitor = BlockScheduler::running().monitor())
    monitor->phaseSeen(thread, mbarrier->number, static_cast<ThreadClocks::Step>(over + 1), mbarrier->released);
  return true;
}

std::string Mbarriers::whyStuck(size_t at, int64_t waiting) const {
  const Mbarrier &mbarrier = all_.at(at);
  std::string start = absl::StrCat("mbarrier at byte ", at, ": ", waiting, " threads wait for ever for phase ",
                                   mbarrier.phase, " to end: ");
  if (mbarrier.pending > 0)
    return absl::StrCat(start, mbarrier.count - mbarrier.pending, " of ", mbarrier.count, " arrivals have come");
  return absl::StrCat(start, "it expects ", mbarrier.expectedBytes, " bytes and copies bring ", mbarrier.broughtBytes);
}

std::string Mbarriers::fault() const {
  for (const auto &[at, mbarrier] : all_)
    if (!mbarrier.inFlight.empty())
      return absl::StrCat("mbarrier at byte ", at, ": threads ended before they waited for ", mbarrier.broughtBytes,
                          " bytes in flight");
  return {};
}

} // namespace oriel::runtime::emulated

using namespace oriel::runtime::emulated;

static size_t currentThread() { return static_cast<size_t>(BlockScheduler::running().threadIndex()); }

/// The byte of shared memory; faulty places are told and count as the first.
static size_t placeOf(const void *mbarrier, const char *what) {
  BlockScheduler &block = BlockScheduler::running();
  return block.checkShared(mbarrier, Mbarriers::bytes, what)
             ? static_cast<size_t>(static_cast<const std::byte *>(mbarrier) - block.shared())
             : 0;
}

void orielEmulatedMbarrierInit(void *mbarrier, int32_t count) {
  BlockScheduler::running().mbarriers().init(placeOf(mbarrier, "mbarrier.init"), count);
}

void orielEmulatedMbarrierArrive(void *mbarrier, int32_t expectedBytes) {
  BlockScheduler::running().mbarriers().arrive(placeOf(mbarrier, "mbarrier.arrive"), currentThread(), expectedBytes);
}

int32_t orielEmulatedMbarrierWait(void *mbarrier, int32_t parity) {
  BlockScheduler &block = BlockScheduler::running();
  size_t at = placeOf(mbarrier, "mbarrier.try_wait");
  while (!block.mbarriers().testWait(at, currentThread(), parity))
    block.waitForMbarrier(at, parity);
  return 1;
}

void orielEmulatedCopyTensor(void *target, void *mbarrier, const void *map, const int32_t *coordinates, int32_t rank) {
  BlockScheduler &block = BlockScheduler::running();
  std::optional<TensorMapFields> fields = readTensorMap(map);
  if (!fields || fields->rank != static_cast<uint32_t>(rank))
    return block.fail(absl::StrCat("cp.async.bulk.tensor of thread ", currentThread(), ": no tensor map of ", rank,
                                   " dimensions"));
  BulkCopy copy{*fields};
  std::copy_n(coordinates, rank, copy.coordinates.begin());
  // A box starts where its swizzle does.
  int64_t offset = static_cast<std::byte *>(target) - block.shared();
  int64_t alignment = std::max<int64_t>(128, 8 * static_cast<int64_t>(fields->swizzleBytes));
  if (offset < 0 || offset + copy.bytes() > block.sharedBytes() || offset % alignment != 0)
    return block.fail(absl::StrCat("cp.async.bulk.tensor of thread ", currentThread(), ": ", copy.bytes(),
                                   " bytes to byte ", offset, " of ", block.sharedBytes(),
                                   " bytes of shared memory; they must lie inside, aligned to ", alignment));
  copy.target = static_cast<size_t>(offset);
  block.mbarriers().startCopy(placeOf(mbarrier, "cp.async.bulk.tensor"), currentThread(), std::move(copy));
}

int32_t orielEmulatedElect() {
  BlockScheduler &block = BlockScheduler::running();
  block.meetWarp([](void *const *) {}, nullptr);
  return block.threadIndex() % warpSize == 0;
}
