#include "tests/support/nvidia/EmulatedKernels.h"

#include "compiler/codegen/store/UserStore.h"
#include "runtime/base/Status.h"
#include "runtime/device/cuda/TensorMaps.h"
#include "runtime/device/cuda/emulated/EmulatedDriver.h"
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

/// Where a library lies until it is loaded: the system's loader knows files by their names.
static std::string newLibraryPath() {
  static int count = 0;
  return std::filesystem::temp_directory_path() /
         ("oriel-nvidia-" + std::to_string(getpid()) + "-" + std::to_string(count++));
}

absl::StatusOr<std::unique_ptr<EmulatedKernels>> EmulatedKernels::load(const std::string &path,
                                                                       std::vector<NvidiaKernelInfo> infos) {
  auto library = runtime::emulated::KernelObject::load(path);
  std::filesystem::remove(path);
  if (!library.ok())
    return library.status();
  auto kernels = std::make_unique<EmulatedKernels>();
  kernels->kernels_ = std::move(infos);
  kernels->library_ = std::move(*library);
  return kernels;
}

absl::StatusOr<std::unique_ptr<EmulatedKernels>> EmulatedKernels::compile(const LoweredKernels &lowered) {
  if (!lowered.nvvm)
    return absl::InvalidArgumentError("the kernels have no NVIDIA code");
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateToLlvm(*lowered.nvvm, lowered.target, context);
  if (!module)
    return absl::InternalError("translation to LLVM IR failed");
  std::string path = newLibraryPath();
  if (std::string error = emitHostLibrary(*module, codegen::CpuTarget::host(), path, lowered.checked); !error.empty())
    return absl::InternalError(error);
  return load(path, lowered.kernels);
}

absl::StatusOr<std::unique_ptr<EmulatedKernels>> EmulatedKernels::compile(mlir::ModuleOp kernels,
                                                                          const HostTarget &target) {
  std::string path = newLibraryPath();
  auto infos = compileHostLibrary(kernels, target, codegen::userStore(), path);
  if (failed(infos))
    return absl::InvalidArgumentError("the kernels have no NVIDIA code");
  return load(path, *infos);
}

static std::vector<runtime::TensorMapSpec> specsOf(const NvidiaKernelInfo &info) {
  std::vector<runtime::TensorMapSpec> specs;
  for (const NvidiaTensorMap &map : info.tensorMaps) {
    runtime::TensorMapSpec &spec = specs.emplace_back();
    spec.argument = map.buffer;
    spec.dtype = map.elementBits == 16 ? runtime::DType::BF16 : runtime::DType::F32;
    spec.sizes.assign(map.sizes.begin(), map.sizes.end());
    spec.strides.assign(map.strides.begin(), map.strides.end());
    spec.box.assign(map.box.begin(), map.box.end());
    spec.swizzleBytes = map.swizzleBytes;
  }
  return specs;
}

absl::Status EmulatedKernels::launch(size_t index, const std::vector<void *> &buffers, uint64_t seed,
                                     runtime::emulated::LaunchReport *report, bool keepTraces) const {
  const NvidiaKernelInfo &info = kernels_[index];
  ORIEL_ASSIGN_OR_RETURN(const runtime::emulated::KernelEntry *entry, library_->find(info.symbol));
  if (entry->argumentCount - entry->tensorMapCount != static_cast<int64_t>(buffers.size()))
    return absl::InternalError(info.symbol + " takes another number of buffers");
  runtime::cuda::TensorMaps maps(specsOf(info));
  if (maps.update(runtime::emulated::emulatedDriver({}), buffers.data()) != runtime::cuda::success)
    return absl::InternalError(info.symbol + ": the driver does not take a view of a buffer");
  std::vector<void *> arguments = buffers;
  for (size_t i = 0; i < maps.size(); ++i)
    arguments.push_back(maps.at(i));
  runtime::emulated::GridRunner runner(static_cast<int>(std::thread::hardware_concurrency()), seed);
  return runner.run(*entry, arguments.data(),
                    {{info.grid[0], info.grid[1], info.grid[2]}, info.threads, info.sharedBytes}, report, keepTraces);
}

} // namespace oriel::testing
