#include "runtime/device/cuda/emulated/Intrinsics.h"

#include "runtime/device/cuda/emulated/BlockScheduler.h"

#include <bit>
#include <cmath>

using oriel::runtime::emulated::BlockScheduler;

namespace {

using oriel::runtime::emulated::warpSize;

struct MmaLane {
  const uint32_t *a, *b;
  const float *c;
  float *d;
};

/// d = a·b + c by the lanes' accumulators, once A [16,K] and B [K,8] are gathered.
template <size_t K> void multiplyGathered(const float (&a)[16][K], const float (&b)[K][8], void *const *lanes) {
  for (size_t lane = 0; lane < warpSize; ++lane) {
    const auto &to = *static_cast<const MmaLane *>(lanes[lane]);
    for (size_t i = 0; i < 4; ++i) {
      size_t row = lane / 4 + (i / 2) * 8, col = lane % 4 * 2 + i % 2;
      float sum = to.c[i];
      for (size_t k = 0; k < K; ++k)
        sum += a[row][k] * b[k][col];
      to.d[i] = sum;
    }
  }
}

float bf16(uint32_t packed, int half) { return std::bit_cast<float>(half ? packed & 0xffff0000u : packed << 16); }

void multiplyWarp(void *const *lanes) {
  float a[16][16], b[16][8];
  for (size_t lane = 0; lane < warpSize; ++lane) {
    const auto &from = *static_cast<const MmaLane *>(lanes[lane]);
    size_t group = lane / 4, pair = lane % 4 * 2;
    for (int half : {0, 1}) {
      for (size_t reg = 0; reg < 4; ++reg)
        a[group + (reg % 2) * 8][pair + (reg / 2) * 8 + half] = bf16(from.a[reg], half);
      for (size_t reg = 0; reg < 2; ++reg)
        b[pair + reg * 8 + half][group] = bf16(from.b[reg], half);
    }
  }
  multiplyGathered(a, b, lanes);
}

/// What the tensor core sees of a register.
float tf32(uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); }

void multiplyWarpTf32(void *const *lanes) {
  float a[16][8], b[8][8];
  for (size_t lane = 0; lane < warpSize; ++lane) {
    const auto &from = *static_cast<const MmaLane *>(lanes[lane]);
    size_t group = lane / 4, inGroup = lane % 4;
    for (size_t reg = 0; reg < 4; ++reg)
      a[group + (reg % 2) * 8][inGroup + (reg / 2) * 4] = tf32(from.a[reg]);
    for (size_t reg = 0; reg < 2; ++reg)
      b[inGroup + reg * 4][group] = tf32(from.b[reg]);
  }
  multiplyGathered(a, b, lanes);
}

struct ShuffleLane {
  uint32_t value, result;
  size_t source; // lane
};

void shuffleWarp(void *const *lanes) {
  for (size_t lane = 0; lane < warpSize; ++lane) {
    auto &to = *static_cast<ShuffleLane *>(lanes[lane]);
    to.result = static_cast<const ShuffleLane *>(lanes[to.source % warpSize])->value;
  }
}

struct MatrixLane {
  uint32_t *d;
  const uint16_t *row;
  int32_t count;
  bool transposed;
};

/// Lane l gets elements 2·(l mod 4) and the next of row l / 4 of each matrix, or of column l / 4 when transposed.
void loadMatricesOfWarp(void *const *lanes) {
  for (size_t lane = 0; lane < warpSize; ++lane) {
    const auto &to = *static_cast<const MatrixLane *>(lanes[lane]);
    size_t major = lane / 4, minor = lane % 4 * 2;
    for (size_t matrix = 0; matrix < static_cast<size_t>(to.count); ++matrix) {
      auto element = [&](size_t row, size_t col) -> uint32_t {
        return static_cast<const MatrixLane *>(lanes[matrix * 8 + row])->row[col];
      };
      to.d[matrix] = to.transposed ? element(minor, major) | element(minor + 1, major) << 16
                                   : element(major, minor) | element(major, minor + 1) << 16;
    }
  }
}

} // namespace

int32_t orielEmulatedThread() { return BlockScheduler::running().threadIndex(); }
int32_t orielEmulatedBlock(int32_t dim) { return BlockScheduler::running().blockIndex(dim); }
std::byte *orielEmulatedShared() { return BlockScheduler::running().shared(); }
void orielEmulatedBarrier() { BlockScheduler::running().barrier(); }
void orielEmulatedWarpBarrier() { BlockScheduler::running().warpBarrier(); }
void orielEmulatedAnnounce(const void *address, int32_t bytes, int32_t site) {
  BlockScheduler::running().announce(address, bytes, site);
}

void orielEmulatedMma(const uint32_t *a, const uint32_t *b, const float *c, float *d) {
  MmaLane lane{a, b, c, d};
  BlockScheduler::running().meetWarp(multiplyWarp, &lane);
}

void orielEmulatedMmaTf32(const uint32_t *a, const uint32_t *b, const float *c, float *d) {
  MmaLane lane{a, b, c, d};
  BlockScheduler::running().meetWarp(multiplyWarpTf32, &lane);
}

uint32_t orielEmulatedShuffle(uint32_t value, int32_t source) {
  ShuffleLane lane{value, 0, static_cast<size_t>(source)};
  BlockScheduler::running().meetWarp(shuffleWarp, &lane);
  return lane.result;
}

uint32_t orielEmulatedShuffleXor(uint32_t value, int32_t laneMask) {
  auto lane = static_cast<int32_t>(BlockScheduler::running().threadIndex() % warpSize);
  return orielEmulatedShuffle(value, lane ^ laneMask);
}

void orielEmulatedLoadMatrices(uint32_t *d, const void *row, int32_t count, int32_t transposed) {
  BlockScheduler &block = BlockScheduler::running();
  if (block.threadIndex() % warpSize < count * 8)
    block.checkShared(row, 16, "ldmatrix");
  MatrixLane lane{d, static_cast<const uint16_t *>(row), count, transposed != 0};
  block.meetWarp(loadMatricesOfWarp, &lane);
}

void orielEmulatedCopyAsync(void *destination, const void *source, int32_t bytes) {
  BlockScheduler::running().startCopy(destination, source, bytes);
}
void orielEmulatedCommitCopies() { BlockScheduler::running().commitCopies(); }
void orielEmulatedWaitForCopies(int32_t inFlight) { BlockScheduler::running().waitForCopies(inFlight); }

float orielEmulatedExp2(float x) { return std::exp2(x); }
float orielEmulatedLog2(float x) { return std::log2(x); }
float orielEmulatedRsqrt(float x) { return 1.0f / std::sqrt(x); }

uint16_t orielEmulatedRoundToBf16(float x) {
  auto bits = std::bit_cast<uint32_t>(x);
  if (x != x)
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint32_t orielEmulatedRoundToTf32(float x) {
  auto bits = std::bit_cast<uint32_t>(x);
  return x != x ? 0x7fffe000u : (bits + 0x1000) & 0xffffe000u;
}

namespace oriel::runtime::emulated {

void *intrinsicNamed(absl::string_view name) {
  struct Named {
    absl::string_view name;
    void *address;
  };
#define ORIEL_INTRINSIC(function)                                                                                      \
  { #function, reinterpret_cast < void *>(&function) }
  static const Named all[] = {ORIEL_INTRINSIC(orielEmulatedThread),
                              ORIEL_INTRINSIC(orielEmulatedBlock),
                              ORIEL_INTRINSIC(orielEmulatedShared),
                              ORIEL_INTRINSIC(orielEmulatedBarrier),
                              ORIEL_INTRINSIC(orielEmulatedMma),
                              ORIEL_INTRINSIC(orielEmulatedMmaTf32),
                              ORIEL_INTRINSIC(orielEmulatedShuffle),
                              ORIEL_INTRINSIC(orielEmulatedShuffleXor),
                              ORIEL_INTRINSIC(orielEmulatedLoadMatrices),
                              ORIEL_INTRINSIC(orielEmulatedCopyAsync),
                              ORIEL_INTRINSIC(orielEmulatedCommitCopies),
                              ORIEL_INTRINSIC(orielEmulatedWaitForCopies),
                              ORIEL_INTRINSIC(orielEmulatedExp2),
                              ORIEL_INTRINSIC(orielEmulatedLog2),
                              ORIEL_INTRINSIC(orielEmulatedRsqrt),
                              ORIEL_INTRINSIC(orielEmulatedRoundToBf16),
                              ORIEL_INTRINSIC(orielEmulatedRoundToTf32),
                              ORIEL_INTRINSIC(orielEmulatedWarpgroupMultiply),
                              ORIEL_INTRINSIC(orielEmulatedWarpgroupFence),
                              ORIEL_INTRINSIC(orielEmulatedWarpgroupCommit),
                              ORIEL_INTRINSIC(orielEmulatedWarpgroupWait),
                              ORIEL_INTRINSIC(orielEmulatedFenceAsyncProxy),
                              ORIEL_INTRINSIC(orielEmulatedAnnounceAccumulator),
                              ORIEL_INTRINSIC(orielEmulatedMbarrierInit),
                              ORIEL_INTRINSIC(orielEmulatedMbarrierArrive),
                              ORIEL_INTRINSIC(orielEmulatedMbarrierWait),
                              ORIEL_INTRINSIC(orielEmulatedCopyTensor),
                              ORIEL_INTRINSIC(orielEmulatedElect),
                              ORIEL_INTRINSIC(orielEmulatedWarpBarrier),
                              ORIEL_INTRINSIC(orielEmulatedAnnounce)};
#undef ORIEL_INTRINSIC
  for (const Named &named : all)
    if (named.name == name)
      return named.address;
  return nullptr;
}

} // namespace oriel::runtime::emulated
