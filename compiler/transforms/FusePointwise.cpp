// --oriel-fuse-pointwise: memory-bound ops ⇒ their fused forms (dialects/lm/LmFusedOps.td). Each rewrite below says
// when it may not be done.
#include "compiler/transforms/Passes.h"
#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace oriel::transforms {
#define GEN_PASS_DEF_FUSEPOINTWISEPASS
#include "compiler/transforms/Passes.h.inc"

namespace {

// ---------------------------------------------------------------------------------------------------------------------
// What only weight gradients read in the backward is made again
// ---------------------------------------------------------------------------------------------------------------------

/// The forward op that `grad` differentiates, or null.
Operation *forwardOf(lm::RmsNormGradOp grad) {
  for (Operation *user : grad.getX().getUsers())
    if (auto norm = dyn_cast<lm::RmsNormOp>(user);
        norm && norm.getX() == grad.getX() && norm.getWeight() == grad.getWeight() && norm.getEps() == grad.getEps() &&
        norm.getPlusOne() == grad.getPlusOne())
      return norm;
  return nullptr;
}

Operation *forwardOf(lm::GatedActivationGradOp grad) {
  for (Operation *user : grad.getGate().getUsers())
    if (auto gate = dyn_cast<lm::GatedActivationOp>(user); gate && gate.getGate() == grad.getGate() &&
                                                           gate.getUp() == grad.getUp() &&
                                                           gate.getActivation() == grad.getActivation())
      return gate;
  return nullptr;
}

/// The same gradient with one more result: what the forward op gave.
Value addRemadeResult(lm::RmsNormGradOp grad) {
  OpBuilder b(grad);
  auto fused = lm::RmsNormGradOp::create(b, grad.getLoc(), grad.getDx().getType(), grad.getDweight().getType(),
                                         grad.getX().getType(), grad.getX(), grad.getWeight(), grad.getDy(),
                                         grad.getResidual(), grad.getEps(), grad.getPlusOne());
  grad->replaceAllUsesWith(fused->getResults().take_front(2));
  grad->erase();
  return fused.getNormed();
}

Value addRemadeResult(lm::GatedActivationGradOp grad) {
  OpBuilder b(grad);
  auto fused = lm::GatedActivationGradOp::create(b, grad.getLoc(), grad.getDgate().getType(), grad.getDup().getType(),
                                                 grad.getGate().getType(), grad.getGate(), grad.getUp(), grad.getDy(),
                                                 grad.getActivation());
  grad->replaceAllUsesWith(fused->getResults().take_front(2));
  grad->erase();
  return fused.getGated();
}

/// The uses of the forward value in the backward, if all are products that may wait until `gradient` has run.
SmallVector<OpOperand *> movableUses(Value value, Operation *firstGradient, Operation *gradient) {
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (user != firstGradient && user->isBeforeInBlock(firstGradient))
      continue;
    auto readsTooEarly = [&](Operation *reader) { return reader == gradient || reader->isBeforeInBlock(gradient); };
    if (!isa<lm::MatmulOp>(user) || (user->isBeforeInBlock(gradient) && llvm::any_of(user->getUsers(), readsTooEarly)))
      return {};
    uses.push_back(&use);
  }
  llvm::sort(uses, [](OpOperand *a, OpOperand *b) { return a->getOwner()->isBeforeInBlock(b->getOwner()); });
  return uses;
}

template <typename GradOp> void remakeBesideGradient(GradOp grad, Operation *firstGradient) {
  Operation *forward = forwardOf(grad);
  if (!forward || !forward->isBeforeInBlock(firstGradient) || grad->getNumResults() == 3)
    return;
  SmallVector<OpOperand *> uses = movableUses(forward->getResult(0), firstGradient, grad);
  if (uses.empty())
    return;
  Value remade = addRemadeResult(grad);
  Operation *place = remade.getDefiningOp();
  for (OpOperand *use : uses) {
    use->set(remade);
    if (use->getOwner()->isBeforeInBlock(remade.getDefiningOp())) {
      use->getOwner()->moveAfter(place);
      place = use->getOwner();
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Sums
// ---------------------------------------------------------------------------------------------------------------------

/// A product that nothing else reads is added onto the other summand in place; that is better still.
bool isLoneProduct(Value value) { return value.getDefiningOp<lm::MatmulOp>() && value.hasOneUse(); }

/// dx + past ⇒ the gradient of the norm adds `past` itself. Not when `past` is made later than the gradient.
void addResidualInGradient(lm::AddOp sum) {
  for (auto [dx, past] : {std::pair(sum.getLhs(), sum.getRhs()), std::pair(sum.getRhs(), sum.getLhs())}) {
    auto grad = dx.getDefiningOp<lm::RmsNormGradOp>();
    if (!grad || dx != grad.getDx() || !dx.hasOneUse() || grad.getResidual() || isLoneProduct(past))
      continue;
    Operation *maker = past.getDefiningOp();
    if (maker && !maker->isBeforeInBlock(grad))
      continue;
    grad.getResidualMutable().assign(past);
    sum.replaceAllUsesWith(grad.getDx());
    sum.erase();
    return;
  }
}

/// A sum and the first norm that reads it. Not when a summand is a product that is added in place.
void normaliseInSum(lm::AddOp sum) {
  lm::RmsNormOp norm;
  for (Operation *user : sum.getResult().getUsers())
    if (auto candidate = dyn_cast<lm::RmsNormOp>(user); candidate && (!norm || candidate->isBeforeInBlock(norm)))
      norm = candidate;
  if (!norm || isLoneProduct(sum.getLhs()) || isLoneProduct(sum.getRhs()))
    return;
  if (Operation *maker = norm.getWeight().getDefiningOp(); maker && !maker->isBeforeInBlock(sum))
    return;
  OpBuilder b(sum);
  auto fused = lm::AddRmsNormOp::create(b, norm.getLoc(), sum.getType(), norm.getType(), sum.getLhs(), sum.getRhs(),
                                        norm.getWeight(), norm.getEps(), norm.getPlusOne());
  sum.replaceAllUsesWith(fused.getSum());
  norm.replaceAllUsesWith(fused.getResult());
  norm.erase();
  sum.erase();
}

template <typename Op> void forEach(Block &block, llvm::function_ref<void(Op)> rewrite) {
  for (Op op : llvm::to_vector(block.getOps<Op>()))
    rewrite(op);
}

void fuse(Block &block) {
  auto isGradient = [](Operation &op) { return op.getName().getStringRef().ends_with("_grad"); };
  // A rewritten gradient is a new op, so the first one is looked for each time.
  auto firstGradient = [&] { return &*llvm::find_if(block, isGradient); };
  forEach<lm::RmsNormGradOp>(block, [&](auto grad) { remakeBesideGradient(grad, firstGradient()); });
  forEach<lm::GatedActivationGradOp>(block, [&](auto grad) { remakeBesideGradient(grad, firstGradient()); });
  forEach<lm::AddOp>(block, addResidualInGradient);
  forEach<lm::AddOp>(block, normaliseInSum);
}

struct FusePointwisePass : impl::FusePointwisePassBase<FusePointwisePass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (llvm::hasSingleElement(function.getBody()))
        fuse(function.front());
  }
};

} // namespace
} // namespace oriel::transforms
