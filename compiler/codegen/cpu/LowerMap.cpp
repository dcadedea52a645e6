// tile.map: the body, written for one element, becomes one vector of elements.
//
// The walk is over rows, then vectors of columns. Operands with one column are broadcast once per row, operands with
// one row are read as they are. Where all results have one column (Rx1) the tile is walked as one row, so that vectors
// run along the rows. All operands of a vector are read before any result is written: results may replace operands.
#include "compiler/codegen/cpu/Lowering.h"
#include "compiler/codegen/cpu/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace oriel::codegen {

namespace {

class MapLowering {
public:
  MapLowering(Lowering &low, tile::MapOp op) : low_(low), v_(low.v), op_(op) {
    Tile shape = low.tile(op.getResult(0));
    turned_ = shape.cols == 1;
    outer_ = turned_ ? 1 : shape.rows;
    inner_ = turned_ ? shape.rows : shape.cols;
    width_ = low.width(inner_);
  }

  LogicalResult run() {
    splatOutside();
    LogicalResult result = success();
    v_.loop(0, outer_, 1, [&](Value row) {
      SmallVector<Value> perRow = broadcastsOf(row);
      v_.loop(0, inner_, width_, [&](Value col) {
        if (failed(emitVector(row, col, perRow)))
          result = failure();
      });
    });
    return result;
  }

private:
  Tile walked(Value tile) {
    Tile t = low_.tile(tile);
    return turned_ ? t.as(t.cols, t.rows) : t;
  }
  Value rowOf(Tile tile, Value row) { return tile.rows == 1 ? v_.index(0) : v_.mul(row, v_.index(tile.cols)); }

  /// Scalars from outside the map, splat before the loops.
  void splatOutside() {
    llvm::SetVector<Value> outside;
    op_.getBody().walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (!op_->isAncestor(operand.getParentBlock()->getParentOp()))
          outside.insert(operand);
    });
    for (Value value : outside)
      outside_.map(value, v_.splat(low_.scalar(value), width_));
  }

  /// One value per operand that does not change along a row; null for the others.
  SmallVector<Value> broadcastsOf(Value row) {
    SmallVector<Value> values;
    for (Value input : op_.getInputs()) {
      Tile tile = walked(input);
      bool varies = tile.cols > 1 || inner_ == 1;
      values.push_back(varies ? Value() : v_.splat(v_.load(v_.advance(tile.at, rowOf(tile, row))), width_));
    }
    return values;
  }

  LogicalResult emitVector(Value row, Value col, ArrayRef<Value> perRow) {
    IRMapping vectors = outside_;
    for (auto [index, input] : llvm::enumerate(op_.getInputs())) {
      Tile tile = walked(input);
      Value value = perRow[index];
      if (!value)
        value = v_.load(v_.advance(v_.advance(tile.at, rowOf(tile, row)), col), width_);
      vectors.map(op_.getBody().getArgument(index), value);
    }
    for (Operation &inner : op_.getBody().front().without_terminator())
      if (failed(emitOp(inner, row, col, vectors)))
        return failure();
    for (auto [result, value] : llvm::zip(op_.getResults(), op_.getBody().front().getTerminator()->getOperands())) {
      Tile tile = walked(result);
      v_.store(vectors.lookup(value), v_.advance(v_.advance(tile.at, rowOf(tile, row)), col));
    }
    return success();
  }

  Value place(bool alongInner, Value row, Value col) {
    if (!alongInner)
      return v_.splat(v_.toI32(row), width_);
    return v_.add(v_.splat(v_.toI32(col), width_), v_.iota(width_));
  }

  LogicalResult emitOp(Operation &inner, Value row, Value col, IRMapping &vectors) {
    if (isa<tile::RowOp>(inner) || isa<tile::ColOp>(inner)) {
      vectors.map(inner.getResult(0), place(isa<tile::ColOp>(inner) != turned_, row, col));
      return success();
    }
    if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
      auto type = v_.vector(width_, constant.getType());
      Value splat =
          arith::ConstantOp::create(v_.builder(), v_.loc(), DenseElementsAttr::get(type, constant.getValue()));
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
  LogicalResult emitElementwise(Operation &inner, IRMapping &vectors) {
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
      state.attributes.set("fastmath",
                           arith::FastMathFlagsAttr::get(inner.getContext(), arith::FastMathFlags::contract));
    Operation *vectorOp = v_.builder().create(state);
    vectors.map(inner.getResults(), vectorOp->getResults());
    return success();
  }

  Lowering &low_;
  VectorBuilder &v_;
  tile::MapOp op_;
  IRMapping outside_;
  bool turned_;
  int64_t outer_, inner_, width_;
};

} // namespace

LogicalResult lowerMap(Lowering &low, tile::MapOp op) { return MapLowering(low, op).run(); }

} // namespace oriel::codegen
