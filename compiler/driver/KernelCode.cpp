#include "compiler/driver/KernelCode.h"
#include "compiler/codegen/EachKernel.h"
#include "compiler/codegen/cpu/CpuCodegen.h"
#include "compiler/codegen/nvidia/DeviceCode.h"
#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
#include "compiler/codegen/store/UserStore.h"
#include "dialects/tile/TileOps.h"
#include "runtime/base/Files.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace oriel::driver {

using codegen::nvidia::NvidiaKernelInfo;
using codegen::nvidia::NvidiaTensorMap;
using codegen::nvidia::NvidiaTarget;

static std::optional<codegen::CpuTarget> cpuNamed(StringRef name) {
  if (name == "host")
    return codegen::CpuTarget::host();
  if (name == "avx2")
    return codegen::CpuTarget::avx2();
  if (name == "baseline")
    return codegen::CpuTarget::baseline();
  return std::nullopt;
}

FailureOr<CodeTarget> parseTarget(StringRef target, StringRef cpu, llvm::raw_ostream &errors) {
  std::optional<codegen::CpuTarget> host = cpuNamed(cpu);
  if (!host) {
    errors << "orielc: unknown --cpu '" << cpu << "'; use host, avx2 or baseline\n";
    return failure();
  }
  CodeTarget result{*host, std::nullopt};
  if (target == "cpu")
    return result;
  auto [kind, chip] = target.split(':');
  result.checked = kind == "nvidia-checked";
  result.emulated = kind == "nvidia-emulated" || result.checked;
  if (kind == "nvidia" || result.emulated)
    result.nvidia = NvidiaTarget::byChip(chip);
  if (!result.nvidia) {
    errors << "orielc: unknown --target '" << target
           << "'; use cpu, nvidia:CHIP, nvidia-emulated:CHIP or nvidia-checked:CHIP, CHIP being one of";
    for (const NvidiaTarget &known : NvidiaTarget::all())
      errors << " " << known.chip;
    errors << "\n";
    return failure();
  }
  return result;
}

plan::Target planTarget(const CodeTarget &target) {
  plan::Target result;
  result.set_kind(target.nvidia ? "nvidia" : "cpu");
  if (target.nvidia)
    result.set_chip(target.nvidia->chip);
  if (!target.hasHostCode())
    return result;
  result.set_cpu(target.host.cpu);
  for (const std::string &feature : target.host.features)
    result.add_features(feature);
  return result;
}

static FailureOr<KernelCode> compileForCpu(ModuleOp module, const codegen::CpuTarget &target,
                                           const std::string &folder) {
  KernelCode code;
  for (auto kernel : module.getOps<tile::KernelOp>()) {
    FailureOr<codegen::KernelInfo> info = codegen::describeKernel(kernel);
    if (failed(info))
      return failure();
    code.launches[info->symbol].scratchBytes = info->scratchBytes;
  }
  if (!code.launches.empty() &&
      failed(codegen::compileKernels(module, target, codegen::userStore(), folder + "/kernels.so")))
    return failure();
  return code;
}

static plan::TensorMap planMap(const NvidiaTensorMap &map) {
  plan::TensorMap result;
  result.set_argument(static_cast<uint32_t>(map.buffer));
  result.set_dtype(map.elementBits == 16 ? plan::BF16 : plan::F32);
  for (int64_t size : map.sizes)
    result.add_sizes(static_cast<uint64_t>(size));
  for (int64_t stride : map.strides)
    result.add_strides(static_cast<uint64_t>(stride));
  for (int64_t size : map.box)
    result.add_box(static_cast<uint32_t>(size));
  result.set_swizzle_bytes(static_cast<uint32_t>(map.swizzleBytes));
  return result;
}

static conversion::LaunchFacts factsOf(const NvidiaKernelInfo &info) {
  conversion::LaunchFacts facts;
  facts.threads = info.threads;
  facts.sharedBytes = static_cast<uint64_t>(info.sharedBytes);
  facts.stages = info.stages;
  facts.warpgroupShare = info.warpgroupShare;
  for (const NvidiaTensorMap &map : info.tensorMaps)
    facts.tensorMaps.push_back(planMap(map));
  return facts;
}

static FailureOr<KernelCode> compileForEmulator(ModuleOp module, const CodeTarget &target, const std::string &folder) {
  KernelCode code;
  if (module.getOps<tile::KernelOp>().empty())
    return code;
  auto infos = codegen::nvidia::compileHostLibrary(module, {*target.nvidia, target.host, target.checked},
                                                   codegen::userStore(), folder + "/kernels.so");
  if (failed(infos))
    return failure();
  for (const NvidiaKernelInfo &info : *infos)
    code.launches[info.symbol] = factsOf(info);
  return code;
}

/// One kernel's code for GPUs and what launches of it need to know.
struct GpuKernel {
  std::string symbol;
  conversion::LaunchFacts facts;
  codegen::nvidia::DeviceCode code;
};

static LogicalResult compileKernel(tile::KernelOp kernel, const codegen::nvidia::DeviceCompiler &compiler,
                                   GpuKernel &into) {
  FailureOr<NvidiaKernelInfo> info = codegen::nvidia::planKernel(kernel, compiler.target());
  if (failed(info))
    return failure();
  FailureOr<codegen::nvidia::DeviceCode> code = compiler.compile(kernel);
  if (failed(code))
    return failure();
  into = {info->symbol, factsOf(*info), std::move(*code)};
  into.facts.registers = into.code.resources.registers;
  into.facts.spillBytes = into.code.resources.spillBytes;
  into.facts.tensorInstructions = into.code.resources.tensorInstructions;
  return success();
}

/// Writes a file of the kernel's code and lists it; nothing where there is none.
static absl::Status write(const GpuKernel &kernel, const std::string &bytes, const std::string &file,
                          const std::string &folder, KernelCode &code) {
  if (bytes.empty())
    return absl::OkStatus();
  plan::DeviceCode &listed = code.deviceCode.emplace_back();
  listed.set_file(file);
  listed.set_symbol(kernel.symbol);
  listed.set_function(kernel.code.function);
  return runtime::replaceFile(folder + "/" + file, bytes);
}

static FailureOr<KernelCode> compileForGpu(ModuleOp module, const NvidiaTarget &target, const std::string &folder) {
  codegen::nvidia::prepareContext(*module.getContext());
  codegen::nvidia::DeviceCompiler compiler(target, codegen::userStore());
  std::vector<GpuKernel> kernels(llvm::range_size(module.getOps<tile::KernelOp>()));
  if (failed(codegen::forEachKernel(module, [&](tile::KernelOp kernel, size_t number) {
        return compileKernel(kernel, compiler, kernels[number]);
      })))
    return failure();
  KernelCode code;
  for (auto [number, kernel] : llvm::enumerate(kernels)) {
    code.launches[kernel.symbol] = kernel.facts;
    std::string stem = "kernels." + std::to_string(number);
    absl::Status status = write(kernel, kernel.code.cubin, stem + ".cubin", folder, code);
    status.Update(write(kernel, kernel.code.ptx, stem + ".ptx", folder, code));
    if (!status.ok())
      return module.emitError(std::string(status.message()));
  }
  return code;
}

FailureOr<KernelCode> compileKernelCode(ModuleOp module, const CodeTarget &target, const std::string &folder) {
  if (!target.nvidia)
    return compileForCpu(module, target.host, folder);
  return target.emulated ? compileForEmulator(module, target, folder) : compileForGpu(module, *target.nvidia, folder);
}

} // namespace oriel::driver
