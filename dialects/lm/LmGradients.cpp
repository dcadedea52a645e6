// Vector-Jacobian products of the primitives (DifferentiableOpInterface): which gradient ops stand for which forward
// op. The formulas are in LmGradientOps.td. A gradient op carries the location of its forward op, and with it the layer
// path.
#include "dialects/lm/LmOps.h"

using namespace mlir;

namespace oriel::lm {

bool isGradientOf(Operation *gradient, Operation *forward) {
  if (gradient->getName().getStringRef() != (forward->getName().getStringRef() + "_grad").str())
    return false;
  auto operands = gradient->getOperands();
  auto at = operands.begin();
  for (Value operand : forward->getOperands()) {
    at = std::find(at, operands.end(), operand);
    if (at == operands.end())
      return false;
    ++at;
  }
  return llvm::all_of(forward->getAttrs(), [&](NamedAttribute attribute) {
    bool isOwn = !attribute.getName().strref().contains('.') && attribute.getName() != "operandSegmentSizes";
    Attribute other = isOwn ? gradient->getAttr(attribute.getName()) : Attribute();
    return !other || other == attribute.getValue();
  });
}

SmallVector<Value> EmbedOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  if (!needed[0])
    return {Value(), Value()};
  Value dTable =
      EmbedGradOp::create(builder, getLoc(), getTable().getType(), cotangents[0], getTokens(), getScaleAttr());
  return {dTable, Value()};
}

SmallVector<Value> LinearOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  Value dy = cotangents[0];
  SmallVector<Value> grads(getNumOperands());
  if (needed[0])
    grads[0] = MatmulOp::create(builder, getLoc(), getX().getType(), dy, getWeight(), /*transpose_a=*/false,
                                /*transpose_b=*/false);
  if (needed[1])
    grads[1] = MatmulOp::create(builder, getLoc(), getWeight().getType(), dy, getX(), /*transpose_a=*/true,
                                /*transpose_b=*/false);
  if (getBias() && needed[2])
    grads[2] = SumRowsOp::create(builder, getLoc(), getBias().getType(), dy);
  return grads;
}

SmallVector<Value> ReshapeOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  return {ReshapeOp::create(builder, getLoc(), getX().getType(), cotangents[0])};
}

SmallVector<Value> AddOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  return {cotangents[0], cotangents[0]};
}

SmallVector<Value> ScaleChannelsOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  auto grad = ScaleChannelsGradOp::create(builder, getLoc(), getX().getType(), getScale().getType(), getX(), getScale(),
                                          cotangents[0]);
  return {grad.getDx(), grad.getDscale()};
}

SmallVector<Value> RmsNormOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  auto grad = RmsNormGradOp::create(builder, getLoc(), getX().getType(), getWeight().getType(), /*normed=*/Type(),
                                    getX(), getWeight(), cotangents[0], /*residual=*/Value(), getEps(), getPlusOne());
  return {grad.getDx(), grad.getDweight()};
}

SmallVector<Value> RopeOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  // A rotation's transpose is the rotation the other way.
  Value dx = RopeOp::create(builder, getLoc(), getX().getType(), cotangents[0], getDocStart(), getTheta(), getLayout(),
                            getRotaryDim(), !getInverse());
  SmallVector<Value> grads(getNumOperands());
  grads[0] = dx;
  return grads;
}

SmallVector<Value> GatedActivationOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  auto grad = GatedActivationGradOp::create(builder, getLoc(), getType(), getType(), /*gated=*/Type(), getGate(),
                                            getUp(), cotangents[0], getActivation());
  return {grad.getDgate(), grad.getDup()};
}

SmallVector<Value> AttentionOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  SmallVector<Value> grads(getNumOperands());
  if (cotangents[1]) {
    emitOpError("has no gradient through 'lse'; only 'result' may lead to a differentiated value");
    return {};
  }
  auto grad = AttentionGradOp::create(builder, getLoc(), getQ().getType(), getK().getType(), getV().getType(), getQ(),
                                      getK(), getV(), getResult(), getLse(), cotangents[0], getDocStart(), getWindow(),
                                      getScale(), getSoftCap());
  grads[0] = grad.getDq();
  grads[1] = grad.getDk();
  grads[2] = grad.getDv();
  return grads;
}

SmallVector<Value> ResidualLinearAttentionOp::buildVjp(OpBuilder &builder, ValueRange cotangents,
                                                       ArrayRef<bool> needed) {
  SmallVector<Value> grads(getNumOperands());
  if (getLengths()) {
    emitOpError("has no gradient with 'lengths', which is for prefill only");
    return {};
  }
  if (!cotangents[0]) {
    emitOpError("has no gradient through 'final_state' alone; 'result' must lead to a differentiated value too");
    return {};
  }
  Value initial = getInitialState();
  auto grad = ResidualLinearAttentionGradOp::create(
      builder, getLoc(), getQ().getType(), getK().getType(), getV().getType(), initial ? initial.getType() : Type(),
      getQ(), getK(), getV(), cotangents[0], initial, cotangents[1], getDocStart(), getWindow(), getFeatureMap());
  grads[0] = grad.getDq();
  grads[1] = grad.getDk();
  grads[2] = grad.getDv();
  if (initial)
    grads[3] = grad.getDinitialState();
  return grads;
}

SmallVector<Value> LearnedStateOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  auto grad = LearnedStateGradOp::create(builder, getLoc(), getKTokens().getType(), getVTokens().getType(),
                                         getKTokens(), getVTokens(), cotangents[0], getFeatureMap());
  return {grad.getDkTokens(), grad.getDvTokens()};
}

SmallVector<Value> CrossEntropyOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  auto grad =
      CrossEntropyGradOp::create(builder, getLoc(), getLoss().getType(), getX().getType(), getWeight().getType(),
                                 getX(), getWeight(), getTargets(), cotangents[0], getSoftCapAttr());
  return {grad.getDx(), grad.getDweight(), Value()};
}

} // namespace oriel::lm
