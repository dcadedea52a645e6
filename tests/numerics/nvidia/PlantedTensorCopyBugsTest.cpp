// Mistakes around TMA and mbarriers (sm_90a): what a copy writes, when it may, who waits for it, and what the mbarrier is
// told.
#include "tests/numerics/nvidia/PlantedTest.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::testing {
namespace {

using runtime::emulated::AccessKind;
using runtime::emulated::LaunchReport;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

// Sums A·Bᵀ over blocks of A's and B's columns; both go through shared memory, copied iterations ahead.
constexpr const char *productKernel = R"mlir(
tile.kernel @product(%a: memref<64x512xbf16>, %b: memref<64x512xbf16>, %o: memref<64x64xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c512 = arith.constant 512 : index
  %zero = arith.constant 0.0 : f32
  %init = tile.fill %zero : f32 -> tensor<64x64xf32>
  %sum = scf.for %k = %c0 to %c512 step %c64 iter_args(%acc = %init) -> (tensor<64x64xf32>) {
    %ta = tile.load %a[%c0, %k] rows 0 cols 1 : memref<64x512xbf16> -> tensor<64x64xbf16>
    %tb = tile.load %b[%c0, %k] rows 0 cols 1 : memref<64x512xbf16> -> tensor<64x64xbf16>
    %s = tile.dot %ta, %tb, %acc transpose_b : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    scf.yield %s : tensor<64x64xf32>
  }
  tile.store %sum, %o[%c0, %c0] rows 0 cols 1 : tensor<64x64xf32>, memref<64x64xf32>
  tile.return
})mlir";

class PlantedTensorCopyBugsTest : public PlantedTest {
protected:
  PlantedTensorCopyBugsTest() : lowered_(lower(productKernel, NvidiaTarget::sm90a(), /*withChecks=*/true)) {}

  std::string found(const std::string &text, LaunchReport *report = nullptr) {
    alignas(32) static uint16_t a[64 * 512], b[64 * 512];
    alignas(32) static float o[64 * 64];
    return std::string(run(lowered_, text, {a, b, o}, report).message());
  }

  /// The kernel without the lines that have `words`, one at a time.
  std::vector<std::string> foundWithoutEach(const std::string &words) {
    std::string text = lowered_.text();
    std::vector<std::string> all;
    for (size_t place : placesOf(text, words))
      all.push_back(found(withoutLineAt(text, place)));
    return all;
  }

  mlir::Value constant(mlir::Operation *before, int64_t value, unsigned bits) {
    mlir::OpBuilder builder(before);
    return mlir::LLVM::ConstantOp::create(builder, before->getLoc(),
                                          builder.getIntegerAttr(builder.getIntegerType(bits), value));
  }

  /// What is found where every arrival expects `bytes`.
  std::string foundExpecting(int64_t bytes) {
    lowered_.nvvm->walk([&](mlir::NVVM::MBarrierArriveExpectTxOp arrive) {
      arrive.getTxcountMutable().assign(constant(arrive, bytes, 32));
    });
    return found(lowered_.text());
  }

  LoweredKernels lowered_;
};

TEST_F(PlantedTensorCopyBugsTest, NothingIsFoundInAKernelAsItIsLowered) {
  ASSERT_EQ(lowered_.kernels[0].stages, 4);
  ASSERT_EQ(lowered_.kernels[0].tensorMaps.size(), 2u);
  LaunchReport report;
  EXPECT_EQ(found(lowered_.text(), &report), "");
  EXPECT_EQ(report.buffers[0].read, 64 * 512 * 2);
  EXPECT_EQ(report.buffers[1].readByBlocks, 64 * 512 * 2);
  int64_t copies = 0;
  for (const runtime::emulated::SiteReport &site : report.sites)
    if (site.kind == AccessKind::BulkCopy) {
      copies += site.cost.requests;
      EXPECT_EQ(site.cost.mean(), 1.0);
    }
  EXPECT_EQ(copies, 2 * 512 / 64);
}

TEST_F(PlantedTensorCopyBugsTest, AMissingWaitIsFound) {
  int waits = 0;
  lowered_.nvvm->walk([&](mlir::NVVM::MBarrierTryWaitOp wait) {
    wait.getRes().replaceAllUsesWith(constant(wait, 1, 1));
    wait.erase();
    ++waits;
  });
  EXPECT_EQ(waits, 1) << "the loop's";
  std::string all = found(lowered_.text());
  EXPECT_THAT(all, AllOf(HasSubstr("missing wait: wgmma by [line"), HasSubstr("tile.dot"),
                         HasSubstr("data of cp.async.bulk.tensor by [line"),
                         HasSubstr("is in flight: no wait for its mbarrier before it")));
  EXPECT_THAT(all, HasSubstr("threads ended before they waited for 16384 bytes in flight"));
}

/// The wait of one iteration sees the end of another's phase.
TEST_F(PlantedTensorCopyBugsTest, AWaitForTheOtherParityIsFound) {
  lowered_.nvvm->walk([&](mlir::NVVM::MBarrierTryWaitOp wait) {
    mlir::OpBuilder builder(wait);
    wait.getStateOrPhaseMutable().assign(
        mlir::LLVM::XOrOp::create(builder, wait.getLoc(), wait.getStateOrPhase(), constant(wait, 1, 32)));
  });
  std::string all = found(lowered_.text());
  EXPECT_THAT(all, HasSubstr("wrong phase: thread"));
  EXPECT_THAT(all, HasSubstr("missing wait: wgmma by [line"));
}

TEST_F(PlantedTensorCopyBugsTest, AnExpectationOfTooManyBytesIsAHang) {
  EXPECT_THAT(foundExpecting(16384 + 16),
              HasSubstr("threads wait for ever for phase 0 to end: it expects 16400 bytes and copies bring 16384"));
}

TEST_F(PlantedTensorCopyBugsTest, AnExpectationOfTooFewBytesIsFound) {
  EXPECT_THAT(foundExpecting(8192),
              HasSubstr("phase 0 expects 8192 bytes and copies bring 16384: it ends before they have landed"));
}

TEST_F(PlantedTensorCopyBugsTest, AMissingArrivalIsAHang) {
  EXPECT_THAT(foundWithoutEach("nvvm.mbarrier.arrive.expect_tx"),
              Contains(HasSubstr("threads wait for ever for phase 0 to end: 0 of 1 arrivals have come")));
}

TEST_F(PlantedTensorCopyBugsTest, AMissingInitialisationIsFound) {
  EXPECT_THAT(foundWithoutEach("nvvm.mbarrier.init"), Contains(HasSubstr("nobody has initialised it")));
}

TEST_F(PlantedTensorCopyBugsTest, AMissingFenceBehindTheInitialisationIsFound) {
  EXPECT_THAT(foundWithoutEach("nvvm.fence.proxy"),
              Contains(AllOf(HasSubstr("missing fence: cp.async.bulk.tensor by [line"),
                             HasSubstr("no fence.proxy.async makes it see the mbarrier.init by"))));
}

/// That behind the initialisation, and that of an iteration, after which a stage is filled anew.
TEST_F(PlantedTensorCopyBugsTest, AMissingBarrierIsFound) {
  std::vector<std::string> all = foundWithoutEach("nvvm.barrier");
  EXPECT_THAT(all, Contains(HasSubstr("never written: use of an mbarrier by [")));
  EXPECT_THAT(all, Contains(AllOf(HasSubstr("race: cp.async.bulk.tensor by [line"), HasSubstr("tile.load"),
                                  HasSubstr("no barrier orders it after the wgmma by [line"))));
}

/// Shared memory that a thread has written goes to TMA behind a fence.
TEST_F(PlantedTensorCopyBugsTest, AWriteBeforeTheCopyWithoutAFenceIsFound) {
  mlir::Operation *arrive = nullptr;
  lowered_.nvvm->walk([&](mlir::NVVM::MBarrierArriveExpectTxOp op) { arrive = arrive ? arrive : op; });
  mlir::OpBuilder builder(arrive);
  auto shared = mlir::LLVM::LLVMPointerType::get(&context_, 3);
  mlir::Value start = mlir::LLVM::AddressOfOp::create(builder, arrive->getLoc(), shared, "oriel_shared");
  mlir::LLVM::StoreOp::create(builder, arrive->getLoc(), constant(arrive, 0, 32), start);
  EXPECT_THAT(found(lowered_.text()),
              AllOf(HasSubstr("missing fence: cp.async.bulk.tensor by [line"),
                    HasSubstr("no fence.proxy.async makes it see the write of shared memory by [line")));
}

TEST_F(PlantedTensorCopyBugsTest, AnMbarrierThatIsOverwrittenIsFound) {
  mlir::Operation *arrive = nullptr;
  lowered_.nvvm->walk([&](mlir::NVVM::MBarrierArriveExpectTxOp op) { arrive = arrive ? arrive : op; });
  mlir::OpBuilder builder(arrive);
  mlir::LLVM::StoreOp::create(builder, arrive->getLoc(), constant(arrive, 0, 32), arrive->getOperand(0));
  EXPECT_THAT(found(lowered_.text()), HasSubstr("its memory was overwritten"));
}

/// A map that shows more than the buffer has.
TEST_F(PlantedTensorCopyBugsTest, ACopyFromOutsideABufferIsFound) {
  lowered_.kernels[0].tensorMaps[0].strides[0] = 1040;
  EXPECT_THAT(found(lowered_.text()),
              AllOf(HasSubstr("out of bounds: cp.async.bulk.tensor by [line"), HasSubstr("in no buffer of the kernel")));
}

} // namespace
} // namespace oriel::testing
