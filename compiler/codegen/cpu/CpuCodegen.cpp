// Drives the stages.
#include "compiler/codegen/cpu/CpuCodegen.h"

#include "compiler/codegen/EachKernel.h"
#include "compiler/codegen/cpu/LowerToLlvm.h"
#include "compiler/codegen/cpu/Lowering.h"
#include "compiler/codegen/host/EmitObject.h"
#include "compiler/codegen/host/Link.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

using namespace mlir;

namespace oriel::codegen {

FailureOr<KernelInfo> describeKernel(tile::KernelOp kernel) {
  ArrayRef<int64_t> grid = kernel.getGrid();
  return KernelInfo{kernel.getSymName().str(), {grid[0], grid[1], grid[2]}, ScratchPlan::compute(kernel).bytes()};
}

/// Makes LLVM IR of some kernels and gives it to `emit`; fails where that has nothing to say.
static FailureOr<std::string> generate(ArrayRef<tile::KernelOp> kernels, Location loc, const CpuTarget &target,
                                       llvm::function_ref<std::string(llvm::Module &)> emit) {
  OwningOpRef<ModuleOp> lowered = ModuleOp::create(loc);
  OpBuilder builder = OpBuilder::atBlockEnd(lowered->getBody());
  for (tile::KernelOp kernel : kernels)
    if (failed(lowerKernel(kernel, ScratchPlan::compute(kernel), target, builder)))
      return failure();
  if (failed(lowerToLlvmDialect(*lowered)))
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule = translateToLlvm(*lowered, target, context);
  if (!llvmModule)
    return failure();
  std::string code = emit(*llvmModule);
  if (code.empty())
    return emitError(loc, "this LLVM cannot generate x86-64 code");
  return code;
}

/// The object of one kernel, from the store or made and kept there.
static LogicalResult makeObject(tile::KernelOp kernel, const CpuTarget &target, const KernelStore &store,
                                std::string &object) {
  std::string key = store.keyOf(kernel, {"cpu object", target.cpu, llvm::join(target.features, " ")});
  if (std::optional<KernelStore::Parts> kept = store.find(key); kept && kept->size() == 1) {
    object = std::move(kept->front());
    return success();
  }
  FailureOr<std::string> made = generate(kernel, kernel.getLoc(), target, [&](llvm::Module &module) {
    return emitMachineCode(module, target, /*assembly=*/false);
  });
  if (failed(made))
    return failure();
  store.keep(key, {*made});
  object = std::move(*made);
  return success();
}

LogicalResult compileKernels(ModuleOp module, const CpuTarget &target, const KernelStore &store, StringRef outputSo) {
  prepareContext(*module.getContext());
  std::vector<std::string> objects(llvm::range_size(module.getOps<tile::KernelOp>()));
  if (failed(forEachKernel(module, [&](tile::KernelOp kernel, size_t number) {
        return makeObject(kernel, target, store, objects[number]);
      })))
    return failure();
  std::string error = linkSharedLibrary(SmallVector<StringRef>(objects.begin(), objects.end()), outputSo);
  if (!error.empty())
    return module.emitError("cannot link ") << outputSo << ": " << error;
  return success();
}

FailureOr<std::string> printKernels(ModuleOp module, const CpuTarget &target, CodeText form) {
  prepareContext(*module.getContext());
  SmallVector<tile::KernelOp> kernels = llvm::to_vector(module.getOps<tile::KernelOp>());
  return generate(kernels, module.getLoc(), target, [&](llvm::Module &llvmModule) {
    return form == CodeText::LlvmIr ? printOptimized(llvmModule, target)
                                    : emitMachineCode(llvmModule, target, /*assembly=*/true);
  });
}

} // namespace oriel::codegen
