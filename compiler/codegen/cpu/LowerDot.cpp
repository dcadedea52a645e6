// tile.dot: register-blocked outer products.
//
// A block of M x N accumulators stays in registers while K runs innermost: each step loads N/lanes vectors of b and one
// scalar of a per row, broadcast, so a transposed a costs nothing. A transposed b is turned into scratch first, unless
// the result is one row or column, where dot products along K read both operands as they lie.
#include "compiler/codegen/cpu/InPlace.h"
#include "compiler/codegen/cpu/Lowering.h"

using namespace mlir;

namespace oriel::codegen {

namespace {

struct Matrix { // element (i, j) at i * rowStride + j * colStride
  Pointer at;
  int64_t rowStride, colStride;
};

struct Product {
  Matrix a;
  Pointer b; // rows are `n` apart
  Tile acc, result;
  int64_t m, n, k;
  Value initial; // a scalar: the accumulators start from it, not from memory
};

/// The accumulator rows and vectors that fit the registers beside the operands: 16 of 32, or 8 of 16.
struct Blocking {
  int64_t rows, vectors, unroll;
};

Blocking blockingFor(VectorBuilder &v, int64_t m, int64_t vectorsLeft, int64_t k) {
  int64_t unroll = k % 4 == 0 ? 4 : 1;
  if (m == 1)
    return {1, vectorsLeft % 4 == 0 ? 4 : vectorsLeft % 2 == 0 ? 2 : 1, unroll};
  int64_t accumulators = v.lanes() == 16 ? 16 : 8;
  int64_t vectors = vectorsLeft >= 2 ? 2 : 1;
  return {accumulators / vectors, vectors, unroll};
}

/// One block of accumulators at row m0, column n0.
void emitBlock(Lowering &low, const Product &p, Value m0, Value n0, Blocking block) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(p.n);
  Type f32 = v.f32();
  auto place = [&](const Tile &tile, int64_t row, int64_t vector) {
    return v.advance(v.advance(v.advance(tile.at, low.row(tile, v.add(m0, v.index(row)))), n0), vector * width);
  };
  SmallVector<Value> sums;
  for (int64_t row = 0; row < block.rows; ++row)
    for (int64_t vector = 0; vector < block.vectors; ++vector)
      sums.push_back(p.initial ? v.splat(p.initial, width) : v.load(place(p.acc, row, vector), width));

  Pointer a = v.advance(p.a.at, v.mul(m0, v.index(p.a.rowStride))), b = v.advance(p.b, n0);
  sums = v.loop(0, p.k, block.unroll, sums, [&](Value k, ArrayRef<Value> carried) {
    SmallVector<Value> next(carried);
    Pointer aAtK = v.advance(a, v.mul(k, v.index(p.a.colStride))), bAtK = v.advance(b, v.mul(k, v.index(p.n)));
    for (int64_t step = 0; step < block.unroll; ++step) {
      SmallVector<Value> bVectors;
      for (int64_t vector = 0; vector < block.vectors; ++vector)
        bVectors.push_back(v.convert(v.load(v.advance(bAtK, step * p.n + vector * width), width), f32));
      for (int64_t row = 0; row < block.rows; ++row) {
        Value scalar = v.load(v.advance(aAtK, row * p.a.rowStride + step * p.a.colStride));
        Value broadcast = v.splat(v.convert(scalar, f32), width);
        for (int64_t vector = 0; vector < block.vectors; ++vector) {
          Value &sum = next[row * block.vectors + vector];
          sum = v.multiplyAdd(broadcast, bVectors[vector], sum);
        }
      }
    }
    return next;
  });
  for (int64_t row = 0; row < block.rows; ++row)
    for (int64_t vector = 0; vector < block.vectors; ++vector)
      v.store(sums[row * block.vectors + vector], place(p.result, row, vector));
}

void emitProduct(Lowering &low, const Product &p) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(p.n);
  auto panel = [&](int64_t from, int64_t to, Blocking block) {
    v.loop(from, to, block.vectors * width,
           [&](Value n0) { v.loop(0, p.m, block.rows, [&](Value m0) { emitBlock(low, p, m0, n0, block); }); });
  };
  Blocking main = blockingFor(v, p.m, p.n / width, p.k);
  int64_t covered = p.n / (main.vectors * width) * main.vectors * width;
  panel(0, covered, main);
  if (covered < p.n)
    panel(covered, p.n, blockingFor(v, p.m, (p.n - covered) / width, p.k));
}

/// acc[r] += sum over k of matrix[r, k] * vector[k], rows of `matrix` contiguous: partial sums by lane, halved at the
/// end.
void emitRowProducts(Lowering &low, Pointer matrix, Pointer vector, Pointer acc, Pointer result, int64_t rows,
                     int64_t k, Value initial) {
  VectorBuilder &v = low.v;
  int64_t width = low.width(k), group = rows % 4 == 0 ? 4 : 1;
  Type f32 = v.f32();
  v.loop(0, rows, group, [&](Value row) {
    Pointer first = v.advance(matrix, v.mul(row, v.index(k)));
    SmallVector<Value> sums(group, v.number(v.vector(width, f32), 0));
    sums = v.loop(0, k, width, sums, [&](Value at, ArrayRef<Value> carried) {
      Value x = v.convert(v.load(v.advance(vector, at), width), f32);
      SmallVector<Value> next;
      for (int64_t i = 0; i < group; ++i) {
        Value m = v.convert(v.load(v.advance(v.advance(first, at), i * k), width), f32);
        next.push_back(v.multiplyAdd(m, x, carried[i]));
      }
      return next;
    });
    for (int64_t i = 0; i < group; ++i) {
      Value sum = v.horizontal(sums[i], [&](Value a, Value b) { return v.plus(a, b); });
      Value start = initial ? initial : v.load(v.advance(v.advance(acc, row), i));
      v.store(v.plus(start, sum), v.advance(v.advance(result, row), i));
    }
  });
}

tile::FillOp fillOf(tile::DotOp dot) {
  auto fill = dot.getAcc().getDefiningOp<tile::FillOp>();
  return fill && isFoldedIntoDot(fill) ? fill : tile::FillOp();
}

} // namespace

bool isFoldedIntoDot(tile::FillOp fill) {
  if (!fill.getTile().hasOneUse())
    return false;
  auto dot = dyn_cast<tile::DotOp>(*fill.getTile().user_begin());
  return dot && dot.getAcc() == fill.getTile() && dot->getBlock() == fill->getBlock();
}

void lowerDot(Lowering &low, tile::DotOp op) {
  tile::FillOp fill = fillOf(op);
  Value initial = fill ? low.scalar(fill.getValue()) : Value();
  Tile a = low.tile(op.getA()), b = low.tile(op.getB()), acc = low.tile(op.getAcc());
  if (tile::StoreOp store = accumulateInPlace(op)) {
    prepareStoreInPlace(low, store);
    acc = low.tile(op.getResult());
    initial = {};
  }
  if (usesPairs(low.v.target(), op))
    return lowerDotOfPairs(low, op, acc, initial);
  Tile result = low.tile(op.getResult());
  int64_t m = acc.rows, n = acc.cols, k = op.getTransposeA() ? a.rows : a.cols;

  bool aRowsContiguous = !op.getTransposeA() || m == 1; // along k
  bool bColsContiguous = op.getTransposeB() || n == 1;  // along k
  if (n == 1 && aRowsContiguous && k > 1)
    return emitRowProducts(low, a.at, b.at, acc.at, result.at, m, k, initial);
  if (m == 1 && bColsContiguous && k > 1)
    return emitRowProducts(low, b.at, a.at, acc.at, result.at, n, k, initial);
  if (n == 1) // accᵀ = bᵀ·aᵀ, whose rows a holds contiguously
    return emitProduct(low, {{b.at, k, 1}, a.at, acc.as(1, m), result.as(1, m), 1, m, k, initial});
  if (transposesB(op)) {
    Tile turned = low.temporary(op, b.cols, b.rows, b.at.element);
    transposeTile(low, b, turned);
    b = turned;
  }
  Matrix left = op.getTransposeA() ? Matrix{a.at, 1, m} : Matrix{a.at, k, 1};
  emitProduct(low, {left, b.at, acc, result, m, n, k, initial});
}

} // namespace oriel::codegen
