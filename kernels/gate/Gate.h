// Gated activation `y = act(gate) ∘ up` and its gradient.
#ifndef ORIEL_KERNELS_GATE_GATE_H
#define ORIEL_KERNELS_GATE_GATE_H

#include "kernels/common/KernelSpec.h"

namespace oriel::kernels {

enum class GateActivation {
  Silu, // x · sigmoid(x)
  Gelu  // tanh approximation: x/2 · (1 + tanh(sqrt(2/pi) · (x + 0.044715 x³)))
};

///   forward    gate [elements], up [elements]                   →  y [elements]
///   backward   gate [elements], up [elements], dy [elements]    →  dgate [elements], dup [elements] [, y [elements]]
/// The backward gives y with `remake`: the product with it then needs nothing kept since the forward. Every output may
/// replace any input.
struct GateSpec {
  int64_t elements = 0;
  GateActivation activation = GateActivation::Silu;
  bool remake = false; // backward only
};
std::string symbol(const GateSpec &spec, bool backward);
tile::KernelOp buildGate(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const GateSpec &spec);
tile::KernelOp buildGateGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const GateSpec &spec);

} // namespace oriel::kernels

#endif
