// Builder of the gradient over a short window, block of queries by block of queries. The keys that a block sees are one
// tile, so p and dp of whole rows are at hand:
//   p = exp(s - lse),  delta = rowsum(p∘dp),  ds = scale·p∘(dp - delta)∘(1 - (s/c)²),  dq = ds·k,  dk += dsᵀ·q,  dv += pᵀ·do
// delta is the mean of dp under the very p that ds is made of, and not what a rounded o makes of it: rows of ds sum to zero.
// Scores lie as [keys, queries], as in the forward.
#include "kernels/attention/AttentionBlocks.h"
#include "kernels/common/Signature.h"

using namespace mlir;

namespace oriel::kernels {

namespace {
/// A block of queries, and the keys that it sees.
class QueryBlockProgram {
public:
  QueryBlockProgram(TileBuilder &b, const AttentionSpec &spec, const AttentionGradBuffers &buffers, Scalar batch,
                    Scalar kvHead)
      : b(b), spec(spec), buffers(buffers), blocks(b, spec, buffers.docStart, batch), kvHead(kvHead) {}

  /// dk = dv = 0 for the keys that the queries from `query` on are the first to see: those at their own places.
  void clearKeys(Scalar query, unsigned dk, unsigned dv);
  /// Writes dq of the queries from `query` on, and adds to dk and dv of the keys that they see.
  void emit(Scalar query, unsigned dq, unsigned dk, unsigned dv);

private:
  void meet(ScoreBlock block, int64_t keyTile, unsigned dq, unsigned dk, unsigned dv);
  std::pair<Value, Value> scoreGradients(Value scores, Value p, Value dp);

  TileBuilder &b;
  const AttentionSpec &spec;
  const AttentionGradBuffers &buffers;
  AttentionBlocks blocks;
  Scalar kvHead;
};
} // namespace

void QueryBlockProgram::clearKeys(Scalar query, unsigned dk, unsigned dv) {
  Place keys = blocks.rows(query, kvHead);
  b.store(b.zeros(spec.queryTile, tileSize(spec.headDim)), b.buffer(dk), keys);
  b.store(b.zeros(spec.queryTile, tileSize(spec.valueDim)), b.buffer(dv), keys);
}

void QueryBlockProgram::emit(Scalar query, unsigned dq, unsigned dk, unsigned dv) {
  ScoreBlock block = blocks.queryBlock(query, /*transposed=*/true);
  auto [begin, end] = blocks.visibleKeys(query);
  block.firstKey = begin;
  int64_t half = tileSize(spec.keyTile / 2); // enough near the start of a row or of a document
  Scalar seen = end - begin;
  b.when(seen <= static_cast<double>(half), [&] { meet(block, half, dq, dk, dv); });
  b.when(seen > static_cast<double>(half), [&] { meet(block, spec.keyTile, dq, dk, dv); });
}

/// p again, for the product, and the cotangents of the unscaled products: [K,Q] both.
std::pair<Value, Value> QueryBlockProgram::scoreGradients(Value scores, Value p, Value dp) {
  Value delta_1Q = b.reduceSum(b.map({p, dp}, [](Scalar weight, Scalar d) { return weight * d; }), 0);
  TileBuilder::Values inputs = {p, dp, delta_1Q};
  if (spec.softCap > 0)
    inputs.push_back(scores);
  auto body = [&](TileBuilder &, ArrayRef<Scalar> in) -> SmallVector<Scalar> {
    Scalar ds = in[0] * ((in[1] - in[2]) * spec.scale);
    return {in[0], spec.softCap > 0 ? ds * blocks.slope(in[3]) : ds};
  };
  TileBuilder::Values both = b.mapN(inputs, body);
  return {both[0], both[1]};
}

void QueryBlockProgram::meet(ScoreBlock block, int64_t keyTile, unsigned dq, unsigned dk, unsigned dv) {
  int64_t dim = tileSize(spec.headDim), valueDim = tileSize(spec.valueDim), group = spec.heads / spec.kvHeads;
  Place keys = blocks.rows(block.firstKey, kvHead);
  Value k_KD = b.load(b.buffer(buffers.k), keys, keyTile, dim);
  Value v_KE = b.load(b.buffer(buffers.v), keys, keyTile, valueDim);
  b.loop(kvHead * group, kvHead * group + group, 1, [&](Scalar head) {
    Place rows = blocks.rows(block.firstQuery, head), perQuery = blocks.perQuery(head, block.firstQuery, true);
    Value q_QD = b.load(b.buffer(buffers.q), rows, spec.queryTile, dim);
    Value do_QE = b.load(b.buffer(buffers.dout), rows, spec.queryTile, valueDim);
    Value lse_1Q = b.load(b.buffer(buffers.lse), perQuery, 1, spec.queryTile);
    Value s_KQ = blocks.capped(b.precise(b.dot(k_KD, b.transpose(blocks.scaled(q_QD)))));
    Value dp_KQ = b.precise(b.dot(v_KE, b.transpose(do_QE)));
    auto [p_KQ, ds_KQ] = scoreGradients(s_KQ, blocks.weights(s_KQ, lse_1Q, block), dp_KQ);
    b.store(b.dotAT(ds_KQ, k_KD), b.buffer(dq), rows);
    b.accumulate(b.dot(ds_KQ, q_QD), b.buffer(dk), keys);
    b.accumulate(b.dot(p_KQ, do_QE), b.buffer(dv), keys);
  });
}

tile::KernelOp buildAttentionRowGrad(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  AttentionGradBuffers buffers = addGradInputs(signature, spec, /*hasDelta=*/false);
  unsigned dq = signature.output({spec.batch, spec.tokens, spec.heads, spec.headDim});
  unsigned dk = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  unsigned dv = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, 1}, "gradient of attention, row by row");
  QueryBlockProgram program(b, spec, buffers, b.y(), b.x());
  b.loop(b.index(0), b.index(spec.tokens), spec.queryTile, [&](Scalar query) {
    program.clearKeys(query, dk, dv);
    program.emit(query, dq, dk, dv);
  });
  return b.op();
}

} // namespace oriel::kernels
