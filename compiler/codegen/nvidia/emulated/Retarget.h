// Rewrites LLVM IR made for NVPTX so that the host runs it: calls instead of NVVM intrinsics, host calling convention,
// and for each kernel the entry by which runtime/device/cuda/emulated/KernelObject.h finds and binds it.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_RETARGET_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_RETARGET_H

#include <string>

namespace llvm {
class Module;
} // namespace llvm

namespace oriel::codegen::nvidia {

/// Kernels (functions of the ptx_kernel calling convention) become internal functions that a table names; what they
/// take must be pointers. Functions of the emulator are called through the table of imports, and the address of
/// `oriel_shared` is one of them. Returns an empty string, or what of the module the emulator does not know. The triple
/// and data layout stay NVPTX's: whoever emits code sets them.
std::string retargetToHost(llvm::Module &module);

} // namespace oriel::codegen::nvidia

#endif
