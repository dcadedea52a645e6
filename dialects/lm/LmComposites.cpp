// Composite ops: verifiers and their decomposition into primitives (what `--oriel-decompose` calls).
#include "dialects/lm/LmOps.h"
#include "dialects/lm/ShapeLaw.h"

#include <cmath>

using namespace mlir;

namespace oriel::lm {

// ---------------------------------------------------------------------------------------------------------------------
// lm.gated_mlp
// ---------------------------------------------------------------------------------------------------------------------

LogicalResult GatedMlpOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.match("x", getX(), "... M")) && succeeded(shapes.match("gate", getGate(), "F M")) &&
                 succeeded(shapes.match("up", getUp(), "F M")) && succeeded(shapes.match("down", getDown(), "M F")) &&
                 succeeded(shapes.sameType("result", getResult(), "x", getX())));
}

SmallVector<Value> GatedMlpOp::decompose(OpBuilder &builder) {
  RankedTensorType type = getX().getType();
  SmallVector<int64_t> wide(type.getShape());
  wide.back() = getGate().getType().getShape()[0];
  RankedTensorType wideType = type.clone(wide);
  Value none;
  Value gate = LinearOp::create(builder, getLoc(), wideType, getX(), getGate(), none);
  Value up = LinearOp::create(builder, getLoc(), wideType, getX(), getUp(), none);
  Value hidden = GatedActivationOp::create(builder, getLoc(), wideType, gate, up, getActivation());
  return {LinearOp::create(builder, getLoc(), type, hidden, getDown(), none)};
}

// ---------------------------------------------------------------------------------------------------------------------
// lm.rattention
// ---------------------------------------------------------------------------------------------------------------------

LogicalResult RAttentionOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(shapes.match("q", getQ(), "B T N D")) || failed(shapes.match("k", getK(), "B T KV D")) ||
      failed(shapes.match("v", getV(), "B T KV E")) || failed(shapes.match("rla_scale", getRlaScale(), "N E")) ||
      failed(shapes.match("swa_scale", getSwaScale(), "N E")) ||
      failed(shapes.match("doc_start", getDocStart(), "B T")) || failed(shapes.match("result", getResult(), "B T N E")))
    return failure();

  shapes.setLaw("C2");
  if (bool(getSwaScale()) != (getWindow() >= 0))
    return shapes.emitError() << "must have 'swa_scale' exactly when window >= 0, and has window = " << getWindow();

  shapes.setLaw("C3");
  if (bool(getQScale()) != bool(getKScale()) || bool(getKTokens()) != bool(getVTokens()) ||
      bool(getQNorm()) != bool(getKNorm()))
    return shapes.emitError() << "has one of a pair: q_scale and k_scale, k_tokens and v_tokens, q_norm and k_norm";
  if (failed(shapes.match("q_scale", getQScale(), "D")) || failed(shapes.match("k_scale", getKScale(), "D")) ||
      failed(shapes.match("k_tokens", getKTokens(), "N J D")) ||
      failed(shapes.match("v_tokens", getVTokens(), "N J E")) || failed(shapes.match("q_norm", getQNorm(), "D")) ||
      failed(shapes.match("k_norm", getKNorm(), "D")))
    return failure();

  if (failed(verifyGroups(*this, "C4", shapes.size("N"), shapes.size("KV"))) ||
      failed(verifyWindow(*this, "C4", getWindow(), /*softCap=*/0)))
    return failure();

  shapes.setLaw("C5");
  double eps = getEps().convertToDouble(), theta = getTheta().convertToDouble();
  if (!(eps > 0) || !(theta >= 0) || !(getSoftCap().convertToDouble() >= 0))
    return shapes.emitError() << "must have eps > 0, theta >= 0 and soft_cap >= 0";
  int64_t rotary = getRotaryDim();
  if (theta > 0 && (rotary < 2 || rotary % 2 != 0 || rotary > shapes.size("D")))
    return shapes.emitError() << "has rotary_dim = " << rotary << ", which must be even and from 2 to "
                              << shapes.size("D");
  return success();
}

namespace {

/// Emits the parts of one lm.rattention.
class RAttentionParts {
public:
  RAttentionParts(OpBuilder &builder, RAttentionOp op)
      : builder_(builder), op_(op), loc_(op.getLoc()),
        recurrentDocs_(op.getLeakDocuments() ? Value() : op.getDocStart()) {}

  Value windowPart() {
    Value q = rotate(normalize(op_.getQ(), op_.getQNorm())), k = rotate(normalize(op_.getK(), op_.getKNorm()));
    RankedTensorType qType = op_.getQ().getType();
    ArrayRef<int64_t> shape = qType.getShape();
    auto lseType = RankedTensorType::get({shape[0], shape[2], shape[1]}, builder_.getF32Type());
    APFloat scale(1.0 / std::sqrt(double(shape[3])));
    return AttentionOp::create(builder_, loc_, op_.getType(), lseType, q, k, op_.getV(), op_.getDocStart(),
                               op_.getWindow(), scale, op_.getSoftCap())
        .getResult();
  }

  Value linearPart() {
    ArrayRef<int64_t> q = op_.getQ().getType().getShape();
    int64_t valueDim = op_.getType().getShape()[3];
    Value initial;
    if (op_.getKTokens())
      initial = LearnedStateOp::create(builder_, loc_, stateType({q[2], 2 * q[3], valueDim}), op_.getKTokens(),
                                       op_.getVTokens(), op_.getFeatureMap());
    Value none;
    return ResidualLinearAttentionOp::create(builder_, loc_, op_.getType(), stateType({q[0], q[2], 2 * q[3], valueDim}),
                                             scaled(op_.getQ(), op_.getQScale()), scaled(op_.getK(), op_.getKScale()),
                                             op_.getV(), initial, recurrentDocs_, none, op_.getWindow(),
                                             op_.getFeatureMap())
        .getResult();
  }

  Value headNorm(Value x, Value scale) {
    return RmsNormOp::create(builder_, loc_, x.getType(), x, scale, op_.getEps(), /*plus_one=*/false);
  }

private:
  // States are f32 whatever the activations are.
  RankedTensorType stateType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder_.getF32Type()); }

  Value normalize(Value x, Value weight) { return weight ? headNorm(x, weight) : x; }

  Value rotate(Value x) {
    if (op_.getTheta().isZero())
      return x;
    return RopeOp::create(builder_, loc_, x.getType(), x, recurrentDocs_, op_.getTheta(), op_.getRopeLayout(),
                          op_.getRotaryDim(), /*inverse=*/false);
  }

  Value scaled(Value x, Value scale) {
    return scale ? ScaleChannelsOp::create(builder_, loc_, x.getType(), x, scale).getResult() : x;
  }

  OpBuilder &builder_;
  RAttentionOp op_;
  Location loc_;
  /// doc_start for what carries over positions; null when documents leak.
  Value recurrentDocs_;
};

} // namespace

SmallVector<Value> RAttentionOp::decompose(OpBuilder &builder) {
  RAttentionParts parts(builder, *this);
  if (getWindow() < 0)
    return {parts.headNorm(parts.linearPart(), getRlaScale())};
  Value window = parts.headNorm(parts.windowPart(), getSwaScale());
  Value linear = parts.headNorm(parts.linearPart(), getRlaScale());
  return {AddOp::create(builder, getLoc(), getType(), window, linear)};
}

} // namespace oriel::lm
