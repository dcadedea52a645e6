// Ops that fill, copy, convert, turn or fold whole tiles.
#include "compiler/codegen/cpu/Lowering.h"

#include <numeric>

using namespace mlir;

namespace oriel::codegen {

void lowerFill(Lowering &low, tile::FillOp op) {
  if (isFoldedIntoDot(op))
    return;
  VectorBuilder &v = low.v;
  Tile tile = low.tile(op.getTile());
  int64_t width = low.width(tile.size());
  Value vector = v.splat(low.scalar(op.getValue()), width);
  v.loop(0, tile.size(), width, [&](Value place) { v.store(vector, v.advance(tile.at, place)); });
}

void copyTile(Lowering &low, Tile from, Tile to) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(from.size());
  v.loop(0, from.size(), width, [&](Value place) {
    Value vector = v.load(v.advance(from.at, place), width);
    v.store(v.convert(vector, to.at.element), v.advance(to.at, place));
  });
}

void lowerCast(Lowering &low, tile::CastOp op) { copyTile(low, low.tile(op.getTile()), low.tile(op.getResult())); }

/// Transposes n vectors of n elements in log2(n) rounds; round d exchanges the off-diagonal d x d blocks of each 2d x
/// 2d.
static void transposeRegisters(VectorBuilder &v, MutableArrayRef<Value> rows) {
  int64_t n = rows.size();
  for (int64_t d = 1; d < n; d *= 2) {
    SmallVector<int32_t> upper(n), lower(n); // lanes of the pair (row, row + d); n + i is lane i of the second
    for (int64_t lane = 0; lane < n; ++lane) {
      bool second = (lane / d) % 2 == 1;
      upper[lane] = second ? n + lane - d : lane;
      lower[lane] = second ? n + lane : lane + d;
    }
    for (int64_t row = 0; row < n; ++row) {
      if ((row / d) % 2 == 1)
        continue;
      Value a = rows[row], b = rows[row + d];
      rows[row] = v.shuffle(a, b, upper);
      rows[row + d] = v.shuffle(a, b, lower);
    }
  }
}

void transposeTile(Lowering &low, Tile from, Tile to) {
  if (from.rows == 1 || from.cols == 1)
    return copyTile(low, from, to);
  VectorBuilder &v = low.v;
  int64_t n = std::gcd(v.lanes(), from.cols); // words of bf16 pairs come in eights
  v.loop(0, from.rows, n, [&](Value row) {
    v.loop(0, from.cols, n, [&](Value col) {
      Pointer source = v.advance(v.advance(from.at, v.mul(row, v.index(from.cols))), col);
      Pointer target = v.advance(v.advance(to.at, v.mul(col, v.index(to.cols))), row);
      SmallVector<Value> block;
      for (int64_t i = 0; i < n; ++i)
        block.push_back(v.load(v.advance(source, i * from.cols), n));
      transposeRegisters(v, block);
      for (int64_t i = 0; i < n; ++i)
        v.store(block[i], v.advance(target, i * to.cols));
    });
  });
}

namespace {

Value combine(VectorBuilder &v, tile::ReduceKind kind, Value a, Value b) {
  switch (kind) {
  case tile::ReduceKind::Sum:
    return v.plus(a, b);
  case tile::ReduceKind::Max:
    return v.greater(a, b);
  case tile::ReduceKind::Min:
    return v.smaller(a, b);
  }
  llvm_unreachable("unknown reduction");
}

/// Each row: `ways` partial vectors over the columns, joined in order, then halved to one value.
void reduceRows(Lowering &low, tile::ReduceKind kind, Tile from, Tile to) {
  VectorBuilder &v = low.v;
  int64_t width = v.lanes(), ways = from.cols % (4 * width) == 0 ? 4 : from.cols % (2 * width) == 0 ? 2 : 1;
  auto join = [&](Value a, Value b) { return combine(v, kind, a, b); };
  v.loop(0, from.rows, 1, [&](Value row) {
    Pointer source = v.advance(from.at, v.mul(row, v.index(from.cols)));
    SmallVector<Value> partial;
    for (int64_t way = 0; way < ways; ++way)
      partial.push_back(v.load(v.advance(source, way * width), width));
    partial = v.loop(ways * width, from.cols, ways * width, partial, [&](Value col, ArrayRef<Value> sums) {
      SmallVector<Value> next;
      for (int64_t way = 0; way < ways; ++way)
        next.push_back(join(sums[way], v.load(v.advance(v.advance(source, col), way * width), width)));
      return next;
    });
    Value all = partial[0];
    for (int64_t way = 1; way < ways; ++way)
      all = join(all, partial[way]);
    v.store(v.horizontal(all, join), v.advance(to.at, row));
  });
}

/// Each group of `ways` column vectors: down the rows in order.
void reduceCols(Lowering &low, tile::ReduceKind kind, Tile from, Tile to) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(from.cols), ways = from.cols % (4 * width) == 0 ? 4 : from.cols % (2 * width) == 0 ? 2 : 1;
  v.loop(0, from.cols, ways * width, [&](Value col) {
    Pointer source = v.advance(from.at, col);
    auto at = [&](Value row, int64_t way) {
      return v.load(v.advance(v.advance(source, v.mul(row, v.index(from.cols))), way * width), width);
    };
    SmallVector<Value> partial;
    for (int64_t way = 0; way < ways; ++way)
      partial.push_back(at(v.index(0), way));
    partial = v.loop(1, from.rows, 1, partial, [&](Value row, ArrayRef<Value> sums) {
      SmallVector<Value> next;
      for (int64_t way = 0; way < ways; ++way)
        next.push_back(combine(v, kind, sums[way], at(row, way)));
      return next;
    });
    for (int64_t way = 0; way < ways; ++way)
      v.store(partial[way], v.advance(v.advance(to.at, col), way * width));
  });
}

} // namespace

void lowerReduce(Lowering &low, tile::ReduceOp op) {
  Tile from = low.tile(op.getTile()), to = low.tile(op.getResult());
  if (from.size() == to.size())
    return copyTile(low, from, to);
  if (op.getAxis() == 1)
    return reduceRows(low, op.getKind(), from, to);
  if (from.cols == 1) // one column: the rows are contiguous
    return reduceRows(low, op.getKind(), from.as(1, from.rows), to);
  reduceCols(low, op.getKind(), from, to);
}

} // namespace oriel::codegen
