// What the tests of the NVIDIA path share: lower a module of tile kernels, run it on the emulator, look at its PTX.
#ifndef ORIEL_TESTS_NUMERICS_NVIDIA_NVIDIARUNNER_H
#define ORIEL_TESTS_NUMERICS_NVIDIA_NVIDIARUNNER_H

#include "compiler/codegen/nvidia/emulator/Emulator.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include <string>
#include <vector>

namespace oriel::testing {

struct NvidiaCode {
  std::vector<codegen::nvidia::NvidiaKernelInfo> kernels;
  std::string ptx;
  std::unique_ptr<codegen::nvidia::Emulator> emulator;
};

/// Empty `error` means success.
inline NvidiaCode compileForNvidia(mlir::ModuleOp module, std::string &error) {
  using namespace codegen::nvidia;
  NvidiaCode code;
  NvidiaTarget target = NvidiaTarget::sm80();
  llvm::SmallVector<NvidiaKernelInfo> kernels;
  auto lowered = lowerToNvvm(module, target, kernels);
  if (failed(lowered)) {
    error = "lowering failed";
    return code;
  }
  code.kernels.assign(kernels.begin(), kernels.end());
  auto context = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> llvmModule = translateToLlvm(**lowered, target, *context);
  if (!llvmModule) {
    error = "translation to LLVM IR failed";
    return code;
  }
  code.ptx = emitPtx(*llvmModule, target, error);
  // Printing PTX changes the module, so the emulator gets a fresh one.
  llvmModule = translateToLlvm(**lowered, target, *context);
  auto emulator = Emulator::create(std::move(llvmModule), std::move(context));
  if (!emulator)
    error = llvm::toString(emulator.takeError());
  else
    code.emulator = std::move(*emulator);
  return code;
}

} // namespace oriel::testing

#endif
