// Ops that fill, copy, convert, turn or fold whole tiles.
#include "compiler/codegen/cpu/InPlace.h"
#include "compiler/codegen/cpu/MapVectors.h"

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
  auto copyVectors = [&](Pointer source, Pointer target, int64_t size) {
    int64_t width = low.width(size);
    v.loop(0, size, width, [&](Value place) {
      Value vector = v.load(v.advance(source, place), width);
      v.store(v.convert(vector, to.at.element), v.advance(target, place));
    });
  };
  if (!from.rowStride)
    return copyVectors(from.at, to.at, from.size());
  v.loop(0, from.rows, 1, [&](Value row) {
    copyVectors(v.advance(from.at, low.row(from, row)), v.advance(to.at, low.row(to, row)), from.cols);
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
      Pointer target = v.advance(v.advance(to.at, v.mul(col, v.index(to.cols))), row);
      SmallVector<Value> block;
      for (int64_t i = 0; i < n; ++i)
        block.push_back(v.load(v.advance(v.advance(from.at, low.row(from, v.add(row, v.index(i)))), col), n));
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

/// What a reduction reads: vectors of a tile, or of a map that was not written anywhere.
struct Source {
  int64_t rows, cols;
  llvm::function_ref<void(Value row)> enterRow;
  llvm::function_ref<Value(Value row, Value col)> at;
};

int64_t waysOf(int64_t cols, int64_t width) { return cols % (4 * width) == 0 ? 4 : cols % (2 * width) == 0 ? 2 : 1; }

/// Each row: `ways` partial vectors over the columns, joined in order, then halved to one value.
void reduceRows(Lowering &low, tile::ReduceKind kind, const Source &from, Tile to) {
  VectorBuilder &v = low.v;
  int64_t width = v.lanes(), ways = waysOf(from.cols, width);
  auto join = [&](Value a, Value b) { return combine(v, kind, a, b); };
  v.loop(0, from.rows, 1, [&](Value row) {
    from.enterRow(row);
    SmallVector<Value> partial;
    for (int64_t way = 0; way < ways; ++way)
      partial.push_back(from.at(row, v.index(way * width)));
    partial = v.loop(ways * width, from.cols, ways * width, partial, [&](Value col, ArrayRef<Value> sums) {
      SmallVector<Value> next;
      for (int64_t way = 0; way < ways; ++way)
        next.push_back(join(sums[way], from.at(row, v.add(col, v.index(way * width)))));
      return next;
    });
    Value all = partial[0];
    for (int64_t way = 1; way < ways; ++way)
      all = join(all, partial[way]);
    v.store(v.horizontal(all, join), v.advance(to.at, row));
  });
}

/// Each group of `ways` column vectors: down the rows in order.
void reduceCols(Lowering &low, tile::ReduceKind kind, const Source &from, Tile to) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(from.cols), ways = waysOf(from.cols, width);
  v.loop(0, from.cols, ways * width, [&](Value col) {
    auto group = [&](Value row) {
      from.enterRow(row);
      SmallVector<Value> vectors;
      for (int64_t way = 0; way < ways; ++way)
        vectors.push_back(from.at(row, v.add(col, v.index(way * width))));
      return vectors;
    };
    SmallVector<Value> partial = group(v.index(0));
    partial = v.loop(1, from.rows, 1, partial, [&](Value row, ArrayRef<Value> sums) {
      SmallVector<Value> next = group(row);
      for (int64_t way = 0; way < ways; ++way)
        next[way] = combine(v, kind, sums[way], next[way]);
      return next;
    });
    for (int64_t way = 0; way < ways; ++way)
      v.store(partial[way], v.advance(v.advance(to.at, col), way * width));
  });
}

void reduce(Lowering &low, tile::ReduceOp op, const Source &from) {
  Tile to = low.tile(op.getResult());
  op.getAxis() == 1 ? reduceRows(low, op.getKind(), from, to) : reduceCols(low, op.getKind(), from, to);
}

LogicalResult reduceMap(Lowering &low, tile::ReduceOp op, tile::MapOp of) {
  MapVectors map(low, of);
  reduce(low, op,
         {map.outer(), map.inner(), [&](Value row) { map.enterRow(row); },
          [&](Value row, Value col) { return map.at(row, col).front(); }});
  return map.result();
}

} // namespace

LogicalResult lowerReduce(Lowering &low, tile::ReduceOp op) {
  if (auto map = op.getTile().getDefiningOp<tile::MapOp>(); map && isFoldedIntoReduce(map))
    return reduceMap(low, op, map);
  VectorBuilder &v = low.v;
  Tile from = low.tile(op.getTile()), to = low.tile(op.getResult());
  if (from.size() == to.size()) {
    copyTile(low, from, to);
    return success();
  }
  auto at = [&](Value row, Value col) {
    Pointer place = v.advance(v.advance(from.at, low.row(from, row)), col);
    return v.convert(v.load(place, low.width(from.cols)), to.at.element);
  };
  if (op.getAxis() == 0 && from.cols == 1) { // one column: the rows are contiguous
    from = from.as(1, from.rows);
    reduceRows(low, op.getKind(), {1, from.cols, [](Value) {}, at}, to);
  } else {
    reduce(low, op, {from.rows, from.cols, [](Value) {}, at});
  }
  return success();
}

} // namespace oriel::codegen
