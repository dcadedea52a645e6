// tile.load, tile.store and memref.load: moving tiles between buffers and scratch.
//
// An access is a two-dimensional walk: an outer dimension whose valid part is a loop range, and an inner one that goes
// by vectors, whole where the tile lies inside the buffer and masked at its edges. Vectors of one value per row (Rx1)
// walk along the rows; tiles whose rows are contiguous in memory go through a transpose.
#include "compiler/codegen/cpu/InPlace.h"
#include "compiler/codegen/cpu/Lowering.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace oriel::codegen {

Range insideRange(VectorBuilder &v, int64_t size, Value start, int64_t stride, Value begin, Value end,
                  std::optional<int64_t> limit) {
  Value lo = v.index(0), hi = v.index(limit ? std::min(*limit, size) : size);
  if (start) {
    lo = v.max(lo, v.ceilDiv(v.sub(begin, start), stride));
    hi = v.min(hi, v.ceilDiv(v.sub(end, start), stride));
    lo = v.min(lo, v.index(size));
    hi = v.max(hi, lo);
  }
  return {lo, hi, size};
}

namespace {

/// One tile's walk through a buffer.
struct Access {
  Pointer origin; // of element (0, 0), which may lie outside
  Range outer, inner;
  int64_t outerStride, innerStride; // elements
};

int64_t strideOf(MemRefType buffer, int64_t dim) {
  int64_t stride = 1;
  for (int64_t i = dim + 1; i < buffer.getRank(); ++i)
    stride *= buffer.getDimSize(i);
  return stride;
}

/// Works for tile::LoadOp and tile::StoreOp.
template <typename Op> Access accessOf(Lowering &low, Op op) {
  VectorBuilder &v = low.v;
  MemRefType buffer = op.getBuffer().getType();
  RankedTensorType tile = op.getTile().getType();
  Value linear = v.index(0);
  for (auto [dim, index] : llvm::enumerate(op.getIndices()))
    linear = v.add(linear, v.mul(low.scalar(index), v.index(strideOf(buffer, dim))));

  int64_t rowDim = op.getRowDim(), colDim = op.getColDim();
  Range rows = insideRange(v, tile.getDimSize(0), {}, 1, {}, {}, {}), cols = rows;
  int64_t rowStride = 0, colStride = 0;
  if (rowDim >= 0) {
    Value begin = v.index(0), end = v.index(buffer.getDimSize(rowDim));
    if (op.getRowBegin())
      begin = v.max(begin, low.scalar(op.getRowBegin()));
    if (op.getRowEnd())
      end = v.min(end, low.scalar(op.getRowEnd()));
    rows = insideRange(v, tile.getDimSize(0), low.scalar(op.getIndices()[rowDim]), 1, begin, end, {});
    rowStride = strideOf(buffer, rowDim);
  }
  std::optional<int64_t> limit = op.getColLimit();
  cols = insideRange(v, tile.getDimSize(1), {}, 1, {}, {}, limit);
  if (colDim >= 0) {
    cols = insideRange(v, tile.getDimSize(1), low.scalar(op.getIndices()[colDim]), op.getColStride(), v.index(0),
                       v.index(buffer.getDimSize(colDim)), limit);
    colStride = strideOf(buffer, colDim) * op.getColStride();
  }
  Pointer origin = v.advance(low.buffer(op.getBuffer()), linear);
  if (tile.getDimSize(1) == 1 || isTransposedAccess(buffer, tile, rowDim, colDim))
    return {origin, cols, rows, colStride, rowStride};
  return {origin, rows, cols, rowStride, colStride};
}

void forVectors(Lowering &low, int64_t inner, llvm::function_ref<void(Value)> body) {
  low.v.loop(0, inner, low.width(inner), body);
}

Value isWhole(VectorBuilder &v, const Range &range) {
  return v.both(v.equals(range.lo, v.index(0)), v.equals(range.hi, v.index(range.size)));
}

/// Runs `body(outer place, inner place, mask)` over the valid outer range; mask is null where vectors are whole.
void walk(Lowering &low, const Access &access, llvm::function_ref<void(Value, Value, Value)> body) {
  VectorBuilder &v = low.v;
  const Range &inner = access.inner;
  int64_t width = low.width(inner.size);
  auto rows = [&](bool whole) {
    v.loop(access.outer.lo, access.outer.hi, 1, [&](Value row) {
      forVectors(low, inner.size,
                 [&](Value col) { body(row, col, whole ? Value() : v.rangeMask(col, inner.lo, inner.hi, width)); });
    });
  };
  v.branch(
      isWhole(v, inner), [&] { rows(true); }, [&] { rows(false); });
}

Pointer memoryAt(Lowering &low, const Access &access, Value outer, Value inner) {
  VectorBuilder &v = low.v;
  Pointer row = v.advance(access.origin, v.mul(outer, v.index(access.outerStride)));
  return v.advance(row, v.mul(inner, v.index(access.innerStride)));
}

Pointer tileAt(Lowering &low, Tile tile, int64_t inner, Value outerPlace, Value innerPlace) {
  Pointer row = low.v.advance(tile.at, low.v.mul(outerPlace, low.v.index(inner)));
  return low.v.advance(row, innerPlace);
}

Value readVector(Lowering &low, const Access &access, Pointer from, Value mask) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(access.inner.size);
  if (access.innerStride == 1 || width == 1)
    return mask ? v.loadMasked(from, width, mask) : v.load(from, width);
  return v.loadStrided(from, width, access.innerStride,
                       mask ? mask : v.number(v.vector(width, v.builder().getI1Type()), 1));
}

void writeVector(Lowering &low, const Access &access, Value vector, Pointer to, Value mask) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(access.inner.size);
  if (access.innerStride == 1 || width == 1)
    return mask ? v.storeMasked(vector, to, mask) : v.store(vector, to);
  v.storeStrided(vector, to, access.innerStride, mask ? mask : v.number(v.vector(width, v.builder().getI1Type()), 1));
}

/// Zeros the rows [lo, hi) of a tile of `inner` elements per row.
void zeroRows(Lowering &low, Tile tile, int64_t inner, Value lo, Value hi) {
  VectorBuilder &v = low.v;
  Value zero = v.number(v.vector(low.width(inner), tile.at.element), 0);
  v.loop(lo, hi, 1, [&](Value row) {
    forVectors(low, inner, [&](Value col) { v.store(zero, tileAt(low, tile, inner, row, col)); });
  });
}

void copyIn(Lowering &low, const Access &access, Tile target) {
  VectorBuilder &v = low.v;
  int64_t inner = access.inner.size;
  zeroRows(low, target, inner, v.index(0), access.outer.lo);
  zeroRows(low, target, inner, access.outer.hi, v.index(access.outer.size));
  walk(low, access, [&](Value row, Value col, Value mask) {
    Value vector = readVector(low, access, memoryAt(low, access, row, col), mask);
    v.store(v.convert(vector, target.at.element), tileAt(low, target, inner, row, col));
  });
}

void copyOut(Lowering &low, const Access &access, Tile source, bool accumulate) {
  VectorBuilder &v = low.v;
  int64_t inner = access.inner.size, width = low.width(inner);
  walk(low, access, [&](Value row, Value col, Value mask) {
    Value vector = v.load(tileAt(low, source, inner, row, col), width);
    Pointer memory = memoryAt(low, access, row, col);
    if (accumulate)
      vector = v.plus(v.convert(readVector(low, access, memory, mask), source.at.element), vector);
    writeVector(low, access, v.convert(vector, access.origin.element), memory, mask);
  });
}

/// The tile's place in scratch, for elements as the buffer has them.
Tile bufferedIn(Lowering &low, const Access &access, Value tile) {
  Tile scratch = low.placeOf(tile);
  scratch.at.element = access.origin.element;
  return scratch;
}

Value isInside(VectorBuilder &v, const Access &access) {
  return v.both(isWhole(v, access.outer), isWhole(v, access.inner));
}

/// The tile in its buffer, or in `scratch` if it is not wholly inside.
Tile inBufferOr(Lowering &low, const Access &access, Value inside, Tile scratch) {
  VectorBuilder &v = low.v;
  Pointer at{v.select(inside, access.origin.base, scratch.at.base), access.origin.element, 0};
  return {at, scratch.rows, scratch.cols, v.select(inside, v.index(access.outerStride), v.index(scratch.cols))};
}

/// False for a product on a target that multiplies single elements: it reads its operands where they lie in scratch.
bool readsStrides(Lowering &low, tile::LoadOp op) {
  auto dot = dyn_cast<tile::DotOp>(*op.getTile().user_begin());
  return !dot || usesPairs(low.v.target(), dot);
}

} // namespace

void lowerLoad(Lowering &low, tile::LoadOp op) {
  VectorBuilder &v = low.v;
  Access access = accessOf(low, op);
  if (isReadInPlace(op) && readsStrides(low, op)) {
    Tile scratch = bufferedIn(low, access, op.getTile());
    Value inside = isInside(v, access);
    v.branch(
        inside, [] {}, [&] { copyIn(low, access, scratch); });
    return low.putInPlace(op.getTile(), inBufferOr(low, access, inside, scratch));
  }
  Tile result = low.tile(op.getTile());
  if (temporaryBytes(op) == 0)
    return copyIn(low, access, result);
  Tile turned = low.temporary(op, result.cols, result.rows, result.at.element);
  copyIn(low, access, turned);
  transposeTile(low, turned, result);
}

void prepareStoreInPlace(Lowering &low, tile::StoreOp op) {
  VectorBuilder &v = low.v;
  Access access = accessOf(low, op);
  Value inside = isInside(v, access);
  Tile scratch = bufferedIn(low, access, op.getTile());
  if (op.getAccumulate())
    v.branch(
        inside, [] {}, [&] { zeroRows(low, scratch, scratch.cols, v.index(0), v.index(scratch.rows)); });
  low.putInPlace(op.getTile(), inBufferOr(low, access, inside, scratch));
}

void lowerStore(Lowering &low, tile::StoreOp op) {
  VectorBuilder &v = low.v;
  Access access = accessOf(low, op);
  if (low.isInPlace(op.getTile())) {
    v.branch(
        isInside(v, access), [] {},
        [&] { copyOut(low, access, bufferedIn(low, access, op.getTile()), op.getAccumulate()); });
    return;
  }
  Tile source = low.tile(op.getTile());
  if (temporaryBytes(op) > 0) {
    Tile transposed = low.temporary(op, source.cols, source.rows, source.at.element);
    transposeTile(low, source, transposed);
    source = transposed;
  }
  copyOut(low, access, source, op.getAccumulate());
}

void lowerScalarLoad(Lowering &low, Operation *op) {
  auto load = cast<memref::LoadOp>(op);
  VectorBuilder &v = low.v;
  Value linear = v.index(0);
  for (auto [dim, index] : llvm::enumerate(load.getIndices()))
    linear = v.add(linear, v.mul(low.scalar(index), v.index(strideOf(load.getMemRefType(), dim))));
  low.scalars.map(load.getResult(), v.load(v.advance(low.buffer(load.getMemRef()), linear)));
}

} // namespace oriel::codegen
