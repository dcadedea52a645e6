// What the code generator's tests share: every test runs for each target this machine can execute.
#ifndef ORIEL_TESTS_UNIT_COMPILER_CODEGEN_TARGETSTEST_H
#define ORIEL_TESTS_UNIT_COMPILER_CODEGEN_TARGETSTEST_H

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/common/TileBuilder.h"
#include "tests/support/tile/KernelRunner.h"

namespace oriel::tests {

/// Fixed pseudo-random numbers in [-1, 1).
inline std::vector<float> noise(size_t count, uint64_t seed = 1) {
  std::vector<float> values(count);
  uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (float &value : values) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    value = static_cast<float>(static_cast<int32_t>(state >> 32)) / 2147483648.0f;
  }
  return values;
}

class TargetsTest : public testing::TestWithParam<std::string> {
protected:
  codegen::CpuTarget target() {
    if (GetParam() == "avx2")
      return codegen::CpuTarget::avx2();
    return GetParam() == "baseline" ? codegen::CpuTarget::baseline() : codegen::CpuTarget::host();
  }
  void SetUp() override {
    if (GetParam() == "avx2" && !codegen::CpuTarget::host().has("avx2"))
      GTEST_SKIP() << "this machine has no AVX2";
  }

  using Place = kernels::Place;
  using Scalar = kernels::Scalar;
  using TileBuilder = kernels::TileBuilder;
  using Value = mlir::Value;

  mlir::MemRefType buffer(llvm::ArrayRef<int64_t> shape) { return TileBuilder::bufferType(&runner.context(), shape); }
  mlir::MemRefType intBuffer(llvm::ArrayRef<int64_t> shape) {
    return mlir::MemRefType::get(shape, mlir::IntegerType::get(&runner.context(), 32));
  }
  TileBuilder kernel(llvm::StringRef name, mlir::TypeRange buffers, std::array<int64_t, 3> grid = {1, 1, 1},
                     int64_t outputs = 1) {
    return TileBuilder::kernel(runner.module(), runner.loc(), name, buffers, grid, outputs);
  }

  /// A whole matrix at the origin.
  static Place whole(TileBuilder &b) { return Place{{b.index(0), b.index(0)}, 0, 1}; }

  KernelRunner runner;
};

#define ORIEL_FOR_ALL_TARGETS(suite)                                                                                   \
  INSTANTIATE_TEST_SUITE_P(Targets, suite, testing::Values("host", "avx2", "baseline"),                                \
                           [](const auto &info) { return info.param; })

} // namespace oriel::tests

#endif
