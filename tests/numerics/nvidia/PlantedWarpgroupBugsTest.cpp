// Mistakes around wgmma (sm_90a): what it reads, how long it reads it, and when its registers may be read.
#include "tests/numerics/nvidia/PlantedTest.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

// Sums A·Bᵀ over blocks of A's and B's columns; both go through shared memory, copied iterations ahead, by cp.async since
// their rows end where only the kernel knows.
constexpr const char *productKernel = R"mlir(
tile.kernel @product(%a: memref<64x512xbf16>, %b: memref<64x512xbf16>, %o: memref<64x64xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c512 = arith.constant 512 : index
  %end = arith.addi %x, %c64 : index
  %zero = arith.constant 0.0 : f32
  %init = tile.fill %zero : f32 -> tensor<64x64xf32>
  %sum = scf.for %k = %c0 to %c512 step %c64 iter_args(%acc = %init) -> (tensor<64x64xf32>) {
    %ta = tile.load %a[%c0, %k] rows 0 cols 1 to %end : memref<64x512xbf16> -> tensor<64x64xbf16>
    %tb = tile.load %b[%c0, %k] rows 0 cols 1 to %end : memref<64x512xbf16> -> tensor<64x64xbf16>
    %s = tile.dot %ta, %tb, %acc transpose_b : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    scf.yield %s : tensor<64x64xf32>
  }
  tile.store %sum, %o[%c0, %c0] rows 0 cols 1 : tensor<64x64xf32>, memref<64x64xf32>
  tile.return
})mlir";

class PlantedWarpgroupBugsTest : public PlantedTest {
protected:
  PlantedWarpgroupBugsTest() : lowered_(lower(productKernel, NvidiaTarget::sm90a(), /*withChecks=*/true)) {}

  std::string found(const std::string &text) {
    alignas(32) static uint16_t a[64 * 512], b[64 * 512];
    alignas(32) static float o[64 * 64];
    return std::string(run(lowered_, text, {a, b, o}).message());
  }

  /// The kernel without the lines that have `words`, one at a time.
  std::vector<std::string> foundWithoutEach(const std::string &words) {
    std::string text = lowered_.text();
    std::vector<std::string> all;
    for (size_t place : placesOf(text, words))
      all.push_back(found(withoutLineAt(text, place)));
    return all;
  }

  /// Inline assembly whose text contains `words`.
  mlir::LLVM::InlineAsmOp assembly(llvm::StringRef words) {
    mlir::LLVM::InlineAsmOp found;
    lowered_.nvvm->walk([&](mlir::LLVM::InlineAsmOp op) {
      if (op.getAsmString().contains(words))
        found = op;
    });
    return found;
  }

  LoweredKernels lowered_;
};

TEST_F(PlantedWarpgroupBugsTest, NothingIsFoundInAKernelAsItIsLowered) {
  EXPECT_TRUE(assembly("wgmma.mma_async")) << "not a product of warpgroups";
  EXPECT_GT(lowered_.kernels[0].stages, 1);
  EXPECT_EQ(found(lowered_.text()), "");
}

/// Of the fences, the one between the wait for the copies and the product is needed.
TEST_F(PlantedWarpgroupBugsTest, AMissingFenceOfTheProxyIsFound) {
  EXPECT_THAT(foundWithoutEach("nvvm.fence.proxy"),
              Contains(AllOf(HasSubstr("missing fence: wgmma by [line"), HasSubstr("tile.dot"),
                             HasSubstr("no fence.proxy.async makes it see the cp.async (its target) by [line"))));
}

TEST_F(PlantedWarpgroupBugsTest, AMissingBarrierIsFound) {
  std::vector<std::string> all = foundWithoutEach("nvvm.barrier");
  EXPECT_THAT(all, Contains(AllOf(HasSubstr("race: wgmma by [line"), HasSubstr("tile.dot"),
                                  HasSubstr("no barrier orders it after the cp.async (its target)"))));
  EXPECT_THAT(all, Contains(AllOf(HasSubstr("race: cp.async (its target) by [line"),
                                  HasSubstr("no barrier orders it after the wgmma by [line"))));
}

TEST_F(PlantedWarpgroupBugsTest, AMissingWaitForCopiesIsFound) {
  EXPECT_THAT(foundWithoutEach("nvvm.cp.async.wait.group"),
              Contains(AllOf(HasSubstr("missing wait: wgmma by [line"),
                             HasSubstr("data of cp.async (its target) by [line"), HasSubstr("is in flight"))));
}

TEST_F(PlantedWarpgroupBugsTest, AMissingFenceOfRegistersIsFound) {
  EXPECT_THAT(foundWithoutEach("nvvm.wgmma.fence"), Contains(HasSubstr("no wgmma.fence orders it")));
}

/// Without the wait the copies of later iterations overwrite what products read, and the store reads accumulators that
/// are not there yet.
TEST_F(PlantedWarpgroupBugsTest, AMissingWaitIsFoundByOperandsAndByAccumulators) {
  mlir::LLVM::InlineAsmOp wait = assembly("wgmma.wait_group");
  for (mlir::Operation *user : llvm::make_early_inc_range(wait.getRes().getUsers())) {
    auto extract = mlir::cast<mlir::LLVM::ExtractValueOp>(user);
    extract.getResult().replaceAllUsesWith(wait.getOperands()[extract.getPosition()[0]]);
    extract.erase();
  }
  wait.erase();
  std::string all = found(lowered_.text());
  EXPECT_THAT(all, AllOf(HasSubstr("missing wait: cp.async (its target) by [line"),
                         HasSubstr("still reads it: no wgmma.wait_group before it")));
  EXPECT_THAT(all, AllOf(HasSubstr("missing wait: read of accumulators by [line"), HasSubstr("tile.store"),
                         HasSubstr("those of wgmma by [line"), HasSubstr("no wgmma.wait_group has given them")));
  EXPECT_THAT(all, HasSubstr("threads ended before they waited for it"));
}

TEST_F(PlantedWarpgroupBugsTest, AWriteIntoTheOperandOfAProductInFlightIsFound) {
  mlir::Operation *issued = nullptr;
  lowered_.nvvm->walk([&](mlir::NVVM::WgmmaGroupSyncAlignedOp commit) { issued = commit; });
  mlir::OpBuilder builder(&context_);
  builder.setInsertionPointAfter(issued);
  auto shared = mlir::LLVM::LLVMPointerType::get(&context_, 3);
  mlir::Value start = mlir::LLVM::AddressOfOp::create(builder, issued->getLoc(), shared, "oriel_shared");
  mlir::Value other = mlir::LLVM::ConstantOp::create(builder, issued->getLoc(), builder.getI32IntegerAttr(0x4f804f80));
  mlir::LLVM::StoreOp::create(builder, issued->getLoc(), other, start);
  std::string all = found(lowered_.text());
  EXPECT_THAT(all, AllOf(HasSubstr("missing wait: write of shared memory by [line"),
                         HasSubstr("still reads it: no wgmma.wait_group before it")));
  EXPECT_THAT(all, HasSubstr("shared memory that it reads was written before it was waited for"));
}

} // namespace
} // namespace oriel::testing
