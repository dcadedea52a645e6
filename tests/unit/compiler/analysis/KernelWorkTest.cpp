// Work counted from tile programs: loops as they run, branches, grids, and kernels whose work is known from formulas.
#include "compiler/analysis/KernelWork.h"

#include "kernels/attention/Attention.h"
#include "kernels/elementwise/Elementwise.h"
#include "kernels/gate/Gate.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

namespace oriel::analysis {
namespace {

using namespace mlir;

class KernelWorkTest : public testing::Test {
protected:
  KernelWorkTest() : builder(&context) {
    context.loadDialect<tile::TileDialect, arith::ArithDialect, math::MathDialect, memref::MemRefDialect,
                        scf::SCFDialect>();
    module = ModuleOp::create(UnknownLoc::get(&context));
    builder.setInsertionPointToEnd(module->getBody());
  }

  /// Work of a kernel on the grid [4, 3, 1] with the buffers %in and %out of 64x32 floats.
  KernelWork work(const std::string &body) {
    std::string text = "tile.kernel @k(%in: memref<64x32xf32>, %out: memref<64x32xf32>) grid(%x, %y, %z) in [4, 3, 1] "
                       "outputs 1 {\n%c0 = arith.constant 0 : index\n%c1 = arith.constant 1 : index\n"
                       "%c2 = arith.constant 2 : index\n%c5 = arith.constant 5 : index\n" +
                       body + "\ntile.return\n}";
    parsed = parseSourceString<ModuleOp>(text, &context);
    return parsed ? workOf(*parsed->getOps<tile::KernelOp>().begin()) : KernelWork();
  }

  MLIRContext context;
  OpBuilder builder;
  OwningOpRef<ModuleOp> module, parsed;
};

const char kLoad[] = "%t = tile.load %in[%c0, %c0] rows 0 cols 1 : memref<64x32xf32> -> tensor<16x32xf32>\n";
constexpr double kTileBytes = 16 * 32 * 4;

TEST_F(KernelWorkTest, GridDimensionsThatSteerNothingMultiply) {
  KernelWork counted =
      work(std::string(kLoad) + "tile.store %t, %out[%c0, %c0] rows 0 cols 1 : tensor<16x32xf32>, memref<64x32xf32>");
  EXPECT_EQ(counted.bytesRead, 12 * kTileBytes);
  EXPECT_EQ(counted.bytesWritten, 12 * kTileBytes);
  EXPECT_EQ(counted.flops(), 0);
}

TEST_F(KernelWorkTest, LoopsRunAsLongAsTheirBoundsSay) {
  // 0 … x: 0 + 1 + 2 + 3 trips, three times (y); a step of 2 up to 5 makes three trips.
  KernelWork causal = work("scf.for %i = %c0 to %x step %c1 {\n" + std::string(kLoad) + "}");
  EXPECT_EQ(causal.bytesRead, 3 * 6 * kTileBytes);
  KernelWork stepped = work("scf.for %i = %c0 to %c5 step %c2 {\n" + std::string(kLoad) + "}");
  EXPECT_EQ(stepped.bytesRead, 12 * 3 * kTileBytes);
  // An inner loop over the outer counter: 0 + 1 + 2 + 3 + 4.
  KernelWork nested =
      work("scf.for %i = %c0 to %c5 step %c1 {\nscf.for %j = %c0 to %i step %c1 {\n" + std::string(kLoad) + "}\n}");
  EXPECT_EQ(nested.bytesRead, 12 * 10 * kTileBytes);
}

TEST_F(KernelWorkTest, TripsThatDecideAlikeAreMultiplied) {
  // Of 100,000 trips all load but 5 ... 7, whose counters lie between two bounds.
  std::string between = "%n = arith.constant 100000 : index\n%c8 = arith.constant 8 : index\n"
                        "scf.for %i = %c0 to %n step %c1 {\n%above = arith.cmpi sge, %i, %c5 : index\n"
                        "%below = arith.cmpi slt, %i, %c8 : index\n%hit = arith.andi %above, %below : i1\n"
                        "scf.if %hit {\n} else {\n" +
                        std::string(kLoad) + "}\n}";
  EXPECT_EQ(work(between).bytesRead, 12 * 99997 * kTileBytes);
  // Equality at one trip in the middle is not missed, nor a remainder, nor a minimum that turns.
  for (auto [condition, trips] :
       {std::pair("%hit = arith.cmpi eq, %i, %c5 : index", 1), {"%r = arith.remsi %i, %c2 : index\n%hit = arith.cmpi slt, %r, %c1 : index", 500},
        {"%a = arith.subi %n, %i : index\n%m = arith.minsi %a, %i : index\n%hit = arith.cmpi sge, %m, %c5 : index", 991},
        {"%a = arith.subi %n, %i : index\n%m = arith.muli %a, %i : index\n%hit = arith.cmpi sgt, %m, %q : index", 601}})
    EXPECT_EQ(work("%n = arith.constant 1000 : index\n%q = arith.constant 159999 : index\nscf.for %i = %c0 to %n step %c1 {\n" + std::string(condition) +
                   "\nscf.if %hit {\n" + kLoad + "}\n}")
                  .bytesRead,
              12 * trips * kTileBytes)
        << condition;
}

TEST_F(KernelWorkTest, ACarriedCounterSteersAnInnerLoop) {
  KernelWork doubling = work("%end = scf.for %i = %c0 to %c5 step %c1 iter_args(%n = %c1) -> (index) {\n"
                             "scf.for %j = %c0 to %n step %c1 {\n" +
                             std::string(kLoad) + "}\n%m = arith.muli %n, %c2 : index\nscf.yield %m : index\n}");
  EXPECT_EQ(doubling.bytesRead, 12 * (1 + 2 + 4 + 8 + 16) * kTileBytes);
}

TEST_F(KernelWorkTest, BranchesCountTheSideThatRuns) {
  KernelWork first = work("%is = arith.cmpi eq, %x, %c0 : index\nscf.if %is {\n" + std::string(kLoad) + "}");
  EXPECT_EQ(first.bytesRead, 3 * kTileBytes);
}

TEST_F(KernelWorkTest, CountsOperationsOfMaps) {
  kernels::AddSpec add{4096, 3};
  KernelWork sums = workOf(kernels::buildAdd(builder, builder.getUnknownLoc(), "add", add));
  EXPECT_EQ(sums.pointwiseFlops, 2 * 4096);
  EXPECT_EQ(sums.bytesRead, 3 * 4096 * 4);
  EXPECT_EQ(sums.bytesWritten, 4096 * 4);
  kernels::GateSpec gate{4096, kernels::GateActivation::Silu};
  EXPECT_EQ(workOf(kernels::buildGate(builder, builder.getUnknownLoc(), "gate", gate)).transcendentals, 4096);
}

TEST_F(KernelWorkTest, CausalAttentionDoesHalfOfFullAttentionAndTheDiagonal) {
  kernels::AttentionSpec spec;
  spec.batch = 2, spec.tokens = 512, spec.heads = 4, spec.kvHeads = 2, spec.headDim = 64, spec.valueDim = 64;
  spec.window = -1;
  KernelWork work = workOf(kernels::buildAttention(builder, builder.getUnknownLoc(), "attention", spec));
  double pairs = 2.0 * 4 * 512 * 512 / 2, flops = pairs * 4 * 64;
  EXPECT_GT(work.dotFlops, flops);
  EXPECT_LT(work.dotFlops, 1.3 * flops);
}

TEST_F(KernelWorkTest, LongRowsOfTokensAreCountedAsExactlyAsShortOnes) {
  kernels::AttentionSpec spec;
  spec.batch = 1, spec.tokens = 65536, spec.heads = 4, spec.kvHeads = 2, spec.headDim = 64, spec.valueDim = 64;
  spec.window = -1;
  KernelWork work = workOf(kernels::buildAttention(builder, builder.getUnknownLoc(), "attention", spec));
  double flops = 4.0 * 65536 * 65536 / 2 * 4 * 64;
  EXPECT_GT(work.dotFlops, flops);
  EXPECT_LT(work.dotFlops, 1.003 * flops); // the diagonal is a 512th or less of it
}

} // namespace
} // namespace oriel::analysis
