// Rewrites LLVM IR made for NVPTX so that the host runs it: calls instead of NVVM intrinsics, host calling convention.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATOR_RETARGET_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATOR_RETARGET_H

#include <string>

namespace llvm {
class DataLayout;
class Module;
class Triple;
} // namespace llvm

namespace oriel::codegen::nvidia {

/// For each kernel `k` also adds `k.emulated(ptr args)`, which loads its pointers from an array. Returns an empty string, or the name of
/// an intrinsic that the emulator does not know.
std::string retargetToHost(llvm::Module &module, const llvm::Triple &triple, const llvm::DataLayout &layout);

} // namespace oriel::codegen::nvidia

#endif
