// Intrinsics against their definition in the PTX manual.
#include "runtime/device/cuda/emulated/Intrinsics.h"

#include "runtime/device/cuda/emulated/BlockScheduler.h"

#include "gtest/gtest.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace oriel::runtime::emulated {
namespace {

TEST(Intrinsics, RoundsToBf16ToNearestEven) {
  auto rounded = [](float x) { return std::bit_cast<float>(uint32_t(orielEmulatedRoundToBf16(x)) << 16); };
  EXPECT_EQ(rounded(1.0f), 1.0f);
  EXPECT_EQ(rounded(1.0f + 0x1p-8f), 1.0f);               // half way: to even
  EXPECT_EQ(rounded(1.0f + 3 * 0x1p-8f), 1.0f + 0x1p-6f); // half way: to even
  EXPECT_EQ(rounded(1.0f + 0x1.1p-8f), 1.0f + 0x1p-7f);
  EXPECT_EQ(rounded(std::numeric_limits<float>::max()), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(0x7f800001u)))); // a NaN whose kept bits are all zero
}

TEST(Intrinsics, EveryNameHasAnAddress) {
  EXPECT_EQ(intrinsicNamed("orielEmulatedExp2"), reinterpret_cast<void *>(&orielEmulatedExp2));
  EXPECT_EQ(intrinsicNamed("orielEmulatedNothing"), nullptr);
}

/// One mma over small integers, so that every product and sum is exact.
struct Product {
  float a[16][16], b[16][8], c[16][8], d[16][8];
};

uint32_t pack(float low, float high) {
  return orielEmulatedRoundToBf16(low) | uint32_t(orielEmulatedRoundToBf16(high)) << 16;
}

/// Fragments by the tables of "Matrix Fragments for mma.m16n8k16" in the PTX manual.
void multiplyAsOneLane(void *argument) {
  auto &p = *static_cast<Product *>(argument);
  int lane = orielEmulatedThread(), group = lane >> 2, inGroup = lane & 3;
  std::array<uint32_t, 4> a;
  std::array<uint32_t, 2> b;
  std::array<float, 4> c, d;
  for (int i = 0; i < 8; i += 2) {
    int row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8, col = inGroup * 2 + (i >= 4 ? 8 : 0);
    a[i / 2] = pack(p.a[row][col], p.a[row][col + 1]);
  }
  for (int i = 0; i < 4; i += 2) {
    int row = inGroup * 2 + (i >= 2 ? 8 : 0);
    b[i / 2] = pack(p.b[row][group], p.b[row + 1][group]);
  }
  for (int i = 0; i < 4; ++i)
    c[i] = p.c[i < 2 ? group : group + 8][inGroup * 2 + (i & 1)];
  orielEmulatedMma(a.data(), b.data(), c.data(), d.data());
  for (int i = 0; i < 4; ++i)
    p.d[i < 2 ? group : group + 8][inGroup * 2 + (i & 1)] = d[i];
}

TEST(Intrinsics, MmaMultipliesByTheFragmentTables) {
  Product p = {};
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 16; ++k)
      p.a[i][k] = static_cast<float>((i * 7 + k * 3) % 11 - 5);
  for (int k = 0; k < 16; ++k)
    for (int j = 0; j < 8; ++j) {
      p.b[k][j] = static_cast<float>((k * 5 + j * 2) % 13 - 6);
      p.c[k][j] = static_cast<float>(k - j);
    }
  BlockScheduler scheduler(32, 0);
  ASSERT_EQ(scheduler.runBlock({0, 0, 0}, 1, multiplyAsOneLane, &p), "");
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      float want = p.c[i][j];
      for (int k = 0; k < 16; ++k)
        want += p.a[i][k] * p.b[k][j];
      EXPECT_EQ(p.d[i][j], want) << i << ", " << j;
    }
}

} // namespace
} // namespace oriel::runtime::emulated
