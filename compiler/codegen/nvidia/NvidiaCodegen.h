// tile kernels → NVIDIA GPU code. The same tile programs that run on the CPU; see README.md for how a tile is laid out.
//
// One block of 128 or 256 threads per grid cell, tiles in registers, dots on tensor cores (mma.sync; wgmma for bf16 on
// sm_90a) with bf16 or tf32 operands and f32 accumulators, copies of loops ahead by cp.async, or by TMA where wgmma reads
// them.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_NVIDIACODEGEN_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_NVIDIACODEGEN_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace oriel::tile {
class KernelOp;
}
namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace oriel::codegen::nvidia {

struct NvidiaTarget {
  std::string chip = "sm_80";
  std::string features = "+ptx80";  ///< picked per chip: a PTX version that does not know the chip aborts LLVM
  int64_t sharedBytes = 163 * 1024; ///< most dynamic shared memory of one block
  bool hasWgmma = false;            ///< products of warpgroups, of which sm_100a has no more

  static NvidiaTarget sm80() { return {}; }                                      // A100
  static NvidiaTarget sm90a() { return {"sm_90a", "+ptx80", 227 * 1024, true}; } // H100, H200
  static NvidiaTarget sm100a() { return {"sm_100a", "+ptx86", 227 * 1024}; }     // B200
  /// Whether tiles for NvidiaLarge (kernels/common/KernelSpec.h) have room.
  bool hasLargeBlocks() const { return sharedBytes >= 227 * 1024; }
  /// "sm_80", "sm_90a" or "sm_100a"; nothing for any other name.
  static std::optional<NvidiaTarget> byChip(llvm::StringRef chip);
  static llvm::ArrayRef<NvidiaTarget> all();
};

/// Everything about a target, in words.
std::string describe(const NvidiaTarget &target);

/// A view of a buffer that a kernel takes as a further argument: what TMA copies boxes from. Dimensions are innermost
/// first.
struct NvidiaTensorMap {
  int64_t buffer = 0;                     ///< which of the kernel's
  int64_t elementBits = 16;               ///< 16: bf16; 32: f32
  llvm::SmallVector<int64_t, 5> sizes;    ///< elements; what lies beyond reads as zero
  llvm::SmallVector<int64_t, 4> strides;  ///< bytes, of all dimensions but the innermost
  llvm::SmallVector<int64_t, 5> box;      ///< elements of one copy
  int64_t swizzleBytes = 0;               ///< of a box's rows in shared memory

  bool operator==(const NvidiaTensorMap &) const = default;
};

/// What a launch needs to know about one kernel.
struct NvidiaKernelInfo {
  std::string symbol;
  int64_t grid[3];
  int64_t threads; ///< of one block, along x
  int64_t sharedBytes;
  int64_t stages = 1; ///< iterations of a loop whose tiles are in shared memory at one time; 1: no copy runs ahead
  int64_t tileRegisters = 0;  ///< most that hold tiles at one time, of a thread; the assembler adds its own
  double warpgroupShare = 0; ///< of the arithmetic of products in the text of the kernel: what is wgmma
  llvm::SmallVector<NvidiaTensorMap, 0> tensorMaps = {}; ///< arguments behind the buffers, each of 128 bytes by value
};

/// Loads all that the functions below use of a context. They do so themselves; whoever calls them from several threads at
/// once does it before.
void prepareContext(mlir::MLIRContext &context);

/// How `kernel` would be lowered, without doing it: milliseconds. Errors as of lowerToNvvm.
mlir::FailureOr<NvidiaKernelInfo> planKernel(tile::KernelOp kernel, const NvidiaTarget &target);

/// Lowers every tile.kernel of `module` to an llvm.func with the nvvm.kernel attribute: one generic pointer per buffer,
/// then the tensor maps, dynamic shared memory in the external global `oriel_shared`. `module` is left as it is. Errors
/// (a tile that does not fit in shared memory, an element type that has no lowering) are diagnostics at the op.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> lowerToNvvm(mlir::ModuleOp module, const NvidiaTarget &target,
                                                               llvm::SmallVectorImpl<NvidiaKernelInfo> &kernels);

/// Translates the result of lowerToNvvm to optimised LLVM IR for the NVPTX target: the IR that PTX is printed from, and
/// that the emulator runs.
std::unique_ptr<llvm::Module> translateToLlvm(mlir::ModuleOp nvvm, const NvidiaTarget &target,
                                              llvm::LLVMContext &context);

/// Prints PTX; empty on failure, with the reason in `error`.
std::string emitPtx(llvm::Module &module, const NvidiaTarget &target, std::string &error);

} // namespace oriel::codegen::nvidia

#endif
