// From one tile kernel to its machine code for a GPU: PTX and, where there is ptxas, a cubin. A kernel is compiled and
// assembled once (store/KernelStore.h), whether schedules are chosen by what it takes or a package gets it.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_DEVICECODE_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_DEVICECODE_H

#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/Ptxas.h"
#include "compiler/codegen/store/KernelStore.h"

namespace oriel::codegen::nvidia {

struct DeviceCode {
  std::string function;      ///< what the kernel is called in the code
  std::string ptx, cubin;    ///< cubin: empty without ptxas
  KernelResources resources; ///< without ptxas no more than instructions
};

/// Thread safe, once prepareContext has seen the kernels' context.
class DeviceCompiler {
public:
  /// The store outlives it.
  DeviceCompiler(const NvidiaTarget &target, const KernelStore &store)
      : target_(target), store_(store), ptxas_(Ptxas::find()) {}

  const NvidiaTarget &target() const { return target_; }
  const Ptxas &ptxas() const { return ptxas_; }

  /// Kernels of one key have the same code.
  std::string keyOf(tile::KernelOp kernel) const;
  /// Errors are diagnostics at the kernel, or at the op that has no lowering.
  mlir::FailureOr<DeviceCode> compile(tile::KernelOp kernel) const;

private:
  NvidiaTarget target_;
  const KernelStore &store_;
  Ptxas ptxas_;
};

} // namespace oriel::codegen::nvidia

#endif
