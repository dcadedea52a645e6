// Verifiers of norms, rotary positions and gates, of their gradients and fused forms. Laws are stated in LmOps.td.
#include "dialects/lm/LmOps.h"
#include "dialects/lm/ShapeLaw.h"

using namespace mlir;

namespace oriel::lm {
namespace {

/// (C1) and (C2) of rms_norm and of its gradient.
LogicalResult verifyNorm(Operation *op, TypedValue<RankedTensorType> x, TypedValue<RankedTensorType> weight,
                         double eps) {
  bool perHead = weight.getType().getRank() == 2;
  ShapeLaw shapes(op, "C1");
  if (failed(shapes.match("x", x, perHead ? "... N D" : "... D")) ||
      failed(shapes.match("weight", weight, perHead ? "N D" : "D")))
    return failure();
  if (!(eps > 0))
    return op->emitOpError() << "(C2) has eps = " << eps << ", which must be positive";
  return success();
}

} // namespace

LogicalResult RmsNormOp::verify() {
  if (failed(verifyNorm(*this, getX(), getWeight(), getEps().convertToDouble())))
    return failure();
  return ShapeLaw(*this, "C1").sameType("result", getResult(), "x", getX());
}

LogicalResult RmsNormGradOp::verify() {
  if (failed(verifyNorm(*this, getX(), getWeight(), getEps().convertToDouble())))
    return failure();
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.sameType("dy", getDy(), "x", getX())) &&
                 succeeded(shapes.sameType("residual", getResidual(), "x", getX())) &&
                 succeeded(shapes.sameType("dx", getDx(), "x", getX())) &&
                 succeeded(shapes.sameType("normed", getNormed(), "x", getX())) &&
                 succeeded(shapes.sameType("dweight", getDweight(), "weight", getWeight())));
}

LogicalResult AddRmsNormOp::verify() {
  if (failed(verifyNorm(*this, getLhs(), getWeight(), getEps().convertToDouble())))
    return failure();
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.sameType("rhs", getRhs(), "lhs", getLhs())) &&
                 succeeded(shapes.sameType("sum", getSum(), "lhs", getLhs())) &&
                 succeeded(shapes.sameType("result", getResult(), "lhs", getLhs())));
}

LogicalResult RopeOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(shapes.match("x", getX(), "B T N D")) || failed(shapes.match("doc_start", getDocStart(), "B T")) ||
      failed(shapes.sameType("result", getResult(), "x", getX())))
    return failure();
  int64_t rotary = getRotaryDim();
  if (rotary < 2 || rotary % 2 != 0 || rotary > shapes.size("D"))
    return emitOpError("(C2) has rotary_dim = ") << rotary << ", which must be even and from 2 to " << shapes.size("D");
  if (!(getTheta().convertToDouble() > 0))
    return emitOpError("(C2) has theta = ") << getTheta().convertToDouble() << ", which must be positive";
  return success();
}

LogicalResult GatedActivationOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.sameType("up", getUp(), "gate", getGate())) &&
                 succeeded(shapes.sameType("result", getResult(), "gate", getGate())));
}

LogicalResult GatedActivationGradOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.sameType("up", getUp(), "gate", getGate())) &&
                 succeeded(shapes.sameType("dy", getDy(), "gate", getGate())) &&
                 succeeded(shapes.sameType("dgate", getDgate(), "gate", getGate())) &&
                 succeeded(shapes.sameType("dup", getDup(), "gate", getGate())) &&
                 succeeded(shapes.sameType("gated", getGated(), "gate", getGate())));
}

} // namespace oriel::lm
