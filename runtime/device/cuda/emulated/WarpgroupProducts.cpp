#include "runtime/device/cuda/emulated/WarpgroupProducts.h"

#include "runtime/device/cuda/emulated/BlockScheduler.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace oriel::runtime::emulated {

static constexpr size_t rowsOfWarp = 16, depth = 16, rowsOfAtom = 8, bf16Bytes = 2;

struct WarpgroupProduct {
  uint32_t number = 0; // of its warp, from 1
  int64_t group = 0;
  size_t columns = 0;
  std::array<std::array<uint16_t, depth>, rowsOfWarp> a = {};
  std::vector<uint16_t> b; // [depth, columns]
  bool readsA = false;     // from shared memory
  uint64_t descriptorA = 0, descriptorB = 0;
  bool isFirstByK = false, isSecondByK = false;
  std::shared_ptr<WarpgroupProduct> before; // whose results it adds to
  std::vector<float> sums;                  // [lane, accumulator]
  uint32_t site = 0;                        // of a kernel with checks
  std::vector<uint32_t> reads;              // bytes of shared memory where its elements lie
};

// ---- Accumulators in flight -----------------------------------------------------------------------------------------

/// A quiet NaN whose payload is the number of a product and of an accumulator.
static constexpr uint32_t quietNan = 0x7fc00000, accumulatorBits = 7, mostNumbers = (1 << 15) - 1;

static float standIn(uint32_t number, size_t accumulator) {
  return std::bit_cast<float>(quietNan | number << accumulatorBits | static_cast<uint32_t>(accumulator));
}

/// The number of the product that a register stands for; 0: it is a value.
static uint32_t numberIn(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return (bits & 0xffc00000u) == quietNan ? (bits & 0x3fffffu) >> accumulatorBits : 0;
}

static size_t accumulatorIn(float value) { return std::bit_cast<uint32_t>(value) & ((1u << accumulatorBits) - 1); }

// ---- Operands -------------------------------------------------------------------------------------------------------

namespace {

/// A matrix descriptor (PTX ISA, "Matrix descriptor format"), with addresses as bytes of the block's shared memory.
class SharedMatrix {
public:
  SharedMatrix(uint64_t descriptor, bool isByK) : isByK_(isByK) {
    auto base = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(BlockScheduler::running().shared()));
    start_ = static_cast<size_t>(((descriptor & 0x3fff) - (base >> 4)) & 0x3fff) << 4;
    leading_ = static_cast<size_t>(descriptor >> 16 & 0x3fff) << 4;
    stride_ = static_cast<size_t>(descriptor >> 32 & 0x3fff) << 4;
    auto mode = static_cast<size_t>(descriptor >> 62);
    width_ = mode == 0 ? 0 : size_t(256) >> mode;
  }

  bool isSwizzled() const { return width_ > 0; }

  /// Byte of shared memory where element (outer, k) lies.
  size_t place(size_t outer, size_t k) const {
    size_t row = isByK_ ? k : outer, bytes = (isByK_ ? outer : k) * bf16Bytes;
    size_t at = start_ + row / rowsOfAtom * stride_ + row % rowsOfAtom * width_ + bytes;
    if (isByK_)
      at += bytes / width_ * (leading_ - width_);
    return at ^ (at >> 3 & (width_ - 16));
  }

private:
  bool isByK_;
  size_t start_, leading_, stride_, width_; // bytes; the width of an atom's rows is 0 where there is no swizzle
};

} // namespace

/// Elements (first + i, k) of a matrix into to[i·rowStep + k·kStep], and their places into `places`. False, and a
/// fault, if one lies outside.
static bool gather(uint64_t descriptor, bool isByK, size_t first, size_t count, uint16_t *to, size_t rowStep,
                   size_t kStep, std::vector<uint32_t> &places) {
  BlockScheduler &block = BlockScheduler::running();
  SharedMatrix matrix(descriptor, isByK);
  if (!matrix.isSwizzled()) {
    block.fail("wgmma: a descriptor without a swizzle, which the emulator does not know");
    return false;
  }
  for (size_t i = 0; i < count; ++i)
    for (size_t k = 0; k < depth; ++k) {
      size_t at = matrix.place(first + i, k);
      if (at + bf16Bytes > static_cast<size_t>(block.sharedBytes())) {
        block.fail(absl::StrCat("wgmma: a descriptor leads to byte ", at, " of ", block.sharedBytes(),
                                " bytes of shared memory"));
        return false;
      }
      std::memcpy(to + i * rowStep + k * kStep, block.shared() + at, bf16Bytes);
      places.push_back(static_cast<uint32_t>(at));
    }
  return true;
}

static bool gatherOperands(WarpgroupProduct &product, size_t warp) {
  product.b.resize(depth * product.columns);
  product.reads.clear();
  bool isRight = gather(product.descriptorB, product.isSecondByK, 0, product.columns, product.b.data(), 1,
                        product.columns, product.reads);
  if (product.readsA)
    isRight &= gather(product.descriptorA, product.isFirstByK, warp % 4 * rowsOfWarp, rowsOfWarp,
                      product.a.front().data(), depth, 1, product.reads);
  return isRight;
}

// ---- Issue ----------------------------------------------------------------------------------------------------------

namespace {
struct IssueLane {
  float *d;
  const uint32_t *a;
  uint64_t descriptorA, descriptorB;
  int32_t columns, flags;
  size_t warp;
};
} // namespace

static const IssueLane &issueOf(void *const *lanes, size_t lane) {
  return *static_cast<const IssueLane *>(lanes[lane]);
}

/// Registers of the first operand, as those of mma.m16n8k16.
static void takeRegisters(WarpgroupProduct &product, void *const *lanes) {
  for (size_t lane = 0; lane < warpSize; ++lane)
    for (size_t reg = 0; reg < 4; ++reg) {
      uint32_t pair = issueOf(lanes, lane).a[reg];
      auto &row = product.a[lane / 4 + reg % 2 * 8];
      row[lane % 4 * 2 + reg / 2 * 8] = static_cast<uint16_t>(pair);
      row[lane % 4 * 2 + reg / 2 * 8 + 1] = static_cast<uint16_t>(pair >> 16);
    }
}

/// Accumulators are values, which a fence orders with the product, or all of one product in flight.
static void takeAccumulators(WarpgroupProduct &product, WarpgroupProducts::Warp &warp, void *const *lanes) {
  size_t count = product.columns / 2;
  uint32_t before = numberIn(issueOf(lanes, 0).d[0]);
  for (size_t lane = 0; lane < warpSize; ++lane)
    for (size_t i = 0; i < count; ++i) {
      float value = issueOf(lanes, lane).d[i];
      product.sums[lane * count + i] = value;
      if (numberIn(value) != before || (before && accumulatorIn(value) != i))
        return BlockScheduler::running().fail("wgmma: its accumulators are partly those of a product in flight");
    }
  if (!before)
    return;
  for (const auto &other : warp.inFlight)
    if (other->number == before && other->columns == product.columns)
      product.before = other;
  if (!product.before)
    BlockScheduler::running().fail("wgmma: its accumulators are those of a product that was never waited for");
}

static void issue(void *const *lanes) {
  BlockScheduler &block = BlockScheduler::running();
  const IssueLane &first = issueOf(lanes, 0);
  WarpgroupProducts::Warp &warp = block.warpgroupProducts().warp(first.warp);
  auto product = std::make_shared<WarpgroupProduct>();
  product->number = warp.issued++ % mostNumbers + 1;
  product->group = warp.committed;
  product->columns = static_cast<size_t>(first.columns);
  product->readsA = !first.a;
  product->descriptorA = first.descriptorA, product->descriptorB = first.descriptorB;
  product->isFirstByK = first.flags & 2, product->isSecondByK = first.flags & 4;
  product->sums.resize(warpSize * product->columns / 2);
  if (first.a)
    takeRegisters(*product, lanes);
  if (first.flags & 1)
    takeAccumulators(*product, warp, lanes);
  if (!product->before && !warp.isFenced)
    block.fail("wgmma: no wgmma.fence orders it with what its registers were written by");
  gatherOperands(*product, first.warp);
  if (block.monitor())
    product->site = block.monitor()->productStarted(first.warp * warpSize, product->reads);
  for (size_t lane = 0; lane < warpSize; ++lane)
    for (size_t i = 0; i < product->columns / 2; ++i)
      issueOf(lanes, lane).d[i] = standIn(product->number, i);
  warp.inFlight.push_back(std::move(product));
}

// ---- Wait -----------------------------------------------------------------------------------------------------------

static float widen(uint16_t bf16) { return std::bit_cast<float>(static_cast<uint32_t>(bf16) << 16); }

static void land(WarpgroupProduct &product, size_t warp) {
  auto a = product.a;
  std::vector<uint16_t> b = product.b;
  if (BlockMonitor *monitor = BlockScheduler::running().monitor())
    monitor->productEnded(warp * warpSize, product.site, product.reads);
  if (!gatherOperands(product, warp))
    return;
  if (a != product.a || b != product.b)
    BlockScheduler::running().fail("wgmma: shared memory that it reads was written before it was waited for");
  if (product.before)
    product.sums = product.before->sums;
  product.before.reset();
  size_t count = product.columns / 2;
  for (size_t lane = 0; lane < warpSize; ++lane)
    for (size_t i = 0; i < count; ++i) {
      size_t row = lane / 4 + i / 2 % 2 * 8, col = i / 4 * 8 + lane % 4 * 2 + i % 2;
      float &sum = product.sums[lane * count + i];
      for (size_t k = 0; k < depth; ++k)
        sum += widen(a[row][k]) * widen(b[k * product.columns + col]);
    }
}

namespace {
struct WaitLane {
  float *registers;
  int32_t count, inFlight;
  size_t warp;
};
} // namespace

static void waitForGroups(void *const *lanes) {
  const auto &first = *static_cast<const WaitLane *>(lanes[0]);
  WarpgroupProducts::Warp &warp = BlockScheduler::running().warpgroupProducts().warp(first.warp);
  auto &all = warp.inFlight;
  auto end = std::find_if_not(all.begin(), all.end(),
                              [&](const auto &product) { return product->group < warp.committed - first.inFlight; });
  for (auto product = all.begin(); product != end; ++product)
    land(**product, first.warp);
  for (size_t lane = 0; lane < warpSize; ++lane) {
    const auto &own = *static_cast<const WaitLane *>(lanes[lane]);
    for (float *value = own.registers; value != own.registers + own.count; ++value)
      for (auto product = all.begin(); product != end && numberIn(*value); ++product)
        if ((*product)->number == numberIn(*value)) {
          *value = (*product)->sums[lane * (*product)->columns / 2 + accumulatorIn(*value)];
          break;
        }
  }
  all.erase(all.begin(), end);
}

std::string WarpgroupProducts::fault() const {
  bool isDone = std::all_of(warps_.begin(), warps_.end(), [](const Warp &warp) { return warp.inFlight.empty(); });
  return isDone ? std::string() : "wgmma: threads ended before they waited for it";
}

} // namespace oriel::runtime::emulated

using namespace oriel::runtime::emulated;

static size_t runningWarp() { return static_cast<size_t>(BlockScheduler::running().threadIndex()) / warpSize; }

void orielEmulatedWarpgroupMultiply(float *d, const uint32_t *a, uint64_t descriptorA, uint64_t descriptorB,
                                    int32_t columns, int32_t flags) {
  IssueLane lane{d, a, descriptorA, descriptorB, columns, flags, runningWarp()};
  BlockScheduler::running().meetWarp(issue, &lane);
}

void orielEmulatedWarpgroupFence() {
  BlockScheduler &block = BlockScheduler::running();
  size_t warp = runningWarp();
  block.meetWarp(
      [](void *const *lanes) {
        BlockScheduler::running().warpgroupProducts().warp(*static_cast<size_t *>(lanes[0])).isFenced = true;
      },
      &warp);
}

void orielEmulatedWarpgroupCommit() {
  BlockScheduler &block = BlockScheduler::running();
  size_t warp = runningWarp();
  block.meetWarp(
      [](void *const *lanes) {
        auto &own = BlockScheduler::running().warpgroupProducts().warp(*static_cast<size_t *>(lanes[0]));
        ++own.committed;
        own.isFenced = false;
      },
      &warp);
}

void orielEmulatedWarpgroupWait(float *registers, int32_t count, int32_t inFlight) {
  WaitLane lane{registers, count, inFlight, runningWarp()};
  BlockScheduler::running().meetWarp(waitForGroups, &lane);
}

void orielEmulatedFenceAsyncProxy() {
  BlockScheduler &block = BlockScheduler::running();
  if (block.monitor())
    block.monitor()->asyncProxyFenced(static_cast<size_t>(block.threadIndex()));
}

/// Registers that nobody waited for stand for the newest product of their number.
void orielEmulatedAnnounceAccumulator(float value, int32_t site) {
  BlockScheduler &block = BlockScheduler::running();
  uint32_t number = numberIn(value), product = static_cast<uint32_t>(site);
  if (number == 0 || !block.monitor())
    return;
  for (const auto &inFlight : block.warpgroupProducts().warp(runningWarp()).inFlight)
    if (inFlight->number == number)
      product = inFlight->site;
  block.monitor()->accumulatorRead(static_cast<size_t>(block.threadIndex()), static_cast<uint32_t>(site), product);
}
