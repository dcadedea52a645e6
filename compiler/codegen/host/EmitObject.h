// LLVM IR ⇒ code for a CPU. (EmitObject.cpp)
#ifndef ORIEL_COMPILER_CODEGEN_HOST_EMITOBJECT_H
#define ORIEL_COMPILER_CODEGEN_HOST_EMITOBJECT_H

#include "compiler/codegen/host/CpuTarget.h"
#include <string>

namespace llvm {
class Module;
} // namespace llvm

namespace oriel::codegen {

/// Gives every function the CPU and the extensions it is compiled for.
void setTargetAttributes(llvm::Module &module, const CpuTarget &target);

/// Optimises (no vectoriser: the code is vectors already) and emits machine code, or assembly text. Empty result: no such
/// target.
std::string emitMachineCode(llvm::Module &module, const CpuTarget &target, bool assembly);
/// Optimises as emitMachineCode does and prints the IR.
std::string printOptimized(llvm::Module &module, const CpuTarget &target);

} // namespace oriel::codegen

#endif
