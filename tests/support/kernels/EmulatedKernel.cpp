#include "tests/support/kernels/EmulatedKernel.h"

#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "gtest/gtest.h"
#include <thread>

namespace oriel::testing {

std::unique_ptr<EmulatedKernel> EmulatedKernel::compile(mlir::ModuleOp module, const std::string &path) {
  using namespace codegen::nvidia;
  NvidiaTarget target = NvidiaTarget::sm80();
  llvm::SmallVector<NvidiaKernelInfo> infos;
  auto lowered = lowerToNvvm(module, target, infos);
  if (failed(lowered) || infos.size() != 1) {
    ADD_FAILURE() << "the kernel has no NVIDIA code";
    return nullptr;
  }
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateToLlvm(**lowered, target, context);
  std::string error = code ? emitHostLibrary(*code, codegen::CpuTarget::host(), path) : "translation failed";
  auto library = error.empty() ? runtime::emulated::KernelObject::load(path) : absl::InternalError(error);
  if (!library.ok()) {
    ADD_FAILURE() << library.status();
    return nullptr;
  }
  auto kernel = std::make_unique<EmulatedKernel>();
  kernel->library_ = std::move(*library);
  kernel->entry_ = kernel->library_->find(infos[0].symbol);
  kernel->shape_ = {{infos[0].grid[0], infos[0].grid[1], infos[0].grid[2]}, infos[0].threads, infos[0].sharedBytes};
  return kernel;
}

void EmulatedKernel::run(const std::vector<void *> &buffers) const {
  static uint64_t seed = 0;
  runtime::emulated::GridRunner runner(static_cast<int>(std::thread::hardware_concurrency()), ++seed);
  absl::Status status = runner.run(*entry_, buffers.data(), shape_);
  EXPECT_TRUE(status.ok()) << status;
}

} // namespace oriel::testing
