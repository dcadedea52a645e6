// GPU kernels as a library for the host, which runtime/device/cuda/emulated runs: kernels.so of a package for it.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_HOSTLIBRARY_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_HOSTLIBRARY_H

#include "compiler/codegen/host/CpuTarget.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/emulated/KernelText.h"
#include "compiler/codegen/store/KernelStore.h"
#include "llvm/ADT/ArrayRef.h"
#include <string>
#include <vector>

namespace oriel::codegen::nvidia {

struct HostTarget {
  NvidiaTarget gpu; ///< whose code it is
  CpuTarget host;   ///< that runs it
  /// Kernels announce their accesses (AccessChecks.h), which makes them several times slower.
  bool checked = false;
};

/// Compiles every tile.kernel of `module` into the library `outputSo`, side by side, each as an object of its own that is
/// taken from `store` where it is there. What launches need to know, in the order of the kernels. Errors are diagnostics at
/// the kernel, or at the op that has no lowering; at the module if linking fails.
mlir::FailureOr<std::vector<NvidiaKernelInfo>> compileHostLibrary(mlir::ModuleOp module, const HostTarget &target,
                                                                  const KernelStore &store, llvm::StringRef outputSo);

/// The same of the result of translateToLlvm (which is changed), for kernels that were changed on the way. `checked`: one
/// for each kernel, or none. Returns an empty string, or what went wrong: something that the emulator does not know, or a
/// linker that is missing or fails.
std::string emitHostLibrary(llvm::Module &module, const CpuTarget &host, const std::string &outputSo,
                            llvm::ArrayRef<CheckedKernel> checked = {});

} // namespace oriel::codegen::nvidia

#endif
