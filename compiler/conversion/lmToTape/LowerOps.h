// How each primitive and gradient lm op becomes steps of a tape program. One function per family, in the file of its
// name.
//
// An op that a family does not know is left for the next one: `NotMine`. The argument orders of kernels are in
// kernels/*/*.h.
#ifndef ORIEL_COMPILER_CONVERSION_LMTOTAPE_LOWEROPS_H
#define ORIEL_COMPILER_CONVERSION_LMTOTAPE_LOWEROPS_H

#include "compiler/conversion/lmToTape/TapeBuilder.h"
#include "kernels/common/KernelSpec.h"
#include "mlir/IR/IRMapping.h"
#include <map>
#include <tuple>

namespace oriel::conversion {

/// Cores of a device that nobody described.
constexpr int64_t defaultCores = 2;

/// What a lowering knows while it walks one function.
struct Lowering {
  Lowering(tape::ProgramOp program, KernelSet &kernels, kernels::TileTarget tiles)
      : tape(program, kernels), tiles(tiles) {}

  TapeBuilder tape;
  kernels::TileTarget tiles;
  mlir::IRMapping values; // lm value → tape value
  /// Saved states of the recurrent mixers that ran, in order. See SavedStates.h.
  struct SavedStates {
    mlir::Operation *forward;
    mlir::Value states;
    int64_t chunk, saveEvery;
  };
  llvm::SmallVector<SavedStates> savedStates;
  /// Row sums of do∘o of attention, [B,N,T], by the cotangent do (a value of lm), where the kernel that made do left
  /// them.
  llvm::DenseMap<mlir::Value, mlir::Value> deltas;
  /// Tables of rotary positions [tokens, rotary/2] by tokens, rotary and theta: layers share them.
  struct RopeAngles {
    mlir::Value cos, sin;
  };
  std::map<std::tuple<int64_t, int64_t, double>, RopeAngles> ropeAngles;
  int64_t cores = defaultCores; // of the device that the schedule was made for (module attribute tape.cores)

  mlir::Value get(mlir::Value lmValue) { return values.lookup(lmValue); }
  void set(mlir::Value lmValue, mlir::Value tapeValue) { values.map(lmValue, tapeValue); }
};

enum class Lowered { Done, NotMine, Failed };

Lowered lowerProjection(Lowering &lowering, mlir::Operation *op); // linear, matmul, sum_rows, reshape, add, constants
Lowered lowerPointwise(Lowering &lowering,
                       mlir::Operation *op); // embed, rms_norm, rope, scale_channels, gated_activation
Lowered lowerMixer(Lowering &lowering,
                   mlir::Operation *op); // attention, residual_linear_attention, learned_state, fused
Lowered lowerLinearAttention(Lowering &lowering, mlir::Operation *op);
Lowered lowerLoss(Lowering &lowering, mlir::Operation *op); // cross_entropy, logits

/// Product of all sizes but the last `trailing` ones.
int64_t leadingRows(mlir::Value value, unsigned trailing = 1);
int64_t dimOf(mlir::Value value, unsigned i);
int64_t elementsOf(mlir::Value value);

/// Sizes of a mixer's kernel from q [B,T,N,D], k [B,T,KV,D], v [B,T,KV,E] of its op or gradient op.
template <typename Spec, typename Op> void setHeadSizes(Spec &spec, Op op) {
  spec.batch = dimOf(op.getQ(), 0);
  spec.tokens = dimOf(op.getQ(), 1);
  spec.heads = dimOf(op.getQ(), 2);
  spec.headDim = dimOf(op.getQ(), 3);
  spec.kvHeads = dimOf(op.getK(), 2);
  spec.valueDim = dimOf(op.getV(), 3);
}

/// `sum over parts` of partials [parts, width…] with buildSumPartials, as a value of `type`.
mlir::Value sumPartials(Lowering &lowering, mlir::Value partials, int64_t parts, mlir::Type type);

} // namespace oriel::conversion

#endif
