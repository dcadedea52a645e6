// Products on wgmma (sm_90a) on the emulator: every way in which operands lie, against plain loops.
#include "compiler/codegen/nvidia/WarpgroupInstruction.h"
#include "tests/support/nvidia/NvidiaTest.h"

#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"
#include <bit>
#include <cmath>
#include <random>

namespace oriel::testing {
namespace {

using codegen::nvidia::WarpgroupInstruction;
using codegen::nvidia::WarpgroupWait;

TEST(WarpgroupInstructionTest, ReadsBackWhatItWrites) {
  for (WarpgroupInstruction instruction :
       {WarpgroupInstruction{8, false, true, false, true}, WarpgroupInstruction{256, true, false, false, false},
        WarpgroupInstruction{48, false, false, true, false}})
    EXPECT_EQ(WarpgroupInstruction::parse(instruction.text()), instruction) << instruction.text();
  EXPECT_EQ(WarpgroupWait::parse(WarpgroupWait{3, 16}.text(), 16)->inFlight, 3);
  EXPECT_FALSE(
      WarpgroupInstruction::parse("wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3 {$0}, $1, $2, p, 1, 1;"));
  EXPECT_FALSE(WarpgroupWait::parse("wgmma.wait_group.sync.aligned x;", 16));
}

/// o[M,N] = op(a)·op(b) twice over, bf16 operands: the second product adds to the first.
struct Shape {
  int64_t m, n, k;
  bool transposeA, transposeB, aInRegisters;
};

class WarpgroupTest : public NvidiaTest {
protected:
  static std::string program(const Shape &s) {
    std::string a = llvm::formatv("{0}x{1}xbf16", s.transposeA ? s.k : s.m, s.transposeA ? s.m : s.k);
    std::string b = llvm::formatv("{0}x{1}xbf16", s.transposeB ? s.n : s.k, s.transposeB ? s.k : s.n);
    std::string o = llvm::formatv("{0}x{1}xf32", s.m, s.n);
    std::string halved = s.aInRegisters ? R"(
  %ta = tile.map ins(%la : tensor<)" + a + R"(>) -> tensor<)" +
                                              a + R"(> {
  ^bb0(%e: bf16):
    %half = arith.constant 0.5 : bf16
    %v = arith.mulf %e, %half : bf16
    tile.yield %v : bf16
  })"
                                        : "";
    std::string first = s.aInRegisters ? "%ta" : "%la";
    std::string flags = std::string(s.transposeA ? " transpose_a" : "") + (s.transposeB ? " transpose_b" : "");
    std::string types = " : tensor<" + a + ">, tensor<" + b + ">, tensor<" + o + ">";
    return "tile.kernel @product(%a: memref<" + a + ">, %b: memref<" + b + ">, %o: memref<" + o +
           ">) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {\n  %c0 = arith.constant 0 : index\n" +
           "  %la = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<" + a + "> -> tensor<" + a + ">\n" +
           "  %lb = tile.load %b[%c0, %c0] rows 0 cols 1 : memref<" + b + "> -> tensor<" + b + ">\n" + halved +
           "\n  %zero = arith.constant 0.0 : f32\n  %none = tile.fill %zero : f32 -> tensor<" + o + ">\n" +
           "  %once = tile.dot " + first + ", %lb, %none" + flags + types + "\n" + "  %twice = tile.dot " + first +
           ", %lb, %once" + flags + types + "\n" + "  tile.store %twice, %o[%c0, %c0] rows 0 cols 1 : tensor<" + o +
           ">, memref<" + o + ">\n  tile.return\n}";
  }

  /// Runs the program and gives the largest difference from plain loops.
  absl::Status run(const EmulatedKernels &code, const Shape &s, double &worst) {
    std::mt19937 random(5);
    std::uniform_int_distribution<int> small(-8, 8); // exact in bf16, and so are all sums in f32
    std::vector<uint16_t> a(s.m * s.k), b(s.k * s.n);
    for (std::vector<uint16_t> *matrix : {&a, &b})
      for (uint16_t &value : *matrix)
        value = std::bit_cast<uint32_t>(float(small(random))) >> 16;
    auto widen = [](uint16_t value) { return std::bit_cast<float>(uint32_t(value) << 16); };
    std::vector<float> o(s.m * s.n, NAN);
    absl::Status status = code.launch(0, {a.data(), b.data(), o.data()}, 3);
    worst = 0;
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < s.k; ++k)
          sum +=
              widen(a[s.transposeA ? k * s.m + i : i * s.k + k]) * widen(b[s.transposeB ? j * s.k + k : k * s.n + j]);
        double difference = std::abs(o[i * s.n + j] - (s.aInRegisters ? sum : 2 * sum));
        worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
      }
    return status;
  }
};

TEST_F(WarpgroupTest, ProductsEqualPlainLoopsHoweverTheirOperandsLie) {
  const Shape shapes[] = {
      {64, 64, 64, false, true, false},   // both operands in shared memory, 128-byte rows
      {64, 48, 96, false, true, false},   // 64-byte panels
      {64, 48, 48, true, false, false},   // both by K; 32-byte panels for b
      {128, 128, 64, true, false, false}, // 8 warps, two panels of 64 rows and two of columns
      {64, 128, 32, false, false, true},  // first operand from registers
      {192, 16, 64, false, true, true},   // three blocks of 64 rows
      {64, 224, 32, false, false, false}, // 8 warps share out rows of 448 bytes by K: 32-byte panels
  };
  for (const Shape &shape : shapes) {
    SCOPED_TRACE(program(shape));
    LoweredKernels lowered = lower(program(shape), NvidiaTarget::sm90a());
    EXPECT_NE(lowered.ptx().find("wgmma.mma_async"), std::string::npos) << "not a product of warpgroups";
    auto code = compile(lowered);
    ASSERT_TRUE(code);
    double worst;
    EXPECT_EQ(run(*code, shape, worst), absl::OkStatus());
    EXPECT_EQ(worst, 0);
  }
}

/// What a mistake in how a matrix is described does, which no check of memory can see.
TEST_F(WarpgroupTest, ADescriptorOfAnotherSwizzleGivesWrongNumbers) {
  Shape shape{64, 64, 64, false, true, false};
  LoweredKernels lowered = lower(program(shape), NvidiaTarget::sm90a());
  lowered.nvvm->walk([](mlir::LLVM::ConstantOp constant) {
    auto value = mlir::dyn_cast<mlir::IntegerAttr>(constant.getValue());
    if (value && value.getType().isInteger(64) && value.getValue().extractBitsAsZExtValue(2, 62) == 1)
      constant.setValueAttr(
          mlir::IntegerAttr::get(value.getType(), (value.getInt() & ~(1ll << 62)) | int64_t(2ull << 62)));
  });
  double worst;
  EXPECT_EQ(run(*compile(lowered), shape, worst), absl::OkStatus());
  EXPECT_GT(worst, 1);
}

} // namespace
} // namespace oriel::testing
