// Products, sums and views. A product whose only use is a sum is not written by itself: it is added onto the other
// summand in place, at the sum.
#include "compiler/conversion/lmToTape/LowerOps.h"
#include "dialects/lm/LmOps.h"
#include "dialects/tile/TileOps.h"
#include "kernels/elementwise/Elementwise.h"
#include "kernels/embed/Embed.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace oriel::conversion {

int64_t dimOf(Value value, unsigned i) { return cast<ShapedType>(value.getType()).getDimSize(i); }
int64_t elementsOf(Value value) { return cast<ShapedType>(value.getType()).getNumElements(); }

int64_t leadingRows(Value value, unsigned trailing) {
  ArrayRef<int64_t> shape = cast<ShapedType>(value.getType()).getShape();
  int64_t rows = 1;
  for (int64_t size : shape.drop_back(trailing))
    rows *= size;
  return rows;
}

Value sumPartials(Lowering &lowering, Value partials, int64_t parts, Type type) {
  if (parts == 1)
    return lowering.tape.view(partials, type);
  kernels::SumPartialsSpec spec{parts, tape::elementCount(type)};
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildSumPartials(b, loc, name, spec); };
  return lowering.tape.call(kernels::symbol(spec), build, type, partials)[0];
}

namespace {

/// A bias is the product of a column of ones with the bias row; the projection is then added onto it.
Value broadcastBias(Lowering &lowering, Value bias, int64_t rows, Type type) {
  Value ones =
      lowering.tape.constant(DenseElementsAttr::get(lowering.tape.f32({rows, 1}), llvm::ArrayRef<float>({1.0f})));
  return lowering.tape.matmul(ones, bias, type, {});
}

void lowerLinear(Lowering &lowering, lm::LinearOp op) {
  Value x = lowering.get(op.getX()), weight = lowering.get(op.getWeight()), into;
  if (op.getBias())
    into = broadcastBias(lowering, lowering.get(op.getBias()), leadingRows(op.getX()), op.getType());
  lowering.set(op, lowering.tape.matmul(x, weight, op.getType(), {false, true}, into));
}

void lowerSumRows(Lowering &lowering, lm::SumRowsOp op) {
  kernels::SumRowsSpec spec{leadingRows(op.getX()), elementsOf(op.getResult())};
  int64_t parts = kernels::partialCount(spec.rows);
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildSumRows(b, loc, name, spec); };
  Value partials = lowering.tape.call(kernels::symbol(spec), build, lowering.tape.f32({parts, spec.width}),
                                      lowering.get(op.getX()))[0];
  lowering.set(op.getResult(), sumPartials(lowering, partials, parts, op.getResult().getType()));
}

// ---------------------------------------------------------------------------------------------------------------------
// Summands: ops that can add their result onto a value
// ---------------------------------------------------------------------------------------------------------------------

bool isSummand(Operation *op) {
  return isa_and_nonnull<lm::MatmulOp, lm::EmbedGradOp>(op) && op->hasOneUse() && isa<lm::AddOp>(*op->user_begin());
}

void emitMatmul(Lowering &lowering, lm::MatmulOp op, Value into) {
  lowering.set(op.getResult(),
               lowering.tape.matmul(lowering.get(op.getA()), lowering.get(op.getB()), op.getResult().getType(),
                                    {op.getTransposeA(), op.getTransposeB()}, into));
}

void emitEmbedGrad(Lowering &lowering, lm::EmbedGradOp op, Value into) {
  kernels::EmbedSpec spec{elementsOf(op.getTokens()), dimOf(op.getDtable(), 0), dimOf(op.getDtable(), 1),
                          op.getScale().convertToFloat(), /*accumulate=*/static_cast<bool>(into)};
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildEmbedGrad(b, loc, name, spec); };
  SmallVector<TapeBuilder::Update> updates;
  if (into)
    updates.push_back({into, 0});
  lowering.set(op.getDtable(),
               lowering.tape.call(kernels::symbol(spec, true), build, op.getDtable().getType(),
                                  {lowering.get(op.getDy()), lowering.get(op.getTokens())}, updates)[0]);
}

/// Writes a summand, onto `into` if that is given.
void emitSummand(Lowering &lowering, Operation *op, Value into) {
  if (auto matmul = dyn_cast<lm::MatmulOp>(op))
    emitMatmul(lowering, matmul, into);
  else
    emitEmbedGrad(lowering, cast<lm::EmbedGradOp>(op), into);
}

/// The op that makes `value`, if it waits for its sum.
Operation *waitingSummand(Lowering &lowering, Value value) {
  Operation *op = value.getDefiningOp();
  return isSummand(op) && !lowering.values.contains(value) ? op : nullptr;
}

void lowerAdd(Lowering &lowering, lm::AddOp op) {
  Operation *left = waitingSummand(lowering, op.getLhs()), *right = waitingSummand(lowering, op.getRhs());
  if (left && right) {
    emitSummand(lowering, left, {});
    left = nullptr;
  }
  if (left || right) {
    Value base = lowering.get(right ? op.getLhs() : op.getRhs());
    emitSummand(lowering, right ? right : left, base);
    lowering.set(op.getResult(), lowering.get(right ? op.getRhs() : op.getLhs()));
    return;
  }
  kernels::AddSpec spec{elementsOf(op.getResult()), 2};
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildAdd(b, loc, name, spec); };
  lowering.set(op.getResult(), lowering.tape.call(kernels::symbol(spec), build, op.getType(),
                                                  {lowering.get(op.getLhs()), lowering.get(op.getRhs())})[0]);
}

Lowered lowerConstant(Lowering &lowering, arith::ConstantOp op) {
  auto value = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!value || !value.getElementType().isF32())
    return Lowered::NotMine;
  bool isZero = value.isSplat() && value.getSplatValue<APFloat>().isPosZero();
  lowering.set(op.getResult(), isZero ? lowering.tape.zero(op.getType()) : lowering.tape.constant(value));
  return Lowered::Done;
}

} // namespace

Lowered lowerProjection(Lowering &lowering, Operation *op) {
  if (auto linear = dyn_cast<lm::LinearOp>(op)) {
    lowerLinear(lowering, linear);
  } else if (isa<lm::MatmulOp, lm::EmbedGradOp>(op)) {
    if (!isSummand(op))
      emitSummand(lowering, op, {});
  } else if (auto sumRows = dyn_cast<lm::SumRowsOp>(op)) {
    lowerSumRows(lowering, sumRows);
  } else if (auto reshape = dyn_cast<lm::ReshapeOp>(op)) {
    lowering.set(reshape.getResult(), lowering.tape.view(lowering.get(reshape.getX()), reshape.getResult().getType()));
  } else if (auto add = dyn_cast<lm::AddOp>(op)) {
    lowerAdd(lowering, add);
  } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    return lowerConstant(lowering, constant);
  } else {
    return Lowered::NotMine;
  }
  return Lowered::Done;
}

} // namespace oriel::conversion
