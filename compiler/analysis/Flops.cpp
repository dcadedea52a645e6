#include "compiler/analysis/Flops.h"

#include "dialects/lm/LmOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace oriel::analysis {

double visiblePairs(int64_t tokens, int64_t window) {
  if (window < 0 || window >= tokens)
    return 0.5 * static_cast<double>(tokens) * static_cast<double>(tokens + 1);
  double ramp = 0.5 * static_cast<double>(window) * static_cast<double>(window + 1); // tokens 0 … window-1
  return ramp + static_cast<double>(tokens - window) * static_cast<double>(window + 1);
}

static double dim(Value value, unsigned i) {
  return static_cast<double>(cast<ShapedType>(value.getType()).getDimSize(i));
}

static double elements(Value value) { return static_cast<double>(cast<ShapedType>(value.getType()).getNumElements()); }

/// x[...,I] times weight[O,I].
static double projectionFlops(Value x, Value weight) { return 2.0 * elements(x) * dim(weight, 0); }

template <typename Op> static double attentionFlops(Op op) {
  double pairs = visiblePairs(static_cast<int64_t>(dim(op.getQ(), 1)), op.getWindow());
  return 2.0 * dim(op.getQ(), 0) * dim(op.getQ(), 2) * pairs * (dim(op.getQ(), 3) + dim(op.getV(), 3));
}

template <typename Op> static double linearAttentionFlops(Op op) {
  double beyond = std::max(0.0, dim(op.getQ(), 1) - static_cast<double>(op.getWindow()) - 1.0);
  double state = 2.0 * dim(op.getQ(), 3) * dim(op.getV(), 3); // [2D, E]
  return 2.0 * state * (dim(op.getK(), 2) + dim(op.getQ(), 2)) * beyond * dim(op.getQ(), 0);
}

/// Without a feature map: states are [D, E], and every token meets its own.
static double plainLinearAttentionFlops(lm::LinearAttentionOp op) {
  double state = dim(op.getQ(), 3) * (dim(op.getV(), 3) + (op.getNormalize() ? 1 : 0));
  return 2.0 * state * (dim(op.getK(), 2) + dim(op.getQ(), 2)) * dim(op.getQ(), 1) * dim(op.getQ(), 0);
}

double forwardFlops(Operation *op) {
  return llvm::TypeSwitch<Operation *, double>(op)
      .Case([](lm::LinearOp linear) { return projectionFlops(linear.getX(), linear.getWeight()); })
      .Case([](lm::CrossEntropyOp loss) { return projectionFlops(loss.getX(), loss.getWeight()); })
      .Case([](lm::AttentionOp attention) { return attentionFlops(attention); })
      .Case([](lm::ResidualLinearAttentionOp rla) { return linearAttentionFlops(rla); })
      .Case([](lm::LinearAttentionOp linear) { return plainLinearAttentionFlops(linear); })
      .Case([](lm::FusedRAttentionOp both) { return attentionFlops(both) + linearAttentionFlops(both); })
      .Default([](Operation *) { return 0.0; });
}

double trainingFlopsPerToken(Operation *function, int64_t batch, int64_t tokens) {
  double forward = 0;
  function->walk([&](Operation *op) { forward += forwardFlops(op); });
  return 3.0 * forward / (static_cast<double>(batch) * static_cast<double>(tokens));
}

} // namespace oriel::analysis
