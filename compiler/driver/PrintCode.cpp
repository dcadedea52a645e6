#include "compiler/driver/PrintCode.h"

#include "compiler/codegen/cpu/CpuCodegen.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

using namespace mlir;

namespace oriel::driver {

static LogicalResult printForCpu(ModuleOp module, const codegen::CpuTarget &target, bool assembly,
                                 llvm::raw_ostream &out) {
  auto form = assembly ? codegen::CodeText::Assembly : codegen::CodeText::LlvmIr;
  FailureOr<std::string> text = codegen::printKernels(module, target, form);
  if (failed(text))
    return failure();
  out << *text;
  return success();
}

static LogicalResult printForNvidia(ModuleOp module, const codegen::nvidia::NvidiaTarget &target, bool assembly,
                                    llvm::raw_ostream &out) {
  SmallVector<codegen::nvidia::NvidiaKernelInfo> infos;
  auto lowered = codegen::nvidia::lowerToNvvm(module, target, infos);
  if (failed(lowered))
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule = codegen::nvidia::translateToLlvm(**lowered, target, context);
  if (!llvmModule)
    return failure();
  if (!assembly) {
    out << *llvmModule;
    return success();
  }
  std::string error, ptx = codegen::nvidia::emitPtx(*llvmModule, target, error);
  if (!error.empty())
    return module.emitError("cannot generate code for ") << target.chip << ": " << error;
  out << ptx;
  return success();
}

LogicalResult printKernelCode(ModuleOp module, const CodeTarget &target, bool assembly, llvm::raw_ostream &out) {
  return target.nvidia ? printForNvidia(module, *target.nvidia, assembly, out)
                       : printForCpu(module, target.host, assembly, out);
}

} // namespace oriel::driver
