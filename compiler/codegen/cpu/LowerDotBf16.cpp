// tile.dot of bf16 tiles on CPUs that multiply pairs of bf16 (AVX512_BF16); other CPUs extend to f32 in LowerDot.cpp.
//
// VDPBF16PS adds two products to each of 16 f32 lanes: acc[n] += a[2j]·b[2j][n] + a[2j+1]·b[2j+1][n]. So b is packed as
// [K/2][N][2], the pair of one lane side by side, and a gives its pair as one broadcast 32-bit word, which lies ready
// where K is a's inner dimension and is packed like b where it is not. Everything below counts in such words.
#include "compiler/codegen/cpu/Lowering.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace oriel::codegen {

namespace {

/// Words of op(a) at i * rowStride + j * wordStride, of b [K/2, N]; accumulators and result [M, N].
struct PairProduct {
  Pointer a;
  int64_t rowStride, wordStride;
  Pointer b;
  Tile acc, result;
  int64_t m, n, words;
  Value initial; // a scalar: the accumulators start from it, not from memory
};

/// Two bf16 as one word: [R, C] of bf16 is [R, C/2] of i32.
Tile asWords(Lowering &low, Tile tile) {
  Value stride = tile.rowStride ? low.v.ceilDiv(tile.rowStride, 2) : Value();
  return {{tile.at.base, low.v.i32(), tile.at.alignment}, tile.rows, tile.cols / 2, stride};
}

/// Rows 2j and 2j+1 of `from` [K, C] become row j of words of `to` [K/2, C].
void packRows(Lowering &low, Tile from, Tile to) {
  VectorBuilder &v = low.v;
  int32_t width = static_cast<int32_t>(v.lanes());
  SmallVector<int32_t> interleave;
  for (int32_t lane = 0; lane < width; ++lane)
    interleave.append({lane, width + lane});
  v.loop(0, from.rows, 2, [&](Value row) {
    Pointer even = v.advance(from.at, low.row(from, row)),
            odd = v.advance(from.at, low.row(from, v.add(row, v.index(1))));
    Pointer target = v.advance(to.at, low.row(to, row));
    v.loop(0, from.cols, width, [&](Value col) {
      Value pairs = v.shuffle(v.load(v.advance(even, col), width), v.load(v.advance(odd, col), width), interleave);
      v.store(pairs, v.advance(target, v.mul(col, v.index(2))));
    });
  });
}

Value multiplyPairs(VectorBuilder &v, Value a, Value b, Value acc) {
  auto name = StringAttr::get(acc.getContext(), "llvm.x86.avx512bf16.dpbf16ps.512");
  return LLVM::CallIntrinsicOp::create(v.builder(), v.loc(), acc.getType(), name, ValueRange{acc, a, b}).getResult(0);
}

/// `rows` x `vectors` accumulators at row m0, column n0.
void emitBlock(Lowering &low, const PairProduct &p, Value m0, Value n0, int64_t rows, int64_t vectors) {
  VectorBuilder &v = low.v;
  int64_t width = v.lanes(), unroll = 4;
  VectorType pairs = v.vector(2 * width, v.builder().getBF16Type());
  auto asPairs = [&](Value words) -> Value { return LLVM::BitcastOp::create(v.builder(), v.loc(), pairs, words); };
  auto place = [&](const Tile &tile, int64_t row, int64_t vector) {
    return v.advance(v.advance(v.advance(tile.at, low.row(tile, v.add(m0, v.index(row)))), n0), vector * width);
  };
  SmallVector<Value> sums;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t vector = 0; vector < vectors; ++vector)
      sums.push_back(p.initial ? v.splat(p.initial, width) : v.load(place(p.acc, row, vector), width));

  Pointer a = v.advance(p.a, v.mul(m0, v.index(p.rowStride))), b = v.advance(p.b, n0);
  sums = v.loop(0, p.words, unroll, sums, [&](Value word, ArrayRef<Value> carried) {
    SmallVector<Value> next(carried);
    Pointer aAtWord = v.advance(a, v.mul(word, v.index(p.wordStride)));
    Pointer bAtWord = v.advance(b, v.mul(word, v.index(p.n)));
    for (int64_t step = 0; step < unroll; ++step) {
      SmallVector<Value> bVectors;
      for (int64_t vector = 0; vector < vectors; ++vector)
        bVectors.push_back(asPairs(v.load(v.advance(bAtWord, step * p.n + vector * width), width)));
      for (int64_t row = 0; row < rows; ++row) {
        Value scalar = v.load(v.advance(aAtWord, row * p.rowStride + step * p.wordStride));
        Value broadcast = asPairs(v.splat(scalar, width));
        for (int64_t vector = 0; vector < vectors; ++vector) {
          Value &sum = next[row * vectors + vector];
          sum = multiplyPairs(v, broadcast, bVectors[vector], sum);
        }
      }
    }
    return next;
  });
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t vector = 0; vector < vectors; ++vector)
      v.store(sums[row * vectors + vector], place(p.result, row, vector));
}

/// 16 accumulators: 8 x 2, and 16 x 1 for a last column of vectors. M, N and K are multiples of 16.
void emitProduct(Lowering &low, const PairProduct &p) {
  VectorBuilder &v = low.v;
  int64_t width = v.lanes(), covered = p.n / (2 * width) * 2 * width;
  auto panel = [&](int64_t from, int64_t to, int64_t rows, int64_t vectors) {
    v.loop(from, to, vectors * width,
           [&](Value n0) { v.loop(0, p.m, rows, [&](Value m0) { emitBlock(low, p, m0, n0, rows, vectors); }); });
  };
  panel(0, covered, 8, 2);
  panel(covered, p.n, 16, 1);
}

} // namespace

bool usesPairs(const CpuTarget &target, tile::DotOp dot) { return target.has("avx512bf16") && packsPairs(dot); }

void lowerDotOfPairs(Lowering &low, tile::DotOp op, Tile acc, Value initial) {
  Tile a = low.tile(op.getA()), b = low.tile(op.getB());
  Tile bPacked = low.temporary(op, b.rows, b.cols, b.at.element), aWords = asWords(low, a);
  int64_t k = op.getTransposeA() ? a.rows : a.cols;
  PairProduct p{aWords.at, k / 2, 1,      asWords(low, bPacked).at, acc, low.tile(op.getResult()), acc.rows,
                acc.cols,  k / 2, initial};
  if (op.getTransposeB())
    transposeTile(low, asWords(low, b), {p.b, k / 2, p.n}); // the pairs are words already
  else
    packRows(low, b, bPacked);
  if (op.getTransposeA()) {
    int64_t place = low.plan().temporary(op) + llvm::alignTo(tileBytes(op.getB()), 64);
    Tile aPacked = low.scratchTile(place, a.rows, a.cols, a.at.element);
    packRows(low, a, aPacked);
    p.a = asWords(low, aPacked).at;
    p.rowStride = 1, p.wordStride = p.m;
  }
  emitProduct(low, p);
}

} // namespace oriel::codegen
