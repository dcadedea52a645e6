#include "compiler/transforms/StepSites.h"

#include "dialects/lm/LmDialect.h"
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

/// "layers.0.mixer.wq" for the projection by that parameter; else empty.
StringRef parameterOf(Operation *op) {
  auto linear = dyn_cast<lm::LinearOp>(op);
  auto argument = linear ? dyn_cast<BlockArgument>(linear.getWeight()) : BlockArgument();
  auto function = op->getParentOfType<func::FuncOp>();
  auto parameter =
      argument ? function.getArgAttrOfType<DictionaryAttr>(argument.getArgNumber(), lm::kParamAttr) : DictionaryAttr();
  auto name = parameter ? parameter.getAs<StringAttr>("name") : StringAttr();
  return name ? name.getValue() : StringRef();
}

/// Layer path and op name; a number is added to the second op of one layer and name.
std::string uniquePath(Operation *op, llvm::StringSet<> &taken) {
  StringRef parameter = parameterOf(op);
  std::string stem =
      (parameter.empty() ? StringRef(layerPath(op)) : parameter).str() + "." + op->getName().stripDialect().str();
  std::string path = stem;
  for (int n = 1; !taken.insert(path).second; ++n)
    path = stem + "_" + std::to_string(n);
  return path;
}

/// An op that only --oriel-differentiate makes.
bool isGradientOp(Operation &op) {
  return op.getName().getStringRef().ends_with("_grad") || isa<lm::MatmulOp, lm::SumRowsOp>(op);
}

bool isAtOrBehind(Operation *op, Operation *mark) { return op == mark || mark->isBeforeInBlock(op); }

/// Clones `op` in front of the first of its users that is at or behind `mark`; from there they read the clone.
void cloneBehind(Operation *op, Operation *mark) {
  Operation *first = nullptr;
  for (Operation *user : op->getUsers())
    if (isAtOrBehind(user, mark) && (!first || user->isBeforeInBlock(first)))
      first = user;
  if (!first)
    return;
  OpBuilder builder(first);
  Operation *clone = builder.clone(*op);
  for (auto [result, again] : llvm::zip(op->getResults(), clone->getResults()))
    result.replaceUsesWithIf(
        again, [&](OpOperand &use) { return use.getOwner() != clone && isAtOrBehind(use.getOwner(), clone); });
}

} // namespace

Operation *sourceOf(Value value) {
  while (auto reshape = value.getDefiningOp<lm::ReshapeOp>())
    value = reshape.getX();
  return value.getDefiningOp();
}

Operation *gradientOf(Operation *forward) {
  for (Operation *user : forward->getOperand(0).getUsers())
    if (lm::isGradientOf(user, forward))
      return user;
  return nullptr;
}

std::vector<OpSite> forwardOpsOf(func::FuncOp function) {
  std::vector<OpSite> ops;
  if (!llvm::hasSingleElement(function.getBody()))
    return ops;
  llvm::StringSet<> taken;
  for (Operation &op : function.getBody().front()) {
    if (isGradientOp(op))
      break;
    if (isa<lm::LmDialect>(op.getDialect()) && !isa<lm::ReshapeOp>(op))
      ops.push_back({uniquePath(&op, taken), &op});
  }
  return ops;
}

StepSites findStepSites(func::FuncOp function) {
  StepSites sites;
  if (!llvm::hasSingleElement(function.getBody()))
    return sites;
  auto firstBackward = llvm::find_if(function.getBody().front(), isGradientOp);
  if (firstBackward != function.getBody().front().end())
    sites.firstBackward = &*firstBackward;
  for (OpSite &site : forwardOpsOf(function)) {
    Operation *gradient = isa<lm::RecurrentMixerOpInterface>(site.op) ? gradientOf(site.op) : nullptr;
    if (isa<lm::RecurrentMixerOpInterface>(site.op) && (gradient || !sites.firstBackward))
      sites.mixers.push_back({site.path, site.op, gradient});
    if (sites.firstBackward)
      sites.ops.push_back(std::move(site));
  }
  return sites;
}

void markMixer(const MixerSite &site, const schedule::MixerWay &way) {
  Builder builder(site.forward->getContext());
  for (Operation *half : {site.forward, site.gradient}) {
    if (!half)
      continue;
    half->setAttr("tape.site", builder.getStringAttr(site.path));
    half->setAttr("tape.chunk", builder.getI64IntegerAttr(way.chunk));
    if (way.saveEvery > 0)
      half->setAttr("tape.save_every", builder.getI64IntegerAttr(way.saveEvery));
    half->removeAttr("tape.key_tile");
    if (way.tile > 0)
      half->setAttr("tape.key_tile", builder.getI64IntegerAttr(way.tile));
    for (auto [name, holds] : {std::pair("tape.two_pass", way.twoPass), std::pair("tape.fused", way.fused)}) {
      half->removeAttr(name);
      if (holds)
        half->setAttr(name, builder.getUnitAttr());
    }
  }
}

void runAgainInBackward(const StepSites &sites, llvm::function_ref<bool(Operation *)> runsAgain) {
  if (!sites.firstBackward)
    return;
  for (Operation *op = sites.firstBackward->getPrevNode(); op; op = op->getPrevNode()) {
    auto view = dyn_cast<lm::ReshapeOp>(op);
    Operation *source = view ? sourceOf(view.getX()) : op;
    if (source && runsAgain(source))
      cloneBehind(op, sites.firstBackward);
  }
}

} // namespace oriel::transforms
