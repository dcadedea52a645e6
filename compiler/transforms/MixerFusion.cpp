#include "compiler/transforms/MixerFusion.h"

using namespace mlir;

namespace oriel::transforms {
namespace {

/// The only norm of `value`; its other users must be gradients.
lm::RmsNormOp onlyNormOf(Value value) {
  lm::RmsNormOp norm;
  for (Operation *user : value.getUsers()) {
    if (user->getName().getStringRef().ends_with("_grad"))
      continue;
    auto found = dyn_cast<lm::RmsNormOp>(user);
    if (!found || norm)
      return {};
    norm = found;
  }
  return norm;
}

bool isPerHead(lm::RmsNormOp norm) { return norm.getWeight().getType().getRank() == 2 && !norm.getPlusOne(); }

/// The gradient of `norm` that the cotangent `dy` (any, when null) flows into.
lm::RmsNormGradOp gradientOf(lm::RmsNormOp norm, Value dy = {}) {
  for (Operation *user : norm.getX().getUsers())
    if (auto grad = dyn_cast<lm::RmsNormGradOp>(user))
      if (grad.getX() == norm.getX() && grad.getWeight() == norm.getWeight() && (!dy || grad.getDy() == dy))
        return grad;
  return {};
}

void fuseGradients(const MixerFusion &fusion, lm::FusedRAttentionOp fused) {
  lm::RmsNormGradOp windowGrad = gradientOf(fusion.windowNorm);
  lm::RmsNormGradOp linearGrad = windowGrad ? gradientOf(fusion.linearNorm, windowGrad.getDy()) : lm::RmsNormGradOp();
  if (!linearGrad)
    return;
  OpBuilder builder(windowGrad->isBeforeInBlock(linearGrad) ? windowGrad : linearGrad);
  auto grad = lm::HeadNormsGradOp::create(
      builder, windowGrad.getLoc(),
      TypeRange{windowGrad.getDx().getType(), linearGrad.getDx().getType(), windowGrad.getDweight().getType(),
                linearGrad.getDweight().getType()},
      fused.getSwa(), fused.getRla(), fused.getSwaScale(), fused.getRlaScale(), windowGrad.getDy(), fused.getEps());
  windowGrad->replaceAllUsesWith(ValueRange{grad.getDswa(), grad.getDswaScale()});
  linearGrad->replaceAllUsesWith(ValueRange{grad.getDrla(), grad.getDrlaScale()});
  windowGrad.erase();
  linearGrad.erase();
}

} // namespace

std::optional<MixerFusion> findFusion(lm::ResidualLinearAttentionOp linear) {
  if (!linear.getFinalState().use_empty() || linear.getLengths() || linear.getWindow() < 0)
    return std::nullopt;
  lm::RmsNormOp linearNorm = onlyNormOf(linear.getResult());
  if (!linearNorm || !isPerHead(linearNorm) || !linearNorm.getResult().hasOneUse())
    return std::nullopt;
  auto sum = dyn_cast<lm::AddOp>(*linearNorm.getResult().user_begin());
  if (!sum)
    return std::nullopt;
  Value other = sum.getLhs() == linearNorm.getResult() ? sum.getRhs() : sum.getLhs();
  auto windowNorm = other.getDefiningOp<lm::RmsNormOp>();
  if (!windowNorm || !isPerHead(windowNorm) || !other.hasOneUse() || windowNorm.getEps() != linearNorm.getEps())
    return std::nullopt;
  auto window = windowNorm.getX().getDefiningOp<lm::AttentionOp>();
  if (!window || onlyNormOf(window.getResult()) != windowNorm || window.getV() != linear.getV() ||
      window.getWindow() != linear.getWindow())
    return std::nullopt;
  bool sameDocuments = window.getDocStart() == linear.getDocStart();
  if (!sameDocuments && linear.getDocStart())
    return std::nullopt;
  return MixerFusion{window, linear, windowNorm, linearNorm, sum};
}

void fuse(const MixerFusion &fusion) {
  lm::AttentionOp window = fusion.window;
  lm::ResidualLinearAttentionOp linear = fusion.linear;
  lm::RmsNormOp windowNorm = fusion.windowNorm, linearNorm = fusion.linearNorm;
  lm::AddOp sum = fusion.sum;
  bool leaks = window.getDocStart() && !linear.getDocStart();
  OpBuilder builder(sum);
  auto fused = lm::FusedRAttentionOp::create(
      builder, linear.getLoc(),
      TypeRange{sum.getType(), window.getResult().getType(), window.getLse().getType(), linear.getResult().getType()},
      window.getQ(), window.getK(), linear.getQ(), linear.getK(), linear.getV(), windowNorm.getWeight(),
      linearNorm.getWeight(), linear.getInitialState(), window.getDocStart(), linear.getWindow(), window.getScale(),
      window.getSoftCap(), linear.getFeatureMap(), windowNorm.getEps(), leaks);
  for (NamedAttribute attribute : linear->getDiscardableAttrs())
    fused->setAttr(attribute.getName(), attribute.getValue());
  fuseGradients(fusion, fused);
  sum.getResult().replaceAllUsesWith(fused.getResult());
  sum.erase();
  windowNorm.erase();
  linearNorm.erase();
  window.getResult().replaceAllUsesWith(fused.getSwa());
  window.getLse().replaceAllUsesWith(fused.getLse());
  linear.getResult().replaceAllUsesWith(fused.getRla());
  window.erase();
  linear.erase();
}

} // namespace oriel::transforms
