// Lets kernels announce every access to memory before they make it, for the checks of runtime/device/cuda/emulated.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_ACCESSCHECKS_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_ACCESSCHECKS_H

#include "compiler/codegen/nvidia/emulated/KernelText.h"
#include "llvm/ADT/ArrayRef.h"

namespace llvm {
class Module;
} // namespace llvm

namespace oriel::codegen::nvidia {

/// What an instruction does, as the table says it (AccessSites.h, where each is explained).
enum class AccessKind : int32_t {
  SharedLoad,
  SharedStore,
  MatrixLoad,
  ProductRead,
  CopyTarget,
  CopySource,
  GlobalLoad,
  GlobalStore,
  AccumulatorRead,
  Convergence,
  BulkCopy,
  MbarrierInit,
  MbarrierUse
};

/// The function that is called: void (ptr address, i32 bytes, i32 site). retargetToHost binds it. `bytes` is negative
/// for a load whose value is thrown away (by a select, as where a tile reaches over the edge of its buffer).
inline constexpr char announceFunction[] = "orielEmulatedAnnounce";
/// The same for a register: void (float value, i32 site).
inline constexpr char announceAccumulatorFunction[] = "orielEmulatedAnnounceAccumulator";

/// Inserts a call before each load, store, ldmatrix and cp.async of shared or global memory, one for each piece that
/// the GPU moves at once (the alignment of an instruction decides, up to 16 bytes), before each bulk copy and each use
/// of an mbarrier, before each instruction at which the lanes of a warp must be together, and before each that reads what wgmma gives without a wait between: registers
/// in flight are for another wgmma or a wait alone. Adds what says which access is which (CheckEntry of
/// runtime/device/cuda/emulated/AccessSites.h), for each kernel a private global of the name below. `module` is IR for NVPTX, before retargetToHost. Returns an empty
/// string, or which instruction the checks do not know.
std::string announceAccesses(llvm::Module &module, llvm::ArrayRef<CheckedKernel> kernels);

inline std::string checksNameOf(llvm::StringRef kernel) { return ("checks." + kernel).str(); }

} // namespace oriel::codegen::nvidia

#endif
