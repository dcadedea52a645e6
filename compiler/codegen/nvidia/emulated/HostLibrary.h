// The LLVM IR that becomes PTX, as a shared library that runtime/device/cuda/emulated runs without a GPU.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_HOSTLIBRARY_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_HOSTLIBRARY_H

#include "compiler/codegen/cpu/CpuTarget.h"
#include "compiler/codegen/nvidia/emulated/KernelText.h"
#include "llvm/ADT/ArrayRef.h"
#include <memory>
#include <string>

namespace llvm {
class Module;
} // namespace llvm

namespace oriel::codegen::nvidia {

/// Compiles the result of translateToLlvm (which is changed) for `host` into the library `outputSo`. Returns an empty
/// string, or what went wrong: something that the emulator does not know, or a linker that is missing or fails.
/// With `checked`, one for each kernel, kernels announce their accesses (AccessChecks.h), which makes them several
/// times slower.
std::string emitHostLibrary(llvm::Module &module, const CpuTarget &host, const std::string &outputSo,
                            llvm::ArrayRef<CheckedKernel> checked = {});

} // namespace oriel::codegen::nvidia

#endif
