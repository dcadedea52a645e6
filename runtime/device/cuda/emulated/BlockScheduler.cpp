#include "runtime/device/cuda/emulated/BlockScheduler.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace oriel::runtime::emulated {

static thread_local BlockScheduler *active = nullptr;

static constexpr size_t sharedAlignment = 1024, guardBytes = 256;
static constexpr int poison = 0xff; // NaN in f32, bf16 and f16
static constexpr auto guard = std::byte(0xa5);

BlockScheduler &BlockScheduler::running() { return *active; }

BlockScheduler::BlockScheduler(int64_t threads, int64_t sharedBytes)
    : fibers_(static_cast<size_t>(threads)), states_(fibers_.size()), meetings_(fibers_.size()),
      mbarrierWaits_(fibers_.size()), copies_(fibers_.size()), order_(fibers_.size()), sharedBytes_(sharedBytes),
      sharedBlock_(new std::byte[static_cast<size_t>(sharedBytes) + sharedAlignment + guardBytes]) {
  auto base = reinterpret_cast<uintptr_t>(sharedBlock_.get());
  shared_ = sharedBlock_.get() + ((base + sharedAlignment - 1) / sharedAlignment * sharedAlignment - base);
}

BlockScheduler::~BlockScheduler() = default;

std::string BlockScheduler::runBlock(std::array<int64_t, 3> block, uint64_t seed, Fiber::Body thread, void *argument) {
  block_ = block;
  random_.seed(seed);
  std::iota(order_.begin(), order_.end(), uint16_t(0)); // the seed alone decides, not the block before
  std::memset(shared_, poison, static_cast<size_t>(sharedBytes_));
  std::fill_n(shared_ + sharedBytes_, guardBytes, guard);
  std::fill(copies_.begin(), copies_.end(), ThreadCopies());
  mbarriers_.reset(fibers_.size());
  warpgroupProducts_.reset((fibers_.size() + warpSize - 1) / warpSize);
  fault_.clear();
  for (Fiber &fiber : fibers_)
    fiber.start(thread, argument);
  std::fill(states_.begin(), states_.end(), State::Ready);
  active = this;
  do {
    progress_ = false;
    resumeReadyThreads();
    progress_ |= releaseMbarriers();
    progress_ |= releaseWarps();
    progress_ |= releaseBarrier();
  } while (progress_);
  active = nullptr;
  std::string fault = findFault();
  if (fault.empty())
    return fault;
  return absl::StrCat("block (", block[0], ", ", block[1], ", ", block[2], "): ", fault);
}

void BlockScheduler::resumeReadyThreads() {
  std::shuffle(order_.begin(), order_.end(), random_);
  for (size_t index : order_) {
    if (states_[index] != State::Ready)
      continue;
    progress_ = true;
    current_ = index;
    fibers_[index].resume();
    if (fibers_[index].finished())
      states_[index] = State::Done;
  }
}

/// A thread that waits for ever is not finished; its fiber starts anew with the next block.
std::string BlockScheduler::findFault() const {
  if (!fault_.empty())
    return fault_;
  if (std::count(states_.begin(), states_.end(), State::Stopped) > 0)
    return {}; // the monitor knows why; the others waited in vain for it
  auto count = [&](State state) { return std::count(states_.begin(), states_.end(), state); };
  if (int64_t waiting = count(State::AtMbarrier))
    return mbarriers_.whyStuck(
        mbarrierWaits_[std::find(states_.begin(), states_.end(), State::AtMbarrier) - states_.begin()].at, waiting);
  if (count(State::Done) != threads())
    return absl::StrCat("divergent threads: ", count(State::AtBarrier), " wait at a barrier, ",
                        count(State::AtCollective), " at a warp collective, ", count(State::Done), " have ended");
  if (std::string inFlight = warpgroupProducts_.fault(); !inFlight.empty())
    return inFlight;
  if (std::string inFlight = mbarriers_.fault(); !inFlight.empty())
    return inFlight;
  const std::byte *end = shared_ + sharedBytes_;
  const std::byte *broken = std::find_if(end, end + guardBytes, [](std::byte byte) { return byte != guard; });
  if (broken != end + guardBytes)
    return absl::StrCat("a write to byte ", broken - shared_, " of ", sharedBytes_, " bytes of shared memory");
  return {};
}

void BlockScheduler::fail(std::string fault) {
  if (fault_.empty())
    fault_ = std::move(fault);
}

void BlockScheduler::wait(State state) {
  size_t self = current_;
  states_[self] = state;
  fibers_[self].suspend();
}

void BlockScheduler::barrier() { wait(State::AtBarrier); }

bool BlockScheduler::releaseBarrier() {
  if (!std::all_of(states_.begin(), states_.end(), [](State s) { return s == State::AtBarrier; }))
    return false;
  std::fill(states_.begin(), states_.end(), State::Ready);
  if (monitor_)
    monitor_->barrierReleased();
  return true;
}

void BlockScheduler::waitForMbarrier(size_t at, int32_t parity) {
  mbarrierWaits_[current_] = {at, parity};
  wait(State::AtMbarrier);
}

bool BlockScheduler::releaseMbarriers() {
  bool released = false;
  for (size_t thread = 0; thread < states_.size(); ++thread)
    if (states_[thread] == State::AtMbarrier &&
        mbarriers_.isOver(mbarrierWaits_[thread].at, mbarrierWaits_[thread].parity)) {
      states_[thread] = State::Ready;
      released = true;
    }
  return released;
}

void BlockScheduler::announce(const void *address, int64_t bytes, int32_t site) {
  if (monitor_ && !monitor_->access(current_, reinterpret_cast<uintptr_t>(address), bytes, static_cast<uint32_t>(site)))
    wait(State::Stopped);
}

// ---- Copies ---------------------------------------------------------------------------------------------------------

bool BlockScheduler::checkShared(const void *address, int64_t bytes, const char *what) {
  int64_t offset = static_cast<const std::byte *>(address) - shared_;
  bool isRight = offset >= 0 && offset + bytes <= sharedBytes_ && offset % bytes == 0;
  if (!isRight && fault_.empty())
    fault_ = absl::StrCat(what, " of thread ", current_, ": ", bytes, " bytes at byte ", offset, " of ", sharedBytes_,
                          " bytes of shared memory; they must lie inside, aligned");
  return isRight;
}

void BlockScheduler::startCopy(void *destination, const void *source, int64_t bytes) {
  constexpr int64_t copyBytes = 16;
  if (!checkShared(destination, copyBytes, "cp.async"))
    return;
  if (bytes > 0 && reinterpret_cast<uintptr_t>(source) % copyBytes != 0 && fault_.empty())
    fault_ = absl::StrCat("cp.async of thread ", current_, ": its source is not aligned to 16 bytes");
  auto *to = static_cast<std::byte *>(destination);
  std::memset(to, poison, copyBytes);
  ThreadCopies &own = copies_[current_];
  own.inFlight.push_back({to, static_cast<const std::byte *>(source), bytes, own.committed});
}

void BlockScheduler::commitCopies() { ++copies_[current_].committed; }

void BlockScheduler::waitForCopies(int64_t inFlight) {
  ThreadCopies &own = copies_[current_];
  auto lands = [&](const Copy &copy) { return copy.group < own.committed - inFlight; };
  auto firstInFlight = std::find_if_not(own.inFlight.begin(), own.inFlight.end(), lands);
  for (auto copy = own.inFlight.begin(); copy != firstInFlight; ++copy) {
    std::memset(copy->destination, 0, 16);
    if (copy->bytes > 0)
      std::memcpy(copy->destination, copy->source, static_cast<size_t>(copy->bytes));
    if (monitor_)
      monitor_->copyLanded(current_, copy->destination, 16);
  }
  own.inFlight.erase(own.inFlight.begin(), firstInFlight);
}

// ---- Warps ----------------------------------------------------------------------------------------------------------

void BlockScheduler::meetWarp(WarpFunction together, void *lane) {
  meetings_[current_] = {together, lane};
  wait(State::AtCollective);
}

static void meetOnly(void *const *) {}

void BlockScheduler::warpBarrier() { meetWarp(meetOnly, nullptr); }

bool BlockScheduler::releaseWarps() {
  bool released = false;
  for (size_t first = 0; first < states_.size(); first += warpSize)
    released |= releaseWarp(first, std::min<size_t>(warpSize, states_.size() - first));
  return released;
}

bool BlockScheduler::releaseWarp(size_t first, size_t lanes) {
  WarpFunction together = meetings_[first].together;
  for (size_t i = first; i < first + lanes; ++i)
    if (states_[i] != State::AtCollective || meetings_[i].together != together)
      return false;
  std::array<void *, warpSize> operands = {};
  for (size_t lane = 0; lane < lanes; ++lane)
    operands[lane] = meetings_[first + lane].lane;
  together(operands.data());
  if (monitor_)
    monitor_->warpReleased(first, lanes, /*ordersMemory=*/together == meetOnly);
  std::fill_n(states_.begin() + static_cast<std::ptrdiff_t>(first), lanes, State::Ready);
  return true;
}

} // namespace oriel::runtime::emulated
