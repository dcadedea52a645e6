// tile.map: the body, written for one element, becomes one vector of elements.
//
// The walk is over rows, then vectors of columns. Operands with one column are broadcast once per row, operands with
// one row are read as they are. Where all results have one column (Rx1) the tile is walked as one row, so that vectors
// run along the rows. All operands of a vector are read before any result is written: results may replace operands.
#include "compiler/codegen/cpu/InPlace.h"
#include "compiler/codegen/cpu/MapVectors.h"
#include "compiler/codegen/cpu/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace oriel::codegen {

MapVectors::MapVectors(Lowering &low, tile::MapOp op) : low_(low), v_(low.v), op_(op) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getResult(0).getType()).getShape();
  turned_ = shape[1] == 1;
  outer_ = turned_ ? 1 : shape[0];
  inner_ = turned_ ? shape[0] : shape[1];
  width_ = low.width(inner_);
  splatOutside();
}

Tile MapVectors::walked(Value tile) {
  Tile t = low_.tile(tile);
  return turned_ ? t.as(t.cols, t.rows) : t;
}

Value MapVectors::rowOf(const Tile &tile, Value row) { return tile.rows == 1 ? v_.index(0) : low_.row(tile, row); }

void MapVectors::splatOutside() {
  llvm::SetVector<Value> outside;
  op_.getBody().walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (!op_->isAncestor(operand.getParentBlock()->getParentOp()))
        outside.insert(operand);
  });
  for (Value value : outside)
    outside_.map(value, v_.splat(low_.scalar(value), width_));
}

void MapVectors::enterRow(Value row) {
  perRow_.clear();
  for (Value input : op_.getInputs()) {
    Tile tile = walked(input);
    bool varies = tile.cols > 1 || inner_ == 1;
    perRow_.push_back(varies ? Value() : v_.splat(v_.load(v_.advance(tile.at, rowOf(tile, row))), width_));
  }
}

SmallVector<Value> MapVectors::at(Value row, Value col) {
  IRMapping vectors = outside_;
  for (auto [index, input] : llvm::enumerate(op_.getInputs())) {
    Tile tile = walked(input);
    Value value = perRow_[index];
    if (!value) {
      Value stored = v_.load(v_.advance(v_.advance(tile.at, rowOf(tile, row)), col), width_);
      value = v_.convert(stored, cast<RankedTensorType>(input.getType()).getElementType());
    }
    vectors.map(op_.getBody().getArgument(index), value);
  }
  Block &body = op_.getBody().front();
  for (Operation &inner : body.without_terminator())
    if (failed(emitOp(inner, row, col, vectors))) {
      result_ = failure();
      for (Value value : inner.getResults())
        vectors.map(value, v_.number(v_.vector(width_, value.getType()), 0));
    }
  return llvm::map_to_vector(body.getTerminator()->getOperands(), [&](Value value) { return vectors.lookup(value); });
}

Value MapVectors::place(bool alongInner, Value row, Value col) {
  if (!alongInner)
    return v_.splat(v_.toI32(row), width_);
  return v_.add(v_.splat(v_.toI32(col), width_), v_.iota(width_));
}

LogicalResult MapVectors::emitOp(Operation &inner, Value row, Value col, IRMapping &vectors) {
  if (isa<tile::RowOp>(inner) || isa<tile::ColOp>(inner)) {
    vectors.map(inner.getResult(0), place(isa<tile::ColOp>(inner) != turned_, row, col));
    return success();
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
    auto type = v_.vector(width_, constant.getType());
    Value splat = arith::ConstantOp::create(v_.builder(), v_.loc(), DenseElementsAttr::get(type, constant.getValue()));
    vectors.map(constant.getResult(), splat);
    return success();
  }
  if (inner.getName().getDialectNamespace() == "math") {
    Value x = vectors.lookup(inner.getOperand(0));
    Value y = inner.getResult(0).getType().isF32() ? emitMath(v_, inner.getName().getStringRef(), x) : Value();
    if (!y)
      return inner.emitError() << "no vector form of " << inner.getName() << " on " << inner.getResult(0).getType();
    vectors.map(inner.getResult(0), y);
    return success();
  }
  return emitElementwise(inner, vectors);
}

/// The same op on vectors; multiplications and additions may contract to one rounding.
LogicalResult MapVectors::emitElementwise(Operation &inner, IRMapping &vectors) {
  if (!inner.hasTrait<OpTrait::Vectorizable>())
    return inner.emitError() << inner.getName() << " cannot stand in a tile.map: it is not elementwise";
  if (isa<arith::TruncFOp, arith::ExtFOp>(inner)) {
    vectors.map(inner.getResult(0), v_.convert(vectors.lookup(inner.getOperand(0)), inner.getResult(0).getType()));
    return success();
  }
  OperationState state(v_.loc(), inner.getName());
  for (Value operand : inner.getOperands())
    state.addOperands(vectors.lookup(operand));
  for (Value result : inner.getResults())
    state.addTypes(v_.vector(width_, result.getType()));
  state.attributes = inner.getAttrDictionary().getValue();
  if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(inner))
    state.attributes.set("fastmath", arith::FastMathFlagsAttr::get(inner.getContext(), arith::FastMathFlags::contract));
  Operation *vectorOp = v_.builder().create(state);
  vectors.map(inner.getResults(), vectorOp->getResults());
  return success();
}

LogicalResult lowerMap(Lowering &low, tile::MapOp op) {
  if (isFoldedIntoReduce(op))
    return success();
  for (OpResult result : op->getResults())
    if (tile::StoreOp store = storeInPlace(result))
      prepareStoreInPlace(low, store);
  VectorBuilder &v = low.v;
  MapVectors map(low, op);
  v.loop(0, map.outer(), 1, [&](Value row) {
    map.enterRow(row);
    v.loop(0, map.inner(), map.width(), [&](Value col) {
      SmallVector<Value> vectors = map.at(row, col);
      for (auto [result, vector] : llvm::zip(op.getResults(), vectors)) {
        Tile tile = map.walked(result);
        v.store(v.convert(vector, tile.at.element), v.advance(v.advance(tile.at, low.row(tile, row)), col));
      }
    });
  });
  return map.result();
}

} // namespace oriel::codegen
