// The laws of the tile ops, numbered as in TileOps.td.
#include "dialects/tile/TileOps.h"

using namespace mlir;
using namespace oriel::tile;

bool oriel::tile::hasTileShape(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.hasStaticShape() &&
         llvm::all_of(tensor.getShape(), [](int64_t size) { return size == 1 || (size > 0 && size % 16 == 0); });
}

bool oriel::tile::isBuffer(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  return memref && memref.hasStaticShape() && memref.getLayout().isIdentity() && !memref.getMemorySpace();
}

/// (C1)-(C3) of tile.load and tile.store.
template <typename Access> static LogicalResult verifyAccess(Access op) {
  MemRefType buffer = op.getBuffer().getType();
  RankedTensorType tile = op.getTile().getType();
  int64_t rank = buffer.getRank(), rowDim = op.getRowDim(), colDim = op.getColDim();
  if (static_cast<int64_t>(op.getIndices().size()) != rank)
    return op.emitOpError("(C1) has ") << op.getIndices().size() << " indices for a buffer of rank " << rank;
  auto isDim = [&](int64_t dim) { return dim >= -1 && dim < rank; };
  if (!isDim(rowDim) || !isDim(colDim) || (rowDim == colDim && rowDim != -1))
    return op.emitOpError("(C1) rows ") << rowDim << " and cols " << colDim
                                        << " must be -1 or distinct dimensions of a buffer of rank " << rank;
  if ((rowDim == -1 && tile.getDimSize(0) != 1) || (colDim == -1 && tile.getDimSize(1) != 1))
    return op.emitOpError("(C2) a tile of ") << tile << " has more than one element along a missing dimension";
  if (op.getColStride() < 1 || (op.getColLimit() && *op.getColLimit() < 0))
    return op.emitOpError("(C3) stride must be at least 1 and limit at least 0");
  Type from = buffer.getElementType(), to = tile.getElementType();
  if (from != to && !(from.isBF16() && to.isF32()))
    return op.emitOpError("(C3) a tile of ") << to << " does not go with a buffer of " << from;
  return success();
}

LogicalResult LoadOp::verify() { return verifyAccess(*this); }
LogicalResult StoreOp::verify() { return verifyAccess(*this); }

/// (C1) of tile.gather and tile.scatter_add.
template <typename Access> static LogicalResult verifyIndexed(Access op) {
  MemRefType buffer = op.getBuffer().getType();
  RankedTensorType ids = op.getIds().getType(), tile = op.getTile().getType();
  if (buffer.getRank() != 2)
    return op.emitOpError("(C1) buffer must have rank 2, has ") << buffer.getRank();
  if (!ids.getElementType().isInteger(32) || ids.getDimSize(1) != 1 || ids.getDimSize(0) != tile.getDimSize(0))
    return op.emitOpError("(C1) ids must be ") << tile.getDimSize(0) << "x1xi32, is " << ids;
  Type from = buffer.getElementType(), to = tile.getElementType();
  if (from != to && !(from.isBF16() && to.isF32()))
    return op.emitOpError("(C1) a tile of ") << to << " does not go with a buffer of " << from;
  return success();
}

LogicalResult GatherOp::verify() { return verifyIndexed(*this); }
LogicalResult ScatterAddOp::verify() { return verifyIndexed(*this); }

LogicalResult FillOp::verify() {
  if (getValue().getType() != getTile().getType().getElementType())
    return emitOpError("(C1) fills ") << getTile().getType() << " with a " << getValue().getType();
  return success();
}

LogicalResult DotOp::verify() {
  RankedTensorType a = getA().getType(), b = getB().getType(), acc = getAcc().getType();
  int64_t m = a.getDimSize(getTransposeA() ? 1 : 0), ka = a.getDimSize(getTransposeA() ? 0 : 1);
  int64_t kb = b.getDimSize(getTransposeB() ? 1 : 0), n = b.getDimSize(getTransposeB() ? 0 : 1);
  if (ka != kb || acc.getDimSize(0) != m || acc.getDimSize(1) != n)
    return emitOpError("(C1) ") << m << 'x' << ka << " times " << kb << 'x' << n << " does not add to " << acc;
  if (!acc.getElementType().isF32() || a.getElementType() != b.getElementType() || a.getElementType().isInteger())
    return emitOpError("(C1) operands must be both f32 or both bf16 and the accumulator f32");
  return success();
}

LogicalResult MapOp::verify() {
  if (getResults().empty())
    return emitOpError("(C1) needs at least one result");
  auto shape = cast<RankedTensorType>(getResults().front().getType()).getShape();
  for (Value result : getResults())
    if (cast<RankedTensorType>(result.getType()).getShape() != shape)
      return emitOpError("(C1) results must have one shape");
  Block &body = getBody().front();
  if (body.getNumArguments() != getInputs().size())
    return emitOpError("(C2) the body takes ")
           << body.getNumArguments() << " scalars for " << getInputs().size() << " operands";
  for (auto [input, argument] : llvm::zip(getInputs(), body.getArguments())) {
    auto type = cast<RankedTensorType>(input.getType());
    for (int dim : {0, 1})
      if (type.getDimSize(dim) != 1 && type.getDimSize(dim) != shape[dim])
        return emitOpError("(C1) operand ") << type << " does not broadcast to " << shape[0] << 'x' << shape[1];
    if (argument.getType() != type.getElementType())
      return emitOpError("(C2) the body takes a ") << argument.getType() << " for an element of " << type;
  }
  auto yield = dyn_cast<YieldOp>(body.empty() ? nullptr : &body.back());
  if (!yield || yield.getValues().size() != getResults().size())
    return emitOpError("(C2) the body must end with tile.yield of ") << getResults().size() << " scalars";
  for (auto [value, result] : llvm::zip(yield.getValues(), getResults()))
    if (value.getType() != cast<RankedTensorType>(result.getType()).getElementType())
      return emitOpError("(C2) yields a ") << value.getType() << " for an element of " << result.getType();
  return success();
}

/// (C1) of tile.row and tile.col.
static LogicalResult verifyInsideMap(Operation *op) {
  if (!op->getParentOfType<MapOp>())
    return op->emitOpError("(C1) must stand inside the body of tile.map");
  return success();
}

LogicalResult RowOp::verify() { return verifyInsideMap(*this); }
LogicalResult ColOp::verify() { return verifyInsideMap(*this); }

LogicalResult ReduceOp::verify() {
  RankedTensorType from = getTile().getType(), to = getResult().getType();
  if (getAxis() != 0 && getAxis() != 1)
    return emitOpError("(C1) axis is ") << getAxis() << ", expected 0 or 1";
  int64_t kept = getAxis() == 0 ? 1 : 0;
  if (to.getElementType() != from.getElementType() || to.getDimSize(getAxis()) != 1 ||
      to.getDimSize(kept) != from.getDimSize(kept))
    return emitOpError("(C1) ") << from << " along axis " << getAxis() << " does not give " << to;
  return success();
}

LogicalResult TransposeOp::verify() {
  RankedTensorType from = getTile().getType(), to = getResult().getType();
  if (to.getElementType() != from.getElementType() || to.getDimSize(0) != from.getDimSize(1) ||
      to.getDimSize(1) != from.getDimSize(0))
    return emitOpError("(C1) the transpose of ") << from << " is not " << to;
  return success();
}

LogicalResult CastOp::verify() {
  RankedTensorType from = getTile().getType(), to = getResult().getType();
  Type source = from.getElementType(), target = to.getElementType();
  bool known = (source.isF32() && target.isBF16()) || (source.isBF16() && target.isF32()) ||
               (source.isInteger(32) && target.isF32());
  if (from.getShape() != to.getShape() || !known)
    return emitOpError("(C1) cannot convert ") << from << " to " << to;
  return success();
}

#define GET_OP_CLASSES
#include "dialects/tile/TileOps.cpp.inc"
