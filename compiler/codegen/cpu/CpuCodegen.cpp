// Drives the stages.
#include "compiler/codegen/cpu/CpuCodegen.h"

#include "compiler/codegen/cpu/Lowering.h"
#include "compiler/codegen/cpu/Stages.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

using namespace mlir;

namespace oriel::codegen {

FailureOr<KernelInfo> describeKernel(tile::KernelOp kernel) {
  ArrayRef<int64_t> grid = kernel.getGrid();
  return KernelInfo{kernel.getSymName().str(), {grid[0], grid[1], grid[2]}, ScratchPlan::compute(kernel).bytes()};
}

/// A new module with one function per kernel.
static FailureOr<OwningOpRef<ModuleOp>> lowerKernels(ModuleOp module, const CpuTarget &target) {
  module.getContext()->loadDialect<LLVM::LLVMDialect>();
  OwningOpRef<ModuleOp> lowered(ModuleOp::create(module.getLoc()));
  OpBuilder builder(module.getContext());
  builder.setInsertionPointToEnd(lowered->getBody());
  WalkResult result = module.walk([&](tile::KernelOp kernel) {
    return failed(lowerKernel(kernel, ScratchPlan::compute(kernel), target, builder)) ? WalkResult::interrupt()
                                                                                      : WalkResult::skip();
  });
  if (result.wasInterrupted())
    return failure();
  return lowered;
}

/// Machine code or assembly of all kernels.
static FailureOr<std::string> generate(ModuleOp module, const CpuTarget &target, bool assembly) {
  auto lowered = lowerKernels(module, target);
  if (failed(lowered) || failed(lowerToLlvmDialect(**lowered)))
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule = translateToLlvm(**lowered, target, context);
  if (!llvmModule)
    return failure();
  std::string code = emitMachineCode(*llvmModule, target, assembly);
  if (code.empty())
    return module.emitError("this LLVM cannot generate x86-64 code");
  return code;
}

LogicalResult compileKernels(ModuleOp module, const CpuTarget &target, StringRef outputSo) {
  FailureOr<std::string> object = generate(module, target, /*assembly=*/false);
  if (failed(object))
    return failure();
  std::string error = linkSharedLibrary(*object, outputSo);
  if (!error.empty())
    return module.emitError("cannot link ") << outputSo << ": " << error;
  return success();
}

FailureOr<std::string> printStage(ModuleOp module, const CpuTarget &target, StringRef stage) {
  if (stage == "asm")
    return generate(module, target, /*assembly=*/true);
  auto lowered = lowerKernels(module, target);
  if (failed(lowered) || (stage == "llvm" && failed(lowerToLlvmDialect(**lowered))))
    return failure();
  std::string text;
  llvm::raw_string_ostream stream(text);
  (*lowered)->print(stream);
  return text;
}

} // namespace oriel::codegen
