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

float bf16(uint32_t packed, int half) { return std::bit_cast<float>(half ? packed & 0xffff0000u : packed << 16); }

/// Gathers A [16,16] and B [16,8] from the lanes' fragments, multiplies, and hands the result back.
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
  for (size_t lane = 0; lane < warpSize; ++lane) {
    const auto &to = *static_cast<const MmaLane *>(lanes[lane]);
    for (size_t i = 0; i < 4; ++i) {
      size_t row = lane / 4 + (i / 2) * 8, col = lane % 4 * 2 + i % 2;
      float sum = to.c[i];
      for (size_t k = 0; k < 16; ++k)
        sum += a[row][k] * b[k][col];
      to.d[i] = sum;
    }
  }
}

} // namespace

int32_t orielEmulatedThread() { return BlockScheduler::running().threadIndex(); }
int32_t orielEmulatedBlock(int32_t dim) { return BlockScheduler::running().blockIndex(dim); }
std::byte *orielEmulatedShared() { return BlockScheduler::running().shared(); }
void orielEmulatedBarrier() { BlockScheduler::running().barrier(); }

void orielEmulatedMma(const uint32_t *a, const uint32_t *b, const float *c, float *d) {
  MmaLane lane{a, b, c, d};
  BlockScheduler::running().meetWarp(multiplyWarp, &lane);
}

float orielEmulatedExp2(float x) { return std::exp2(x); }
float orielEmulatedLog2(float x) { return std::log2(x); }
float orielEmulatedRsqrt(float x) { return 1.0f / std::sqrt(x); }

uint16_t orielEmulatedRoundToBf16(float x) {
  auto bits = std::bit_cast<uint32_t>(x);
  if (x != x)
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

namespace oriel::runtime::emulated {

void *intrinsicNamed(absl::string_view name) {
  struct Named {
    absl::string_view name;
    void *address;
  };
#define ORIEL_INTRINSIC(function)                                                                                      \
  { #function, reinterpret_cast < void *>(&function) }
  static const Named all[] = {ORIEL_INTRINSIC(orielEmulatedThread),     ORIEL_INTRINSIC(orielEmulatedBlock),
                              ORIEL_INTRINSIC(orielEmulatedShared),     ORIEL_INTRINSIC(orielEmulatedBarrier),
                              ORIEL_INTRINSIC(orielEmulatedMma),        ORIEL_INTRINSIC(orielEmulatedExp2),
                              ORIEL_INTRINSIC(orielEmulatedLog2),       ORIEL_INTRINSIC(orielEmulatedRsqrt),
                              ORIEL_INTRINSIC(orielEmulatedRoundToBf16)};
#undef ORIEL_INTRINSIC
  for (const Named &named : all)
    if (named.name == name)
      return named.address;
  return nullptr;
}

} // namespace oriel::runtime::emulated
