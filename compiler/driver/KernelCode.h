// The code of a package's kernels: files in a folder, and what the plan must say of each launch. A package is for CPUs,
// for GPUs or for the emulator of GPUs, and has no code for the others.
#ifndef ORIEL_COMPILER_DRIVER_KERNELCODE_H
#define ORIEL_COMPILER_DRIVER_KERNELCODE_H

#include "compiler/codegen/host/CpuTarget.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/conversion/tapeToPlan/BuildPlan.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include <optional>
#include <string>
#include <vector>

namespace oriel::driver {

/// What kernels are compiled for.
struct CodeTarget {
  codegen::CpuTarget host;                             ///< of kernels.so
  std::optional<codegen::nvidia::NvidiaTarget> nvidia; ///< none: for CPUs
  bool emulated = false;                               ///< nvidia: kernels.so for the emulator, in place of code for GPUs
  bool checked = false;                                ///< emulated: kernels.so tells the emulator of every access

  bool hasHostCode() const { return !nvidia || emulated; }
};

/// "cpu", "nvidia:CHIP", "nvidia-emulated:CHIP" or "nvidia-checked:CHIP"; `cpu` is "host", "avx2" or "baseline". An error
/// names the word and what there is.
mlir::FailureOr<CodeTarget> parseTarget(llvm::StringRef target, llvm::StringRef cpu, llvm::raw_ostream &errors);

plan::Target planTarget(const CodeTarget &target);

struct KernelCode {
  llvm::StringMap<conversion::LaunchFacts> launches; ///< by symbol
  std::vector<plan::DeviceCode> deviceCode;          ///< without checksums
};

/// Compiles every tile.kernel of `module` into `folder`: all of them into kernels.so for the host or, for GPUs, each into
/// kernels.N.ptx and (where there is ptxas) kernels.N.cubin. Kernels that were compiled before are taken from the user's
/// store (codegen/store). Writes nothing when there are no kernels. Diagnostics stand at the kernel, or the op, that has no
/// lowering.
mlir::FailureOr<KernelCode> compileKernelCode(mlir::ModuleOp module, const CodeTarget &target,
                                              const std::string &folder);

} // namespace oriel::driver

#endif
