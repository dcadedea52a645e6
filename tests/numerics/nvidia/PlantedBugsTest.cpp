// Each check of the emulator finds the mistake that it is for. Mistakes are planted in the lowered text of kernels: of
// one of ours by leaving out or changing what the lowering wrote, else of small ones written here.
#include "compiler/codegen/nvidia/emulated/AccessChecks.h"
#include "tests/numerics/nvidia/PlantedTest.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::testing {
namespace {

using runtime::emulated::AccessKind;
using runtime::emulated::LaunchReport;
using ::testing::AllOf;
using ::testing::HasSubstr;

// The two sides of the wall agree on what numbers mean.
static_assert(int(codegen::nvidia::AccessKind::SharedLoad) == int(AccessKind::SharedLoad));
static_assert(int(codegen::nvidia::AccessKind::ProductRead) == int(AccessKind::ProductRead));
static_assert(int(codegen::nvidia::AccessKind::CopyTarget) == int(AccessKind::CopyTarget));
static_assert(int(codegen::nvidia::AccessKind::GlobalStore) == int(AccessKind::GlobalStore));
static_assert(int(codegen::nvidia::AccessKind::Convergence) == int(AccessKind::Convergence));

// Sums A·Bᵀ over blocks of B's rows. A stays in registers, B goes through shared memory.
constexpr const char *productKernel = R"mlir(
tile.kernel @product(%a: memref<64x64xbf16>, %b: memref<128x64xbf16>, %o: memref<64x64xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %zero = arith.constant 0.0 : f32
  %wide = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<64x64xbf16> -> tensor<64x64xf32>
  %ta = tile.cast %wide : tensor<64x64xf32> -> tensor<64x64xbf16>
  %init = tile.fill %zero : f32 -> tensor<64x64xf32>
  %sum = scf.for %j = %c0 to %c128 step %c64 iter_args(%acc = %init) -> (tensor<64x64xf32>) {
    %tb = tile.load %b[%j, %c0] rows 0 cols 1 : memref<128x64xbf16> -> tensor<64x64xbf16>
    %s = tile.dot %ta, %tb, %acc transpose_b : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    scf.yield %s : tensor<64x64xf32>
  }
  tile.store %sum, %o[%c0, %c0] rows 0 cols 1 : tensor<64x64xf32>, memref<64x64xf32>
  tile.return
})mlir";

class PlantedBugsTest : public PlantedTest {
protected:
  PlantedBugsTest() : product_(lower(productKernel, NvidiaTarget::sm80(), /*withChecks=*/true)) {}

  absl::Status runProduct(const std::string &text, LaunchReport *report = nullptr) {
    alignas(32) static uint16_t a[64 * 64], b[128 * 64];
    alignas(32) static float o[64 * 64];
    return run(product_, text, {a, b, o}, report);
  }

  LoweredKernels product_;
};

/// Kernels written here, around a body of a few instructions.
class WrittenKernelTest : public PlantedTest {
protected:
  /// `body` in a kernel that takes a buffer of 64 floats.
  absl::Status runBody(const char *body, int64_t threads, int64_t sharedBytes, LaunchReport *report = nullptr) {
    LoweredKernels written;
    written.checked = {{"kernel", {}, {{"memref<64xf32>", 256, true}}}};
    written.kernels = {{"kernel", {1, 1, 1}, threads, sharedBytes}};
    std::string text = R"mlir(
      llvm.mlir.global external @oriel_shared() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<0 x i8>
      llvm.func @kernel(%p: !llvm.ptr) attributes {nvvm.kernel} {
        %t = nvvm.read.ptx.sreg.tid.x : i32
        %shared = llvm.mlir.addressof @oriel_shared : !llvm.ptr<3>
        %one = llvm.mlir.constant(1.0 : f32) : f32
    )mlir";
    alignas(16) static float buffer[64];
    return run(written, text + body + "llvm.return\n}", {buffer}, report);
  }
};

TEST_F(PlantedBugsTest, NothingIsFoundInAKernelAsItIsLowered) {
  LaunchReport report;
  EXPECT_EQ(runProduct(product_.text(), &report), absl::OkStatus());
  ASSERT_EQ(report.buffers.size(), 3u);
  EXPECT_EQ(report.buffers[1].type, "memref<128x64xbf16>");
  EXPECT_EQ(report.buffers[1].read, 128 * 64 * 2);
  EXPECT_EQ(report.buffers[2].written, 64 * 64 * 4);
  EXPECT_EQ(report.neededBytes(), (64 + 128) * 64 * 2 + 64 * 64 * 4);
  EXPECT_EQ(report.costOf(/*shared=*/true).mean(), 1.0);
  for (const runtime::emulated::SiteReport &site : report.sites) {
    if (site.kind == AccessKind::CopySource) {
      EXPECT_EQ(site.cost.mean(), 1.0);
    }
  }
}

TEST_F(PlantedBugsTest, EveryMissingWaitIsFound) {
  std::string text = product_.text();
  std::vector<size_t> waits = placesOf(text, "nvvm.cp.async.wait.group");
  ASSERT_FALSE(waits.empty());
  for (size_t wait : waits)
    EXPECT_THAT(std::string(runProduct(withoutLineAt(text, wait)).message()),
                AllOf(HasSubstr("product: block (0, 0, 0): missing wait: ldmatrix by [line"), HasSubstr("tile.dot"),
                      HasSubstr("data of cp.async (its target) by [line"), HasSubstr("is in flight")));
}

/// A kernel may have a barrier too many; the one before the product reads what all threads have copied is needed.
TEST_F(PlantedBugsTest, AMissingBarrierIsFound) {
  std::string text = product_.text();
  std::vector<std::string> messages;
  for (size_t barrier : placesOf(text, "nvvm.barrier"))
    messages.push_back(std::string(runProduct(withoutLineAt(text, barrier)).message()));
  EXPECT_THAT(messages, ::testing::Contains(AllOf(HasSubstr("race: ldmatrix by [line"), HasSubstr("tile.dot"),
                                                  HasSubstr("no barrier orders it after the cp.async (its target)"))));
  EXPECT_THAT(messages, ::testing::Contains(AllOf(HasSubstr("race: cp.async (its target) by [line"),
                                                  HasSubstr("no barrier orders it after the ldmatrix by"))));
}

TEST_F(WrittenKernelTest, ALayoutWithoutPaddingConflictsInBanks) {
  // Lane l writes the first word of row l.
  const std::string body = R"mlir(
        %words = llvm.mlir.constant(ROW : i32) : i32
        %row = llvm.mul %t, %words : i32
        %at = llvm.getelementptr %shared[%row] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
        llvm.store %one, %at : f32, !llvm.ptr<3>
      )mlir";
  for (auto [words, wavefronts] : {std::pair(32, 32), std::pair(33, 1), std::pair(36, 4)}) {
    LaunchReport report;
    EXPECT_EQ(runBody(replaced(body, "ROW", std::to_string(words)).c_str(), 32, 32 * words * 4, &report),
              absl::OkStatus());
    EXPECT_EQ(report.costOf(/*shared=*/true).worstRatio(), wavefronts);
    if (wavefronts > 1) {
      ASSERT_NE(report.worstSite(true), nullptr);
      EXPECT_EQ(report.worstSite(true)->kind, AccessKind::SharedStore);
    }
  }
}

/// A mistake of a few instructions, and what is said of it.
struct Mistake {
  const char *name, *body;
  int64_t threads, sharedBytes;
  std::vector<std::string> said;
};

class MistakeTest : public WrittenKernelTest, public ::testing::WithParamInterface<Mistake> {};

TEST_P(MistakeTest, IsFound) {
  const Mistake &mistake = GetParam();
  absl::Status status = runBody(mistake.body, mistake.threads, mistake.sharedBytes);
  for (const std::string &said : mistake.said)
    EXPECT_THAT(std::string(status.message()), HasSubstr(said));
}

const Mistake mistakes[] = {
    {"WriteBehindABuffer", R"mlir(
        %at = llvm.getelementptr %p[%t] : (!llvm.ptr, i32) -> !llvm.ptr, f32
        llvm.store %one, %at : f32, !llvm.ptr
      )mlir",
     96, // of a tail of 64
     0,
     {"out of bounds: write of global memory", "4 bytes at byte ", "of buffer 0 (memref<64xf32>, 256 bytes)"}},
    {"ReadBehindABuffer", R"mlir(
        %from = llvm.getelementptr %p[%t] : (!llvm.ptr, i32) -> !llvm.ptr, f32
        %v = llvm.load %from : !llvm.ptr -> f32
        %to = llvm.getelementptr %shared[%t] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
        llvm.store %v, %to : f32, !llvm.ptr<3>
      )mlir",
     96,
     384,
     {"out of bounds: read of global memory", "4 bytes at byte ", "of buffer 0 (memref<64xf32>, 256 bytes)"}},
    {"WriteBehindSharedMemory", R"mlir(
        %at = llvm.getelementptr %shared[%t] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
        llvm.store %one, %at : f32, !llvm.ptr<3>
      )mlir",
     64,
     128,
     {"out of bounds: write of shared memory", "of 128 bytes of shared memory"}},
    {"ReadBehindSharedMemory", R"mlir(
        %own = llvm.getelementptr %shared[%t] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
        llvm.store %one, %own : f32, !llvm.ptr<3>
        nvvm.barrier0
        %next = llvm.getelementptr %own[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, f32
        %v = llvm.load %next : !llvm.ptr<3> -> f32
        %to = llvm.getelementptr %p[%t] : (!llvm.ptr, i32) -> !llvm.ptr, f32
        llvm.store %v, %to : f32, !llvm.ptr
      )mlir",
     32,
     128,
     {"out of bounds: read of shared memory", "4 bytes at byte 128 of 128 bytes of shared memory, thread 31"}},
    {"MisalignedRead", R"mlir(
        %at = llvm.getelementptr %p[%t] : (!llvm.ptr, i32) -> !llvm.ptr, f32
        %v = llvm.load %at {alignment = 16 : i64} : !llvm.ptr -> vector<4xf32>
        llvm.store %v, %p {alignment = 16 : i64} : vector<4xf32>, !llvm.ptr
      )mlir",
     2,
     0,
     {"misaligned: read of global memory", "16 bytes at byte 4 of buffer 0"}},
    {"MisalignedWrite", R"mlir(
        %v = llvm.load %p {alignment = 16 : i64} : !llvm.ptr -> vector<4xf32>
        %at = llvm.getelementptr %shared[%t] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
        llvm.store %v, %at {alignment = 16 : i64} : vector<4xf32>, !llvm.ptr<3>
      )mlir",
     2,
     32,
     {"misaligned: write of shared memory", "16 bytes at byte 4 of 32 bytes of shared memory, thread 1"}},
    {"SharedMemoryThatNobodyHasWritten", R"mlir(
        %v = llvm.load %shared : !llvm.ptr<3> -> f32
        llvm.store %v, %p : f32, !llvm.ptr
      )mlir",
     1,
     16,
     {"never written: read of shared memory"}},
    {"LanesAtDifferentBarriers", R"mlir(
        %eight = llvm.mlir.constant(8 : i32) : i32
        %low = llvm.icmp "ult" %t, %eight : i32
        llvm.cond_br %low, ^one, ^other
      ^one:
        llvm.store %one, %shared : f32, !llvm.ptr<3>
        nvvm.barrier0
        llvm.br ^end
      ^other:
        nvvm.barrier0
        %at = llvm.getelementptr %p[%t] : (!llvm.ptr, i32) -> !llvm.ptr, f32
        llvm.store %one, %at : f32, !llvm.ptr
        llvm.br ^end
      ^end:
      )mlir",
     32,
     16,
     {"divergent warp: threads 0 and 8 of one warp meet at different instructions"}}};

INSTANTIATE_TEST_SUITE_P(Planted, MistakeTest, ::testing::ValuesIn(mistakes),
                         [](const auto &info) { return info.param.name; });

} // namespace
} // namespace oriel::testing
