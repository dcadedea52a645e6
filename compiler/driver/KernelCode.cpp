#include "compiler/driver/KernelCode.h"
#include "compiler/codegen/cpu/CpuCodegen.h"
#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
#include "compiler/codegen/store/UserStore.h"
#include "compiler/driver/Ptxas.h"
#include "dialects/tile/TileOps.h"
#include "runtime/base/Files.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

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
  if (!code.launches.empty() && failed(codegen::compileKernels(module, target, codegen::userStore(), folder + "/kernels.so")))
    return failure();
  return code;
}

/// PTX and, where there is ptxas, its machine code with what it takes of the GPU; the error text on failure.
static std::string emitDeviceCode(llvm::Module &llvmModule, const NvidiaTarget &target, const std::string &folder,
                                  KernelCode &code) {
  std::string error;
  std::string ptx = codegen::nvidia::emitPtx(llvmModule, target, error);
  if (!error.empty())
    return error;
  if (absl::Status status = runtime::writeFileAtomically(folder + "/kernels.ptx", ptx); !status.ok())
    return std::string(status.message());
  code.deviceFiles.push_back("kernels.ptx");
  std::string ptxas = findPtxas();
  if (ptxas.empty())
    return {};
  for (auto &[symbol, of] : assemble(ptxas, folder + "/kernels.ptx", target.chip, folder + "/kernels.cubin", error)) {
    conversion::LaunchFacts &facts = code.launches[symbol];
    facts.registers = of.registers;
    facts.spillBytes = of.spillBytes;
    facts.tensorInstructions = of.tensorInstructions;
  }
  if (error.empty())
    code.deviceFiles.push_back("kernels.cubin");
  return error;
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

static FailureOr<KernelCode> compileForNvidia(ModuleOp module, const CodeTarget &target, const std::string &folder) {
  KernelCode code;
  SmallVector<NvidiaKernelInfo> infos;
  OwningOpRef<ModuleOp> located;
  std::vector<codegen::nvidia::CheckedKernel> checked;
  if (target.checked) {
    located = module.clone();
    checked = codegen::nvidia::locateInText(*located);
  }
  auto lowered = codegen::nvidia::lowerToNvvm(target.checked ? *located : module, *target.nvidia, infos);
  if (failed(lowered) || (target.checked && failed(codegen::nvidia::keepLocations(**lowered))))
    return failure();
  for (const NvidiaKernelInfo &info : infos)
    code.launches[info.symbol] = factsOf(info);
  if (infos.empty())
    return code;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule = codegen::nvidia::translateToLlvm(**lowered, *target.nvidia, context);
  if (!llvmModule)
    return failure();
  std::string error =
      target.emulated ? codegen::nvidia::emitHostLibrary(*llvmModule, target.host, folder + "/kernels.so", checked)
                      : emitDeviceCode(*llvmModule, *target.nvidia, folder, code);
  if (!error.empty())
    return module.emitError("cannot generate code for ") << target.nvidia->chip << ": " << error;
  return code;
}

FailureOr<KernelCode> compileKernelCode(ModuleOp module, const CodeTarget &target, const std::string &folder) {
  return target.nvidia ? compileForNvidia(module, target, folder) : compileForCpu(module, target.host, folder);
}

} // namespace oriel::driver
