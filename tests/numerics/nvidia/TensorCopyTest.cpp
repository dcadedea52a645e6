// Tiles that TMA copies (sm_90a), against plain loops: tails, rows before the start, columns past a head's end, several
// heads, and loops that run many times.
#include "tests/support/nvidia/NvidiaTest.h"

#include "llvm/Support/FormatVariadic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <bit>
#include <cmath>
#include <random>

namespace oriel::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// Small integers, exact in bf16 with all sums of their products in f32.
std::vector<uint16_t> smallIntegers(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> small(-4, 4);
  std::vector<uint16_t> values(count);
  for (uint16_t &value : values)
    value = static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(small(random))) >> 16);
  return values;
}

float widen(uint16_t value) { return std::bit_cast<float>(uint32_t(value) << 16); }

/// For each of `heads` heads: o[64, 64] = sum over keys i in [0, tokens) of q[first + r, h]·k[i - shift, h] v[i - shift, h]
/// laid out [token, head, column], blocks of 64 keys; a key before the start or past the end counts as zeros. `limit`
/// columns of a head count, of `dim`.
struct Shape {
  int64_t tokens, heads, dim, limit, shift;
  int64_t tile() const { return (dim + 15) / 16 * 16; }
};

std::string program(const Shape &s, const std::string &rowEnd) {
  std::string text = R"mlir(
tile.kernel @sum(%q: memref<{0}x{1}x{2}xbf16>, %k: memref<{0}x{1}x{2}xbf16>, %o: memref<{1}x64x64xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %heads = arith.constant {1} : index
  %tokens = arith.constant {0} : index
  %shift = arith.constant {5} : index
  %end = arith.addi %x, %tokens : index
  %zero = arith.constant 0.0 : f32
  %init = tile.fill %zero : f32 -> tensor<64x64xf32>
  scf.for %h = %c0 to %heads step %c1 {{
    %tq = tile.load %q[%c0, %h, %c0] rows 0 cols 2 limit {4} : memref<{0}x{1}x{2}xbf16> -> tensor<64x{3}xbf16>
    %sum = scf.for %i = %c0 to %tokens step %c64 iter_args(%acc = %init) -> (tensor<64x64xf32>) {{
      %key = arith.subi %i, %shift : index
      %tk = tile.load %k[%key, %h, %c0] rows 0 cols 2 {6} limit {4} : memref<{0}x{1}x{2}xbf16> -> tensor<64x{3}xbf16>
      %s = tile.dot %tq, %tk, %acc transpose_b : tensor<64x{3}xbf16>, tensor<64x{3}xbf16>, tensor<64x64xf32>
      scf.yield %s : tensor<64x64xf32>
    }
    tile.store %sum, %o[%h, %c0, %c0] rows 1 cols 2 : tensor<64x64xf32>, memref<{1}x64x64xf32>
  }
  tile.return
})mlir";
  return llvm::formatv(text.c_str(), s.tokens, s.heads, s.dim, s.tile(), s.limit, s.shift, rowEnd);
}

class TensorCopyTest : public NvidiaTest {
protected:
  /// Element (token, head, column), zero outside.
  static float at(const std::vector<uint16_t> &of, const Shape &s, int64_t token, int64_t head, int64_t column) {
    bool isInside = token >= 0 && token < s.tokens && column < s.limit;
    return isInside ? widen(of[static_cast<size_t>((token * s.heads + head) * s.dim + column)]) : 0.0f;
  }

  static std::vector<float> plain(const Shape &s, const std::vector<uint16_t> &q, const std::vector<uint16_t> &k) {
    std::vector<float> o(static_cast<size_t>(s.heads * 64 * 64));
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t r = 0; r < 64; ++r)
        for (int64_t i = 0; i < (s.tokens + 63) / 64 * 64; ++i)
          for (int64_t c = 0; c < s.limit; ++c)
            o[static_cast<size_t>((h * 64 + r) * 64 + i % 64)] += at(q, s, r, h, c) * at(k, s, i - s.shift, h, c);
    return o;
  }

  void expectPlainSums(const Shape &s, const std::string &rowEnd, bool byTma) {
    LoweredKernels lowered = lower(program(s, rowEnd), NvidiaTarget::sm90a(), /*withChecks=*/true);
    std::string ptx = lowered.ptx();
    EXPECT_THAT(ptx, HasSubstr("wgmma.mma_async"));
    if (byTma)
      EXPECT_THAT(ptx, Not(HasSubstr("cp.async.cg"))) << "a load is not copied by TMA";
    else
      EXPECT_THAT(ptx, HasSubstr("cp.async.cg"));
    EXPECT_THAT(ptx, HasSubstr("cp.async.bulk.tensor.3d"));
    auto size = static_cast<size_t>(s.tokens * s.heads * s.dim);
    std::vector<uint16_t> q = smallIntegers(size, 1), k = smallIntegers(size, 2);
    auto code = compile(lowered);
    ASSERT_TRUE(code);
    for (uint64_t seed : {1, 2}) {
      std::vector<float> o(static_cast<size_t>(s.heads * 64 * 64), NAN);
      EXPECT_EQ(code->launch(0, {q.data(), k.data(), o.data()}, seed), absl::OkStatus());
      EXPECT_EQ(o, plain(s, q, k)) << "seed " << seed;
    }
  }
};

/// The loop over keys runs once for each head: with fewer iterations than stages, as many, and more.
TEST_F(TensorCopyTest, TilesEqualPlainLoopsWhereverTheyReachOut) {
  for (const Shape &shape : {Shape{64, 1, 64, 64, 0}, Shape{130, 3, 64, 64, 0}, Shape{321, 3, 64, 64, 17},
                             Shape{200, 2, 128, 128, 5}, Shape{100, 2, 48, 48, 1}, Shape{100, 2, 40, 40, 0},
                             Shape{100, 3, 64, 56, 3}, Shape{100, 2, 24, 24, 70}}) {
    SCOPED_TRACE(program(shape, ""));
    expectPlainSums(shape, "", /*byTma=*/true);
  }
}

/// Where rows end is known to the kernel alone: cp.async beside TMA in one kernel.
TEST_F(TensorCopyTest, BoundsThatNoMapCanSayAreLeftToThreads) {
  expectPlainSums({200, 2, 64, 64, 3}, "to %end", /*byTma=*/false);
}

/// The bound that a constant gives is the map's.
TEST_F(TensorCopyTest, AConstantEndOfTheRowsIsTheMaps) {
  Shape shape{200, 2, 64, 64, 3};
  LoweredKernels lowered = lower(program(shape, "to %c64"), NvidiaTarget::sm90a());
  ASSERT_EQ(lowered.kernels[0].tensorMaps.size(), 2u);
  EXPECT_EQ(lowered.kernels[0].tensorMaps[1].sizes[2], 64);
  EXPECT_EQ(lowered.kernels[0].tensorMaps[0].sizes[2], 200);
}

/// A buffer that the kernel writes would need a fence of its own.
TEST_F(TensorCopyTest, WhatTheKernelWritesIsNotCopiedByTma) {
  LoweredKernels lowered = lower(R"mlir(
tile.kernel @inplace(%a: memref<64x64xbf16>, %o: memref<64x64xf32>, %c: memref<64x64xbf16>) grid(%x, %y, %z) in [1, 1, 1] outputs 2 {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %init = tile.fill %zero : f32 -> tensor<64x64xf32>
  %ta = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<64x64xbf16> -> tensor<64x64xbf16>
  %tc = tile.load %c[%c0, %c0] rows 0 cols 1 : memref<64x64xbf16> -> tensor<64x64xbf16>
  %s = tile.dot %ta, %tc, %init transpose_b : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
  tile.store %s, %o[%c0, %c0] rows 0 cols 1 : tensor<64x64xf32>, memref<64x64xf32>
  %narrow = tile.cast %s : tensor<64x64xf32> -> tensor<64x64xbf16>
  tile.store %narrow, %c[%c0, %c0] rows 0 cols 1 : tensor<64x64xbf16>, memref<64x64xbf16>
  tile.return
})mlir",
                                 NvidiaTarget::sm90a());
  ASSERT_EQ(lowered.kernels[0].tensorMaps.size(), 1u);
  EXPECT_EQ(lowered.kernels[0].tensorMaps[0].buffer, 0);
  EXPECT_THAT(lowered.ptx(), HasSubstr("cp.async.cg"));
}

} // namespace
} // namespace oriel::testing
