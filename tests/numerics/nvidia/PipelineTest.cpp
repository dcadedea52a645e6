// Loops whose copies run ahead: with no iteration, with fewer than there are stages, and with more, under several
// orders of the threads.
#include "tests/numerics/nvidia/NvidiaRunner.h"

#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <cmath>

namespace oriel::testing {
namespace {

using ::testing::HasSubstr;

// o = a·(sum of the blocks of 32 rows of b below `rows`); the last block ends inside where `rows` is no multiple of 32.
constexpr const char *blockSum = R"mlir(
tile.kernel @block_sum(%a: memref<32x32xf32>, %b: memref<224x32xf32>, %n: memref<1xi32>, %o: memref<32x32xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant 0.0 : f32
  %rows = memref.load %n[%c0] : memref<1xi32>
  %end = arith.index_cast %rows : i32 to index
  %ta = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<32x32xf32> -> tensor<32x32xf32>
  %init = tile.fill %zero : f32 -> tensor<32x32xf32>
  %sum = scf.for %j = %c0 to %end step %c32 iter_args(%acc = %init) -> (tensor<32x32xf32>) {
    %tb = tile.load %b[%j, %c0] rows 0 cols 1 to %end : memref<224x32xf32> -> tensor<32x32xf32>
    %next = tile.dot %ta, %tb, %acc : tensor<32x32xf32>, tensor<32x32xf32>, tensor<32x32xf32>
    scf.yield %next : tensor<32x32xf32>
  }
  tile.store %sum, %o[%c0, %c0] rows 0 cols 1 : tensor<32x32xf32>, memref<32x32xf32>
  tile.return
})mlir";

class PipelineTest : public ::testing::Test {
protected:
  PipelineTest() {
    context_.loadDialect<tile::TileDialect, mlir::arith::ArithDialect, mlir::math::MathDialect,
                         mlir::memref::MemRefDialect, mlir::scf::SCFDialect>();
    auto module = mlir::parseSourceString<mlir::ModuleOp>(blockSum, &context_);
    std::string error;
    code_ = compileForNvidia(*module, error);
    EXPECT_EQ(error, "");
  }

  mlir::MLIRContext context_;
  NvidiaCode code_;
};

TEST_F(PipelineTest, GivesThePlainSumForAnyNumberOfIterations) {
  std::vector<float> a(32 * 32), b(224 * 32); // small integers: every product and sum is exact
  for (int i = 0; i < 32 * 32; ++i)
    a[i] = static_cast<float>(i % 7 - 3);
  for (int i = 0; i < 224 * 32; ++i)
    b[i] = static_cast<float>(i % 11 - 5);
  for (int32_t rows : {0, 32, 64, 130, 224})
    for (uint64_t seed : {1, 2, 3}) {
      std::vector<float> o(32 * 32, NAN), want(32 * 32);
      for (int i = 0; i < 32; ++i)
        for (int k = 0; k < rows; ++k)
          for (int j = 0; j < 32; ++j)
            want[i * 32 + j] += a[i * 32 + k % 32] * b[k * 32 + j];
      ASSERT_EQ(code_.launch(0, {a.data(), b.data(), &rows, o.data()}, seed), absl::OkStatus());
      EXPECT_EQ(o, want) << rows << " rows, seed " << seed;
    }
}

/// Four stages: an iteration waits until its own copies have landed, and leaves those of the next two in flight.
TEST_F(PipelineTest, LeavesTheCopiesOfLaterIterationsInFlight) {
  EXPECT_THAT(code_.ptx, HasSubstr("cp.async.wait_group \t2"));
  EXPECT_EQ(code_.kernels[0].stages, 4);
  constexpr int64_t tileBytes = 32 * (32 * 4 + 16); // rows are padded by 16 bytes
  EXPECT_EQ(code_.kernels[0].sharedBytes, (1 + 4) * tileBytes) << "a once, b for four iterations";
}

} // namespace
} // namespace oriel::testing
