#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
#include "compiler/codegen/EachKernel.h"
#include "compiler/codegen/host/EmitObject.h"
#include "compiler/codegen/host/Link.h"
#include "compiler/codegen/nvidia/emulated/AccessChecks.h"
#include "compiler/codegen/nvidia/emulated/Retarget.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

/// The object of the kernels of `module`; empty with the reason in `error`.
static std::string emitHostObject(llvm::Module &module, const CpuTarget &host, ArrayRef<CheckedKernel> checked,
                                  std::string &error) {
  if (!checked.empty())
    error = announceAccesses(module, checked);
  llvm::StripDebugInfo(module); // its lines are of no file
  if (error.empty())
    error = retargetToHost(module);
  if (!error.empty())
    return {};
  setTargetAttributes(module, host);
  std::string object = emitMachineCode(module, host, /*assembly=*/false);
  if (object.empty())
    error = "this LLVM cannot generate x86-64 code";
  return object;
}

static std::string objectOf(tile::KernelOp kernel, const HostTarget &target, std::string &error) {
  OwningOpRef<ModuleOp> alone = ModuleOp::create(kernel.getLoc());
  OpBuilder::atBlockEnd(alone->getBody()).clone(*kernel);
  std::vector<CheckedKernel> checked;
  if (target.checked)
    checked = locateInText(*alone);
  SmallVector<NvidiaKernelInfo> infos;
  FailureOr<OwningOpRef<ModuleOp>> lowered = lowerToNvvm(*alone, target.gpu, infos);
  if (failed(lowered) || (target.checked && failed(keepLocations(**lowered))))
    return {}; // it has said why
  llvm::LLVMContext context;
  if (std::unique_ptr<llvm::Module> llvmModule = translateToLlvm(**lowered, target.gpu, context))
    return emitHostObject(*llvmModule, target.host, checked, error);
  error = "it has no LLVM IR";
  return {};
}

/// From the store, or made and kept there.
static LogicalResult makeObject(tile::KernelOp kernel, const HostTarget &target, const KernelStore &store,
                                std::string &object) {
  std::string key = store.keyOf(kernel, {"emulated object", target.checked ? "checked" : "", describe(target.gpu),
                                         target.host.cpu, llvm::join(target.host.features, " ")});
  if (std::optional<KernelStore::Parts> kept = store.find(key); kept && kept->size() == 1) {
    object = std::move(kept->front());
    return success();
  }
  std::string error;
  object = objectOf(kernel, target, error);
  if (!error.empty())
    return kernel.emitOpError("cannot become code for the emulator of ") << target.gpu.chip << ": " << error;
  if (object.empty())
    return failure();
  store.keep(key, {object});
  return success();
}

FailureOr<std::vector<NvidiaKernelInfo>> compileHostLibrary(ModuleOp module, const HostTarget &target,
                                                            const KernelStore &store, StringRef outputSo) {
  prepareContext(*module.getContext());
  size_t count = llvm::range_size(module.getOps<tile::KernelOp>());
  std::vector<NvidiaKernelInfo> infos(count);
  std::vector<std::string> objects(count);
  if (failed(forEachKernel(module, [&](tile::KernelOp kernel, size_t number) -> LogicalResult {
        FailureOr<NvidiaKernelInfo> info = planKernel(kernel, target.gpu);
        if (failed(info))
          return failure();
        infos[number] = *info;
        return makeObject(kernel, target, store, objects[number]);
      })))
    return failure();
  std::string error = linkSharedLibrary(SmallVector<StringRef>(objects.begin(), objects.end()), outputSo);
  if (!error.empty())
    return module.emitError("cannot link ") << outputSo << ": " << error;
  return infos;
}

std::string emitHostLibrary(llvm::Module &module, const CpuTarget &host, const std::string &outputSo,
                            ArrayRef<CheckedKernel> checked) {
  std::string error, object = emitHostObject(module, host, checked, error);
  return error.empty() ? linkSharedLibrary({object}, outputSo) : error;
}

} // namespace oriel::codegen::nvidia
