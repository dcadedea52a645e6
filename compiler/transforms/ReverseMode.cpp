// Implementation of the backward walk.
#include "compiler/transforms/ReverseMode.h"
#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace oriel::transforms {
namespace {

bool isDifferentiable(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && isa<FloatType>(type.getElementType());
}

} // namespace

ReverseMode::ReverseMode(OpBuilder &builder, Block &block, ArrayRef<Value> wanted) : builder_(builder) {
  active_.insert(wanted.begin(), wanted.end());
  for (Operation &op : block.without_terminator()) {
    forward_.push_back(&op);
    if (llvm::none_of(op.getOperands(), [&](Value operand) { return active_.contains(operand); }))
      continue;
    for (Value result : op.getResults())
      if (isDifferentiable(result))
        active_.insert(result);
  }
}

void ReverseMode::seed(Value value, Value cotangent) { accumulate(value, cotangent, value.getLoc()); }

void ReverseMode::accumulate(Value value, Value cotangent, Location loc) {
  if (!active_.contains(value))
    return;
  auto [entry, isFirst] = cotangents_.try_emplace(value, cotangent);
  if (!isFirst)
    entry->second = lm::AddOp::create(builder_, loc, value.getType(), entry->second, cotangent);
}

LogicalResult ReverseMode::differentiate(Operation *op) {
  SmallVector<Value> cotangents;
  for (Value result : op->getResults())
    cotangents.push_back(cotangents_.lookup(result));
  if (llvm::none_of(cotangents, [](Value cotangent) { return bool(cotangent); }))
    return success();

  auto differentiable = dyn_cast<lm::DifferentiableOpInterface>(op);
  if (!differentiable) {
    InFlightDiagnostic error = op->emitOpError("has no gradient, but a differentiated result depends on it");
    if (isa<lm::DecomposableOpInterface>(op))
      error.attachNote() << "it is a composite: run --oriel-decompose before --oriel-differentiate";
    return error;
  }
  SmallVector<bool> needed;
  for (Value operand : op->getOperands())
    needed.push_back(active_.contains(operand));
  SmallVector<Value> contributions = differentiable.buildVjp(builder_, cotangents, needed);
  if (contributions.size() != op->getNumOperands())
    return failure(); // buildVjp has said why
  for (auto [operand, contribution] : llvm::zip_equal(op->getOperands(), contributions))
    if (contribution)
      accumulate(operand, contribution, op->getLoc());
  return success();
}

LogicalResult ReverseMode::run() {
  for (Operation *op : llvm::reverse(forward_))
    if (failed(differentiate(op)))
      return failure();
  return success();
}

Value ReverseMode::gradientOf(Value value) {
  if (Value cotangent = cotangents_.lookup(value))
    return cotangent;
  auto type = cast<RankedTensorType>(value.getType());
  return arith::ConstantOp::create(builder_, value.getLoc(), builder_.getZeroAttr(type));
}

} // namespace oriel::transforms
