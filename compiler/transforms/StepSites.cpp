#include "compiler/transforms/StepSites.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace oriel::transforms {
namespace {

/// The layer path of the model text, or the function's name where a text has none.
std::string layerPath(Operation *op) {
  if (auto name = dyn_cast<NameLoc>(op->getLoc()))
    return name.getName().str();
  return op->getParentOfType<func::FuncOp>().getName().str();
}

/// Layer path and op name; a number is added to the second op of one layer and name.
std::string uniquePath(Operation *op, llvm::StringSet<> &taken) {
  std::string stem = layerPath(op) + "." + op->getName().stripDialect().str(), path = stem;
  for (int n = 1; !taken.insert(path).second; ++n)
    path = stem + "_" + std::to_string(n);
  return path;
}

bool isGradientOp(Operation &op) { return op.getName().getStringRef().ends_with("_grad"); }

bool isAtOrBehind(Operation *op, Operation *mark) { return op == mark || mark->isBeforeInBlock(op); }

bool usedOnBothSides(Operation *op, Operation *firstBackward) {
  auto behind = [&](Operation *user) { return isAtOrBehind(user, firstBackward); };
  auto users = op->getResult(0).getUsers();
  return llvm::any_of(users, behind) && !llvm::all_of(users, behind);
}

/// The gradient op whose first operands are the mixer's q, k, v.
Operation *gradientOf(Operation *forward) {
  for (Operation *user : forward->getOperand(0).getUsers())
    if (user->getName().getStringRef() == (forward->getName().getStringRef() + "_grad").str() &&
        llvm::equal(user->getOperands().take_front(3), forward->getOperands().take_front(3)))
      return user;
  return nullptr;
}

} // namespace

StepSites findStepSites(func::FuncOp function) {
  StepSites sites;
  if (!llvm::hasSingleElement(function.getBody()))
    return sites;
  Block &block = function.getBody().front();
  for (Operation &op : block)
    if (isGradientOp(op)) {
      sites.firstBackward = &op;
      break;
    }
  llvm::StringSet<> taken;
  for (Operation &op : block) {
    if (isa<lm::RecurrentMixerOpInterface>(op)) {
      std::string path = uniquePath(&op, taken);
      Operation *gradient = gradientOf(&op);
      if (gradient || !sites.firstBackward)
        sites.mixers.push_back({path, &op, gradient});
    } else if (isa<lm::RmsNormOp, lm::RopeOp, lm::GatedActivationOp>(op)) {
      std::string path = uniquePath(&op, taken);
      if (sites.firstBackward && op.isBeforeInBlock(sites.firstBackward) && usedOnBothSides(&op, sites.firstBackward))
        sites.values.push_back({path, &op});
    }
  }
  return sites;
}

void markMixer(const MixerSite &site, const MixerChoice &choice) {
  Builder builder(site.forward->getContext());
  for (Operation *half : {site.forward, site.gradient}) {
    if (!half)
      continue;
    half->setAttr("tape.site", builder.getStringAttr(site.path));
    half->setAttr("tape.chunk", builder.getI64IntegerAttr(choice.chunk));
    if (choice.saveEvery > 0)
      half->setAttr("tape.save_every", builder.getI64IntegerAttr(choice.saveEvery));
    if (choice.fused)
      half->setAttr("tape.fused", builder.getUnitAttr());
  }
}

void recomputeInBackward(const ValueSite &site, Operation *firstBackward) {
  Operation *first = nullptr;
  for (Operation *user : site.op->getResult(0).getUsers())
    if (isAtOrBehind(user, firstBackward) && (!first || user->isBeforeInBlock(first)))
      first = user;
  if (!first)
    return;
  OpBuilder builder(first);
  Operation *clone = builder.clone(*site.op);
  site.op->getResult(0).replaceUsesWithIf(clone->getResult(0), [&](OpOperand &use) {
    return use.getOwner() != clone && isAtOrBehind(use.getOwner(), clone);
  });
}

} // namespace oriel::transforms
