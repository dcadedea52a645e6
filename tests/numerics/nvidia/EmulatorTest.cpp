// Small tile programs on the emulator against plain loops, under several orders of the threads.
#include "tests/support/nvidia/NvidiaTest.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

namespace oriel::testing {
namespace {

using ::testing::HasSubstr;

class EmulatorTest : public NvidiaTest {
protected:
  static std::vector<float> randoms(size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float &value : values)
      value = normal(random);
    return values;
  }

  double errorOfProduct(const std::string &word);
};

// Rows of softmax(A·Bᵀ)·C with an accumulator carried through a loop: dots of both kinds, reductions, broadcasts,
// masks.
constexpr const char *attentionLike = R"mlir(
tile.kernel @mix(%a: memref<40x32xf32>, %b: memref<64x32xf32>, %o: memref<40x32xf32>) grid(%x, %y, %z) in [2, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f32
  %row = arith.muli %x, %c32 : index
  %ta = tile.load %a[%row, %c0] rows 0 cols 1 : memref<40x32xf32> -> tensor<32x32xf32>
  %init = tile.fill %zero : f32 -> tensor<32x32xf32>
  %sums = tile.fill %zero : f32 -> tensor<32x1xf32>
  %r:2 = scf.for %j = %c0 to %c64 step %c32 iter_args(%acc = %init, %total = %sums) -> (tensor<32x32xf32>, tensor<32x1xf32>) {
    %tb = tile.load %b[%j, %c0] rows 0 cols 1 : memref<64x32xf32> -> tensor<32x32xf32>
    %none = tile.fill %zero : f32 -> tensor<32x32xf32>
    %s = tile.dot %ta, %tb, %none transpose_b : tensor<32x32xf32>, tensor<32x32xf32>, tensor<32x32xf32>
    %p = tile.map ins(%s : tensor<32x32xf32>) -> tensor<32x32xf32> {
    ^bb0(%e: f32):
      %q = arith.constant 0.125 : f32
      %m = arith.mulf %e, %q : f32
      %v = math.exp %m : f32
      tile.yield %v : f32
    }
    %rs = tile.reduce sum %p axis 1 : tensor<32x32xf32> -> tensor<32x1xf32>
    %t2 = tile.map ins(%total, %rs : tensor<32x1xf32>, tensor<32x1xf32>) -> tensor<32x1xf32> {
    ^bb0(%e: f32, %f: f32):
      %v = arith.addf %e, %f : f32
      tile.yield %v : f32
    }
    %acc2 = tile.dot %p, %tb, %acc : tensor<32x32xf32>, tensor<32x32xf32>, tensor<32x32xf32>
    scf.yield %acc2, %t2 : tensor<32x32xf32>, tensor<32x1xf32>
  }
  %out = tile.map ins(%r#0, %r#1 : tensor<32x32xf32>, tensor<32x1xf32>) -> tensor<32x32xf32> {
  ^bb0(%e: f32, %f: f32):
    %v = arith.divf %e, %f : f32
    tile.yield %v : f32
  }
  tile.store %out, %o[%row, %c0] rows 0 cols 1 : tensor<32x32xf32>, memref<40x32xf32>
  tile.return
})mlir";

TEST_F(EmulatorTest, AttentionLikeProgramEqualsPlainLoopsUnderAnyThreadOrder) {
  auto kernels = compile(lower(attentionLike));
  ASSERT_TRUE(kernels);
  std::vector<float> a = randoms(40 * 32, 1), b = randoms(64 * 32, 2), want(40 * 32);
  for (int i = 0; i < 40; ++i) {
    double total = 0, sums[32] = {};
    for (int j = 0; j < 64; ++j) {
      double score = 0;
      for (int k = 0; k < 32; ++k)
        score += double(a[i * 32 + k]) * b[j * 32 + k];
      double weight = std::exp(score * 0.125);
      total += weight;
      for (int k = 0; k < 32; ++k)
        sums[k] += weight * b[j * 32 + k];
    }
    for (int k = 0; k < 32; ++k)
      want[i * 32 + k] = float(sums[k] / total);
  }
  std::vector<float> first;
  for (uint64_t seed : {1, 2, 3}) {
    std::vector<float> o(40 * 32, NAN);
    ASSERT_EQ(kernels->launch(0, {a.data(), b.data(), o.data()}, seed), absl::OkStatus());
    double difference = 0, norm = 0;
    for (size_t i = 0; i < o.size(); ++i) {
      difference += (o[i] - want[i]) * (o[i] - want[i]);
      norm += want[i] * want[i];
    }
    EXPECT_LT(std::sqrt(difference / norm), 1e-3); // operands of the products are tf32
    if (first.empty())
      first = o;
    EXPECT_EQ(o, first) << "the order of threads changed the result";
  }
}

TEST_F(EmulatorTest, DotsUseTensorCores) {
  EXPECT_THAT(lower(attentionLike).ptx(), HasSubstr("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"));
}

/// ‖a·bᵀ - exact‖ / ‖exact‖ of one product whose text has `word`.
double EmulatorTest::errorOfProduct(const std::string &word) {
  auto kernels = compile(lower(R"mlir(
    tile.kernel @product(%a: memref<32x64xf32>, %b: memref<32x64xf32>, %o: memref<32x32xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
      %c0 = arith.constant 0 : index
      %zero = arith.constant 0.0 : f32
      %ta = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<32x64xf32> -> tensor<32x64xf32>
      %tb = tile.load %b[%c0, %c0] rows 0 cols 1 : memref<32x64xf32> -> tensor<32x64xf32>
      %none = tile.fill %zero : f32 -> tensor<32x32xf32>
      %s = tile.dot %ta, %tb, %none transpose_b )mlir" +
                               word + R"mlir( : tensor<32x64xf32>, tensor<32x64xf32>, tensor<32x32xf32>
      tile.store %s, %o[%c0, %c0] rows 0 cols 1 : tensor<32x32xf32>, memref<32x32xf32>
      tile.return
    })mlir"));
  std::vector<float> a = randoms(32 * 64, 1), b = randoms(32 * 64, 2), o(32 * 32, NAN);
  EXPECT_EQ(kernels->launch(0, {a.data(), b.data(), o.data()}, 1), absl::OkStatus());
  double difference = 0, norm = 0;
  for (int i = 0; i < 32; ++i)
    for (int j = 0; j < 32; ++j) {
      double exact = 0;
      for (int k = 0; k < 64; ++k)
        exact += double(a[i * 64 + k]) * b[j * 64 + k];
      difference += (o[i * 32 + j] - exact) * (o[i * 32 + j] - exact);
      norm += exact * exact;
    }
  return std::sqrt(difference / norm);
}

/// Two roundings to 11 bits leave 2^-12 of each product, those to 22 bits less than the sums in f32 do.
TEST_F(EmulatorTest, PreciseProductsKeepWhatTf32WouldRound) {
  EXPECT_GT(errorOfProduct(""), 1e-4);
  EXPECT_LT(errorOfProduct("precise"), 1e-6);
}

/// 256 registers of a thread, which has 255: what is over goes to its local memory.
TEST_F(EmulatorTest, KeepsATileThatOutgrowsTheRegisters) {
  auto kernels = compile(lower(R"mlir(
    tile.kernel @copy(%a: memref<256x256xf32>, %o: memref<256x256xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
      %c0 = arith.constant 0 : index
      %t = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<256x256xf32> -> tensor<256x256xf32>
      tile.store %t, %o[%c0, %c0] rows 0 cols 1 : tensor<256x256xf32>, memref<256x256xf32>
      tile.return
    })mlir"));
  std::vector<float> a = randoms(256 * 256, 1), o(256 * 256, NAN);
  ASSERT_EQ(kernels->launch(0, {a.data(), o.data()}, 1), absl::OkStatus());
  EXPECT_EQ(o, a);
}

TEST_F(EmulatorTest, RefusesTilesThatDoNotFitInSharedMemory) {
  auto module = parse(R"mlir(
    tile.kernel @big(%a: memref<16x256xf32>, %b: memref<256x256xf32>, %o: memref<16x256xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
      %c0 = arith.constant 0 : index
      %zero = arith.constant 0.0 : f32
      %none = tile.fill %zero : f32 -> tensor<16x256xf32>
      %ta = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<16x256xf32> -> tensor<16x256xf32>
      %tb = tile.load %b[%c0, %c0] rows 0 cols 1 : memref<256x256xf32> -> tensor<256x256xf32>
      %s = tile.dot %ta, %tb, %none : tensor<16x256xf32>, tensor<256x256xf32>, tensor<16x256xf32>
      tile.store %s, %o[%c0, %c0] rows 0 cols 1 : tensor<16x256xf32>, memref<16x256xf32>
      tile.return
    })mlir");
  std::string message;
  mlir::ScopedDiagnosticHandler handler(&context_, [&](mlir::Diagnostic &d) {
    message = d.str();
    return mlir::success();
  });
  EXPECT_FALSE(lowerForNvidia(*module, NvidiaTarget::sm80()).nvvm);
  EXPECT_THAT(message, HasSubstr("needs 287232 bytes of shared memory for its tiles and sm_80 has 166912"));
}

TEST_F(EmulatorTest, ReportsDivergentThreads) {
  // Only thread 0 reaches the barrier: a planted bug.
  LoweredKernels bad;
  bad.nvvm = parse(R"mlir(
    llvm.func @bad(%p: !llvm.ptr) attributes {nvvm.kernel} {
      %t = nvvm.read.ptx.sreg.tid.x : i32
      %z = llvm.mlir.constant(0 : i32) : i32
      %c = llvm.icmp "eq" %t, %z : i32
      llvm.cond_br %c, ^one, ^end
    ^one:
      nvvm.barrier0
      llvm.br ^end
    ^end:
      llvm.return
    })mlir");
  bad.kernels = {{"bad", {1, 1, 1}, 128, 0}};
  absl::Status status = compile(bad)->launch(0, {nullptr}, 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("bad: block (0, 0, 0): divergent threads: 1 wait at a barrier, 0 at a warp collective, 127"));
}

TEST_F(EmulatorTest, NamesAnIntrinsicThatItDoesNotKnow) {
  LoweredKernels clock;
  clock.nvvm = parse(R"mlir(
    llvm.func @clock(%p: !llvm.ptr) attributes {nvvm.kernel} {
      %t = nvvm.read.ptx.sreg.clock : i32
      llvm.store %t, %p : i32, !llvm.ptr
      llvm.return
    })mlir");
  EXPECT_EQ(EmulatedKernels::compile(clock).status().message(),
            "the emulator does not know the intrinsic llvm.nvvm.read.ptx.sreg.clock");
}

} // namespace
} // namespace oriel::testing
