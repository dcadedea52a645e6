// The steps behind compileKernels, one file each. The last two also make host code of GPU kernels
// (codegen/nvidia/emulated).
#ifndef ORIEL_COMPILER_CODEGEN_CPU_STAGES_H
#define ORIEL_COMPILER_CODEGEN_CPU_STAGES_H

#include <memory>

#include "compiler/codegen/cpu/CpuTarget.h"
#include "mlir/IR/BuiltinOps.h"

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace oriel::codegen {

/// Loads every dialect and translation that the stages use, before they run in parallel. (EmitObject.cpp)
void prepareContext(mlir::MLIRContext &context);

/// scf and arith on scalars and one-dimensional vectors ⇒ LLVM dialect only. (LowerToLlvm.cpp)
llvm::LogicalResult lowerToLlvmDialect(mlir::ModuleOp module);

/// LLVM dialect ⇒ LLVM IR with the target's attributes on every function. (EmitObject.cpp)
std::unique_ptr<llvm::Module> translateToLlvm(mlir::ModuleOp module, const CpuTarget &target,
                                              llvm::LLVMContext &context);

/// Gives every function the CPU and the extensions it is compiled for. (EmitObject.cpp)
void setTargetAttributes(llvm::Module &module, const CpuTarget &target);

/// Optimises (no vectoriser: the code is vectors already) and emits machine code, or assembly text. (EmitObject.cpp)
/// Empty result: no such target.
std::string emitMachineCode(llvm::Module &module, const CpuTarget &target, bool assembly);
/// Optimises as emitMachineCode does and prints the IR.
std::string printOptimized(llvm::Module &module, const CpuTarget &target);

/// Links objects into a shared library with no undefined symbols; the error text on failure. (Link.cpp)
std::string linkSharedLibrary(llvm::ArrayRef<llvm::StringRef> objects, llvm::StringRef outputSo);

} // namespace oriel::codegen

#endif
