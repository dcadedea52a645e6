// A fixture for tests that write tile kernels, or what they are lowered to, as text.
#ifndef ORIEL_TESTS_SUPPORT_NVIDIA_NVIDIATEST_H
#define ORIEL_TESTS_SUPPORT_NVIDIA_NVIDIATEST_H

#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "tests/support/nvidia/EmulatedKernels.h"
#include "gtest/gtest.h"

namespace oriel::testing {

class NvidiaTest : public ::testing::Test {
protected:
  using NvidiaTarget = codegen::nvidia::NvidiaTarget;

  NvidiaTest() {
    context_
        .loadDialect<tile::TileDialect, mlir::arith::ArithDialect, mlir::math::MathDialect, mlir::memref::MemRefDialect,
                     mlir::scf::SCFDialect, mlir::LLVM::LLVMDialect, mlir::NVVM::NVVMDialect>();
  }

  mlir::OwningOpRef<mlir::ModuleOp> parse(llvm::StringRef text) {
    return mlir::parseSourceString<mlir::ModuleOp>(text, &context_);
  }

  /// Of a text of tile kernels that is right.
  LoweredKernels lower(llvm::StringRef tileText, const NvidiaTarget &target = NvidiaTarget::sm80(),
                       bool withChecks = false) {
    auto module = parse(tileText);
    LoweredKernels lowered = lowerForNvidia(*module, target, withChecks);
    EXPECT_TRUE(lowered.nvvm) << tileText.str();
    return lowered;
  }

  static std::unique_ptr<EmulatedKernels> compile(const LoweredKernels &lowered) {
    auto kernels = EmulatedKernels::compile(lowered);
    EXPECT_TRUE(kernels.ok()) << kernels.status();
    return kernels.ok() ? std::move(*kernels) : nullptr;
  }

  mlir::MLIRContext context_;
};

} // namespace oriel::testing

#endif
