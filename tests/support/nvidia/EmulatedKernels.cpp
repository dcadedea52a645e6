#include "tests/support/nvidia/EmulatedKernels.h"

#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"
#include <filesystem>
#include <thread>
#include <unistd.h>

namespace oriel::testing {

using namespace codegen::nvidia;

LoweredKernels lowerForNvidia(mlir::ModuleOp module, const NvidiaTarget &target, bool withChecks) {
  LoweredKernels result;
  result.target = target;
  if (withChecks)
    result.checked = locateInText(module);
  llvm::SmallVector<NvidiaKernelInfo> kernels;
  auto lowered = lowerToNvvm(module, target, kernels);
  if (failed(lowered) || (withChecks && failed(keepLocations(**lowered))))
    return result;
  result.kernels.assign(kernels.begin(), kernels.end());
  result.nvvm = std::move(*lowered);
  return result;
}

std::string LoweredKernels::text() const {
  std::string result;
  llvm::raw_string_ostream stream(result);
  nvvm.get().print(stream, mlir::OpPrintingFlags().enableDebugInfo());
  return result;
}

std::string LoweredKernels::ptx() const {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateToLlvm(*nvvm, target, context);
  std::string error, text = module ? emitPtx(*module, target, error) : "";
  return error.empty() ? text : error;
}

absl::StatusOr<std::unique_ptr<EmulatedKernels>> EmulatedKernels::compile(const LoweredKernels &lowered) {
  if (!lowered.nvvm)
    return absl::InvalidArgumentError("the kernels have no NVIDIA code");
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateToLlvm(*lowered.nvvm, lowered.target, context);
  if (!module)
    return absl::InternalError("translation to LLVM IR failed");
  static int count = 0; // the system's loader knows files by their names
  std::filesystem::path path = std::filesystem::temp_directory_path() /
                               ("oriel-nvidia-" + std::to_string(getpid()) + "-" + std::to_string(count++));
  if (std::string error = emitHostLibrary(*module, codegen::CpuTarget::host(), path, lowered.checked); !error.empty())
    return absl::InternalError(error);
  auto library = runtime::emulated::KernelObject::load(path);
  std::filesystem::remove(path);
  if (!library.ok())
    return library.status();
  auto kernels = std::make_unique<EmulatedKernels>();
  kernels->kernels_ = lowered.kernels;
  kernels->library_ = std::move(*library);
  return kernels;
}

absl::Status EmulatedKernels::launch(size_t index, const std::vector<void *> &buffers, uint64_t seed,
                                     runtime::emulated::LaunchReport *report, bool keepTraces) const {
  const NvidiaKernelInfo &info = kernels_[index];
  const runtime::emulated::KernelEntry *entry = library_->find(info.symbol);
  if (!entry || entry->argumentCount != static_cast<int64_t>(buffers.size()))
    return absl::InternalError(info.symbol + " is not in the library, or takes another number of buffers");
  runtime::emulated::GridRunner runner(static_cast<int>(std::thread::hardware_concurrency()), seed);
  return runner.run(*entry, buffers.data(),
                    {{info.grid[0], info.grid[1], info.grid[2]}, info.threads, info.sharedBytes},
                    library_->checksOf(info.symbol), report, keepTraces);
}

} // namespace oriel::testing
