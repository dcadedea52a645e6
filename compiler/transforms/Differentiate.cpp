// --oriel-differentiate: @loss ⇒ @micro (loss and parameter gradients), functions with lm.vjp ⇒ @vjp. The backward walk
// is ReverseMode; the gradient of each op is written with the op (dialects/lm/LmGradients.cpp).
#include "compiler/transforms/Passes.h"
#include "compiler/transforms/ReverseMode.h"
#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace oriel::transforms {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "compiler/transforms/Passes.h.inc"

namespace {

constexpr llvm::StringLiteral kLossName = "loss", kMicroName = "micro", kVjpName = "vjp";

/// What a function's lm.vjp attribute asks for.
struct VjpRequest {
  SmallVector<int64_t> wrt;       // argument numbers
  SmallVector<bool> hasCotangent; // one per result
};

FailureOr<VjpRequest> readRequest(func::FuncOp func) {
  auto dict = func->getAttrOfType<DictionaryAttr>(lm::kVjpAttr);
  auto wrt = dict ? dict.getAs<ArrayAttr>("wrt") : ArrayAttr();
  auto cotangents = dict ? dict.getAs<ArrayAttr>("cotangents") : ArrayAttr();
  if (!wrt || !cotangents)
    return func.emitError("'lm.vjp' must be {wrt = [argument numbers], cotangents = [one bool per result]}");
  VjpRequest request;
  for (Attribute item : wrt) {
    auto number = dyn_cast<IntegerAttr>(item);
    int64_t i = number ? number.getInt() : -1;
    if (i < 0 || i >= func.getNumArguments())
      return func.emitError("'lm.vjp' asks for the gradient of argument ") << item << " of " << func.getNumArguments();
    if (!isa<FloatType>(getElementTypeOrSelf(func.getArgument(i).getType())))
      return func.emitError("'lm.vjp' asks for the gradient of argument ") << i << ", which is not a float tensor";
    request.wrt.push_back(i);
  }
  for (Attribute item : cotangents) {
    auto flag = dyn_cast<BoolAttr>(item);
    if (!flag)
      return func.emitError("'lm.vjp' has a cotangent entry that is no bool: ") << item;
    request.hasCotangent.push_back(flag.getValue());
  }
  if (request.hasCotangent.size() != func.getNumResults())
    return func.emitError("'lm.vjp' has ")
           << request.hasCotangent.size() << " cotangent entries for " << func.getNumResults() << " results";
  return request;
}

/// A copy of `func` under another name, placed after it.
FailureOr<func::FuncOp> copyFunction(func::FuncOp func, StringRef name) {
  if (!llvm::hasSingleElement(func.getBody()))
    return func.emitError("must have a body of one block to be differentiated");
  if (SymbolTable::lookupNearestSymbolFrom(func, StringAttr::get(func.getContext(), name)))
    return func.emitError("cannot be differentiated: there is already a function @") << name;
  func::FuncOp copy = func.clone();
  copy.setName(name);
  copy->removeAttr(lm::kVjpAttr);
  func->getBlock()->getOperations().insertAfter(Block::iterator(func), copy);
  return copy;
}

/// Appends the gradients to what the function returns.
void returnGradients(func::FuncOp func, ArrayRef<Value> gradients) {
  auto terminator = cast<func::ReturnOp>(func.front().getTerminator());
  terminator->insertOperands(terminator->getNumOperands(), gradients);
  SmallVector<Type> results(terminator.getOperandTypes());
  func.setFunctionType(FunctionType::get(func.getContext(), func.getArgumentTypes(), results));
}

/// The loss itself comes out of the gradient op, so that the logits are computed once.
void takeLossFromGradient(func::FuncOp func) {
  for (auto loss : llvm::make_early_inc_range(func.front().getOps<lm::CrossEntropyOp>())) {
    for (auto grad : func.front().getOps<lm::CrossEntropyGradOp>()) {
      if (grad.getX() != loss.getX() || grad.getWeight() != loss.getWeight() || grad.getTargets() != loss.getTargets())
        continue;
      loss.getLoss().replaceUsesWithIf(grad.getLoss(),
                                       [&](OpOperand &use) { return grad->isBeforeInBlock(use.getOwner()); });
      break;
    }
  }
}

void eraseDeadOps(func::FuncOp func) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.front())))
    if (isOpTriviallyDead(&op))
      op.erase();
}

LogicalResult makeMicro(func::FuncOp loss) {
  auto scalar = RankedTensorType::get({1}, Float32Type::get(loss.getContext()));
  if (loss.getNumResults() != 1 || loss.getResultTypes()[0] != scalar)
    return loss.emitError("@loss must return tensor<1xf32>, the sum of the negative log-likelihoods");
  FailureOr<func::FuncOp> micro = copyFunction(loss, kMicroName);
  if (failed(micro))
    return failure();

  unsigned firstParam = 0;
  while (firstParam < micro->getNumArguments() && !micro->getArgAttr(firstParam, lm::kParamAttr))
    ++firstParam;
  OpBuilder builder(micro->front().getTerminator());
  auto role = builder.getDictionaryAttr(builder.getNamedAttr(lm::kRoleAttr, builder.getStringAttr("loss_scale")));
  if (failed(micro->insertArgument(firstParam, scalar, role, NameLoc::get(builder.getStringAttr("loss_scale")))))
    return failure();

  SmallVector<Value> params;
  for (BlockArgument argument : micro->getArguments())
    if (micro->getArgAttr(argument.getArgNumber(), lm::kParamAttr))
      params.push_back(argument);
  ReverseMode reverse(builder, micro->front(), params);
  reverse.seed(micro->front().getTerminator()->getOperand(0), micro->getArgument(firstParam));
  if (failed(reverse.run()))
    return failure();
  SmallVector<Value> gradients;
  for (Value param : params)
    gradients.push_back(reverse.gradientOf(param));
  returnGradients(*micro, gradients);
  takeLossFromGradient(*micro);
  eraseDeadOps(*micro);
  return success();
}

LogicalResult makeVjp(func::FuncOp func) {
  FailureOr<VjpRequest> request = readRequest(func);
  if (failed(request))
    return failure();
  FailureOr<func::FuncOp> vjp = copyFunction(func, kVjpName);
  if (failed(vjp))
    return failure();

  SmallVector<Value> wanted, gradients;
  for (int64_t i : request->wrt)
    wanted.push_back(vjp->getArgument(i));
  OpBuilder builder(vjp->front().getTerminator());
  ReverseMode reverse(builder, vjp->front(), wanted);
  for (auto [i, result] : llvm::enumerate(vjp->front().getTerminator()->getOperands())) {
    if (!request->hasCotangent[i])
      continue;
    if (failed(vjp->insertArgument(vjp->getNumArguments(), result.getType(), DictionaryAttr(), func.getLoc())))
      return failure();
    reverse.seed(result, vjp->getArguments().back());
  }
  if (failed(reverse.run()))
    return failure();
  for (Value value : wanted)
    gradients.push_back(reverse.gradientOf(value));
  returnGradients(*vjp, gradients);
  takeLossFromGradient(*vjp);
  eraseDeadOps(*vjp);
  return success();
}

struct DifferentiatePass : impl::DifferentiatePassBase<DifferentiatePass> {
  void runOnOperation() override {
    for (auto func : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      bool isLoss = func.getName() == kLossName, hasRequest = bool(func->getAttr(lm::kVjpAttr));
      if ((hasRequest && failed(makeVjp(func))) || (isLoss && !hasRequest && failed(makeMicro(func))))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace oriel::transforms
