#include "tests/support/nvidia/EmulatedKernels.h"

#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
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
  const runtime::emulated::KernelEntry *entry = library_->find(info.symbol);
  if (!entry || entry->argumentCount - entry->tensorMapCount != static_cast<int64_t>(buffers.size()))
    return absl::InternalError(info.symbol + " is not in the library, or takes another number of buffers");
  runtime::cuda::TensorMaps maps(specsOf(info));
  if (maps.update(runtime::emulated::emulatedDriver({}), buffers.data()) != runtime::cuda::success)
    return absl::InternalError(info.symbol + ": the driver does not take a view of a buffer");
  std::vector<void *> arguments = buffers;
  for (size_t i = 0; i < maps.size(); ++i)
    arguments.push_back(maps.at(i));
  runtime::emulated::GridRunner runner(static_cast<int>(std::thread::hardware_concurrency()), seed);
  return runner.run(*entry, arguments.data(),
                    {{info.grid[0], info.grid[1], info.grid[2]}, info.threads, info.sharedBytes},
                    library_->checksOf(info.symbol), report, keepTraces);
}

} // namespace oriel::testing
