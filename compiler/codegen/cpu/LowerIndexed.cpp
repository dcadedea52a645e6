// tile.gather and tile.scatter_add: rows of a matrix chosen by index, one after the other.
#include "compiler/codegen/cpu/Lowering.h"

using namespace mlir;

namespace oriel::codegen {

namespace {

/// Runs `body(row in the tile, memory row, mask)` for each vector of each row, in row order. `outside` (may be null)
/// runs for the vectors of rows whose id is not a row of the table.
template <typename Op>
void walkRows(Lowering &low, Op op, llvm::function_ref<void(Pointer, Pointer, Value)> inside,
              llvm::function_ref<void(Pointer)> outside) {
  VectorBuilder &v = low.v;
  Tile tile = low.tile(op.getTile()), ids = low.tile(op.getIds());
  MemRefType table = op.getBuffer().getType();
  int64_t tableRows = table.getDimSize(0), tableCols = table.getDimSize(1), width = low.width(tile.cols);
  Value column = low.scalar(op.getColumn());
  Range cols = insideRange(v, tile.cols, column, 1, v.index(0), v.index(tableCols), op.getColLimit());

  v.loop(0, tile.rows, 1, [&](Value row) {
    Value id = v.toIndex(v.load(v.advance(ids.at, row)));
    Value valid = v.both(v.atLeast(id, v.index(0)), v.lessThan(id, v.index(tableRows)));
    Pointer tileRow = v.advance(tile.at, v.mul(row, v.index(tile.cols)));
    auto each = [&](llvm::function_ref<void(Value)> body) { v.loop(0, tile.cols, width, body); };
    auto visit = [&] {
      Pointer memoryRow = v.advance(low.buffer(op.getBuffer()), v.add(v.mul(id, v.index(tableCols)), column));
      each([&](Value col) {
        inside(v.advance(tileRow, col), v.advance(memoryRow, col), v.rangeMask(col, cols.lo, cols.hi, width));
      });
    };
    if (outside)
      v.branch(valid, visit, [&] { each([&](Value col) { outside(v.advance(tileRow, col)); }); });
    else
      v.branch(valid, visit, nullptr);
  });
}

} // namespace

void lowerGather(Lowering &low, tile::GatherOp op) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(low.tile(op.getTile()).cols);
  Type element = op.getTile().getType().getElementType();
  walkRows(
      low, op,
      [&](Pointer tile, Pointer memory, Value mask) {
        v.store(v.convert(v.loadMasked(memory, width, mask), element), tile);
      },
      [&](Pointer tile) { v.store(v.number(v.vector(width, element), 0), tile); });
}

void lowerScatterAdd(Lowering &low, tile::ScatterAddOp op) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(low.tile(op.getTile()).cols);
  Type element = op.getTile().getType().getElementType();
  walkRows(
      low, op,
      [&](Pointer tile, Pointer memory, Value mask) {
        Value sum = v.plus(v.convert(v.loadMasked(memory, width, mask), element), v.load(tile, width));
        v.storeMasked(v.convert(sum, memory.element), memory, mask);
      },
      nullptr);
}

} // namespace oriel::codegen
