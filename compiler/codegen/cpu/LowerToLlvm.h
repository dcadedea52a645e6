// What the kernels of this folder go through once they are scf, arith and the LLVM dialect. (LowerToLlvm.cpp)
#ifndef ORIEL_COMPILER_CODEGEN_CPU_LOWERTOLLVM_H
#define ORIEL_COMPILER_CODEGEN_CPU_LOWERTOLLVM_H

#include <memory>

#include "compiler/codegen/host/CpuTarget.h"
#include "mlir/IR/BuiltinOps.h"

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace oriel::codegen {

/// Loads every dialect and translation that these need, before they run in parallel.
void prepareContext(mlir::MLIRContext &context);

/// scf and arith on scalars and one-dimensional vectors ⇒ LLVM dialect only.
llvm::LogicalResult lowerToLlvmDialect(mlir::ModuleOp module);

/// LLVM dialect ⇒ LLVM IR with the target's attributes on every function.
std::unique_ptr<llvm::Module> translateToLlvm(mlir::ModuleOp module, const CpuTarget &target,
                                              llvm::LLVMContext &context);

} // namespace oriel::codegen

#endif
