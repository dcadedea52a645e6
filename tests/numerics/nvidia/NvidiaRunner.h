// What the tests of the NVIDIA path share: lower a module of tile kernels, run it on the emulator, look at its PTX.
#ifndef ORIEL_TESTS_NUMERICS_NVIDIA_NVIDIARUNNER_H
#define ORIEL_TESTS_NUMERICS_NVIDIA_NVIDIARUNNER_H

#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
#include "runtime/device/cuda/emulated/GridRunner.h"
#include "runtime/device/cuda/emulated/KernelObject.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "gtest/gtest.h"
#include <filesystem>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace oriel::testing {

struct NvidiaCode {
  std::vector<codegen::nvidia::NvidiaKernelInfo> kernels;
  std::string ptx;
  std::unique_ptr<runtime::emulated::KernelObject> emulated;

  /// Runs the whole grid of kernel `index`; `buffers` in the kernel's order. `seed` shuffles the threads. What is wrong
  /// by the checks of a kernel that was compiled with them is in the status; `report` gets the rest.
  absl::Status launch(size_t index, const std::vector<void *> &buffers, uint64_t seed,
                      runtime::emulated::LaunchReport *report = nullptr) const {
    const codegen::nvidia::NvidiaKernelInfo &info = kernels[index];
    const runtime::emulated::KernelEntry *entry = emulated->find(info.symbol);
    if (!entry || entry->argumentCount != static_cast<int64_t>(buffers.size()))
      return absl::InternalError(info.symbol + " is not in the library, or takes another number of buffers");
    runtime::emulated::GridRunner runner(static_cast<int>(std::thread::hardware_concurrency()), seed);
    return runner.run(*entry, buffers.data(),
                      {{info.grid[0], info.grid[1], info.grid[2]}, info.threads, info.sharedBytes},
                      emulated->checksOf(info.symbol), report);
  }
};

/// Compiles a module in the LLVM dialect for the emulator, with checks when its kernels are described in `checked`.
/// Empty `error` means success.
inline std::unique_ptr<runtime::emulated::KernelObject>
compileForEmulator(mlir::ModuleOp nvvm, const codegen::nvidia::NvidiaTarget &target, std::string &error,
                   llvm::ArrayRef<codegen::nvidia::CheckedKernel> checked = {}) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = codegen::nvidia::translateToLlvm(nvvm, target, context);
  if (!module) {
    error = "translation to LLVM IR failed";
    return nullptr;
  }
  static int count = 0; // the system's loader knows files by their names
  std::string path = ::testing::TempDir() + "oriel-nvidia-" + std::to_string(getpid()) + "-" + std::to_string(count++);
  error = codegen::nvidia::emitHostLibrary(*module, codegen::CpuTarget::host(), path, checked);
  if (!error.empty())
    return nullptr;
  auto object = runtime::emulated::KernelObject::load(path);
  std::filesystem::remove(path);
  if (object.ok())
    return std::move(*object);
  error = object.status().ToString();
  return nullptr;
}

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
  code.emulated = compileForEmulator(**lowered, target, error);
  if (!error.empty())
    return code;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule = translateToLlvm(**lowered, target, context);
  code.ptx = emitPtx(*llvmModule, target, error);
  return code;
}

} // namespace oriel::testing

#endif
