// Tile kernels → one shared library. The door of this folder: everything else here is private to it.
//
//   tile.kernel ─ScratchPlan, Lower*─▶ scf, arith, LLVM dialect ─LowerToLlvm─▶ LLVM IR ─host/EmitObject─▶ .o ─host/Link─▶
//   .so
//
// Every kernel becomes an object of its own: they are compiled side by side, and each once (store/KernelStore.h).
#ifndef ORIEL_COMPILER_CODEGEN_CPU_CPUCODEGEN_H
#define ORIEL_COMPILER_CODEGEN_CPU_CPUCODEGEN_H

#include "compiler/codegen/host/CpuTarget.h"
#include "compiler/codegen/store/KernelStore.h"
#include "dialects/tile/TileOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace oriel::codegen {

/// What the runtime must know to launch a kernel.
struct KernelInfo {
  std::string symbol;
  std::array<int64_t, 3> grid;
  int64_t scratchBytes; // private to each running cell, 64-byte aligned
};

/// The launch facts of one kernel; fails with a diagnostic if the kernel is malformed.
llvm::FailureOr<KernelInfo> describeKernel(tile::KernelOp kernel);

/// Compiles every tile.kernel of `module` into the shared library `outputSo`. Each becomes a symbol of its name:
///   void symbol(void *const *args, int64_t x, int64_t y, int64_t z, void *scratch)
/// The library depends on nothing, holds no state, and its kernels are reentrant. `module` is not changed. Objects that
/// are in `store` are taken from there; the library's bytes are the same either way.
/// Fails with a diagnostic at the op that cannot be lowered, or at the module if linking fails.
llvm::LogicalResult compileKernels(mlir::ModuleOp module, const CpuTarget &target, const KernelStore &store,
                                   llvm::StringRef outputSo);

/// The code of every kernel of `module` as text, for people: LLVM's IR as its optimiser leaves it, or assembly.
enum class CodeText { LlvmIr, Assembly };
llvm::FailureOr<std::string> printKernels(mlir::ModuleOp module, const CpuTarget &target, CodeText form);

} // namespace oriel::codegen

#endif
