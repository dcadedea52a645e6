// Builders of the gradient: probabilities are made again from q, k and lse, block by block.
//   p = exp(s - lse),  dp = do·vᵀ,  ds = p ∘ (dp - delta) ∘ (1 - (s/c)²),  dq = scale·ds·k,  dk = dsᵀ·(scale·q),  dv =
//   pᵀ·do
#include "kernels/attention/AttentionBlocks.h"
#include "kernels/common/Signature.h"

using namespace mlir;

namespace oriel::kernels {

tile::KernelOp buildAttentionDelta(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  llvm::SmallVector<int64_t> shape = {spec.batch, spec.tokens, spec.heads, spec.valueDim};
  unsigned o = signature.input(shape), dout = signature.input(shape);
  unsigned delta = signature.output({spec.batch, spec.heads, spec.tokens});
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.tokens, spec.queryTile), spec.heads, spec.batch},
                                 "delta = rowsum(do * o)");
  Scalar query = b.x() * spec.queryTile;
  Place place = AttentionBlocks::rows(b.z(), query, b.y(), b.index(0));
  Value o_QE = b.load(b.buffer(o), place, spec.queryTile, tileSize(spec.valueDim));
  Value do_QE = b.load(b.buffer(dout), place, spec.queryTile, tileSize(spec.valueDim));
  Value delta_Q1 = b.reduceSum(b.map({o_QE, do_QE}, [](Scalar x, Scalar d) { return x * d; }), 1);
  b.store(delta_Q1, b.buffer(delta), AttentionBlocks::perQuery(b.z(), b.y(), query, /*transposed=*/false));
  return b.op();
}

static AttentionGradBuffers addInputs(Signature &signature, const AttentionSpec &spec) {
  AttentionGradBuffers buffers;
  buffers.q = signature.input({spec.batch, spec.tokens, spec.heads, spec.headDim});
  buffers.k = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  buffers.v = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  buffers.dout = signature.input({spec.batch, spec.tokens, spec.heads, spec.valueDim});
  buffers.lse = signature.input({spec.batch, spec.heads, spec.tokens});
  buffers.delta = signature.input({spec.batch, spec.heads, spec.tokens});
  if (spec.documents)
    buffers.docStart = signature.inputI32({spec.batch, spec.tokens});
  return buffers;
}

/// Probabilities and cotangents of the products of one block, both shaped like `scores`.
static std::pair<Value, Value> scoreGradients(TileBuilder &b, const AttentionSpec &spec, Value scores, Value dp,
                                              Value lse, Value delta) {
  Value p = b.map({scores, lse}, [](Scalar s, Scalar l) { return exp(s - l); });
  Value ds = b.map({p, dp, delta, scores}, [&](Scalar p, Scalar dp, Scalar delta, Scalar s) {
    Scalar d = p * (dp - delta);
    if (spec.softCap == 0)
      return d;
    // A masked score is huge; its probability is 0, and the slope must stay finite.
    Scalar t = max(s * (1.0 / spec.softCap), -1.0);
    return d * (1.0 - t * t);
  });
  return {p, ds};
}

tile::KernelOp buildAttentionDq(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  AttentionGradBuffers buffers = addInputs(signature, spec);
  unsigned dq = signature.output({spec.batch, spec.tokens, spec.heads, spec.headDim});
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.tokens, spec.queryTile), spec.kvHeads, spec.batch},
                                 "gradient of attention for the queries");
  AttentionBlocks blocks(b, spec, buffers.docStart);
  int64_t dim = tileSize(spec.headDim), valueDim = tileSize(spec.valueDim), group = spec.heads / spec.kvHeads;
  Scalar query = b.x() * spec.queryTile;
  ScoreBlock block{query, query, blocks.loadDocStart(b.z(), query, /*transposed=*/false)};
  std::pair<Scalar, Scalar> keys = blocks.visibleKeys(b.z(), query);
  b.loop(b.y() * group, b.y() * group + group, 1, [&](Scalar head) {
    Place rows = AttentionBlocks::rows(b.z(), query, head, b.index(0));
    Place perQuery = AttentionBlocks::perQuery(b.z(), head, query, /*transposed=*/false);
    Value q_QD = blocks.loadScaledQueries(b.buffer(buffers.q), rows);
    Value do_QE = b.load(b.buffer(buffers.dout), rows, spec.queryTile, valueDim);
    Value lse_Q1 = b.load(b.buffer(buffers.lse), perQuery, spec.queryTile, 1);
    Value delta_Q1 = b.load(b.buffer(buffers.delta), perQuery, spec.queryTile, 1);
    auto step = [&](Scalar key, ValueRange carried) -> TileBuilder::Values {
      Place place = AttentionBlocks::rows(b.z(), key, b.y(), b.index(0));
      Value k_KD = b.load(b.buffer(buffers.k), place, spec.keyTile, dim);
      Value v_KE = b.load(b.buffer(buffers.v), place, spec.keyTile, valueDim);
      block.firstKey = key;
      Value s_QK = blocks.scores(b.dotBT(q_QD, k_KD), block);
      Value ds_QK = scoreGradients(b, spec, s_QK, b.dotBT(do_QE, v_KE), lse_Q1, delta_Q1).second;
      return {b.dot(ds_QK, k_KD, carried[0])};
    };
    Value dq_QD = b.loop(keys.first, keys.second, spec.keyTile, b.zeros(spec.queryTile, dim), step)[0];
    b.store(b.map({dq_QD}, [&](Scalar d) { return d * spec.scale; }), b.buffer(dq), rows);
  });
  return b.op();
}

namespace {
/// What one block of keys needs while queries pass by. Scores are kept as [keys, queries]: then the products that sum
/// over queries read their operands as they lie.
class KeyBlockProgram {
public:
  KeyBlockProgram(TileBuilder &b, const AttentionSpec &spec, const AttentionGradBuffers &buffers, Scalar batch,
                  Scalar kvHead, std::optional<unsigned> dq)
      : b(b), spec(spec), buffers(buffers), blocks(b, spec, buffers.docStart), batch(batch), kvHead(kvHead), dq(dq) {}

  /// Writes dk and dv of the keys from `key` on; adds to dq where there is one.
  void emit(Scalar key, unsigned dk, unsigned dv);

private:
  using Values = TileBuilder::Values;
  Values meet(Scalar head, Scalar query, Scalar key, Value k_KD, Value v_KE, ValueRange carried);

  TileBuilder &b;
  const AttentionSpec &spec;
  const AttentionGradBuffers &buffers;
  AttentionBlocks blocks;
  Scalar batch, kvHead;
  std::optional<unsigned> dq;
};
} // namespace

/// Adds what one block of queries of one head gives to dk [K,D] and dv [K,E].
KeyBlockProgram::Values KeyBlockProgram::meet(Scalar head, Scalar query, Scalar key, Value k_KD, Value v_KE,
                                              ValueRange carried) {
  Place rows = AttentionBlocks::rows(batch, query, head, b.index(0));
  Place perQuery = AttentionBlocks::perQuery(batch, head, query, /*transposed=*/true);
  Value q_QD = blocks.loadScaledQueries(b.buffer(buffers.q), rows);
  Value do_QE = b.load(b.buffer(buffers.dout), rows, spec.queryTile, tileSize(spec.valueDim));
  Value lse_1Q = b.load(b.buffer(buffers.lse), perQuery, 1, spec.queryTile);
  Value delta_1Q = b.load(b.buffer(buffers.delta), perQuery, 1, spec.queryTile);
  ScoreBlock block{query, key, blocks.loadDocStart(batch, query, /*transposed=*/true), /*transposed=*/true};
  Value s_KQ = blocks.scores(b.dotBT(k_KD, q_QD), block);
  auto [p_KQ, ds_KQ] = scoreGradients(b, spec, s_KQ, b.dotBT(v_KE, do_QE), lse_1Q, delta_1Q);
  if (dq) {
    Value part_QD = b.map({b.dotAT(ds_KQ, k_KD)}, [&](Scalar d) { return d * spec.scale; });
    b.accumulate(part_QD, b.buffer(*dq), rows);
  }
  return {b.dot(ds_KQ, q_QD, carried[0]), b.dot(p_KQ, do_QE, carried[1])};
}

void KeyBlockProgram::emit(Scalar key, unsigned dk, unsigned dv) {
  int64_t dim = tileSize(spec.headDim), valueDim = tileSize(spec.valueDim), group = spec.heads / spec.kvHeads;
  Place rows = AttentionBlocks::rows(batch, key, kvHead, b.index(0));
  Value k_KD = b.load(b.buffer(buffers.k), rows, spec.keyTile, dim);
  Value v_KE = b.load(b.buffer(buffers.v), rows, spec.keyTile, valueDim);
  auto [begin, end] = blocks.visibleQueries(batch, key);
  Value start[] = {b.zeros(spec.keyTile, dim), b.zeros(spec.keyTile, valueDim)};
  auto perHead = [&](Scalar head, ValueRange carried) -> Values {
    return b.loop(begin, end, spec.queryTile, carried,
                  [&](Scalar query, ValueRange inner) { return meet(head, query, key, k_KD, v_KE, inner); });
  };
  Values sums = b.loop(kvHead * group, kvHead * group + group, 1, start, perHead);
  b.store(sums[0], b.buffer(dk), rows);
  b.store(sums[1], b.buffer(dv), rows);
}

tile::KernelOp buildAttentionDkDv(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  AttentionGradBuffers buffers = addInputs(signature, spec);
  unsigned dk = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  unsigned dv = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.tokens, spec.keyTile), spec.kvHeads, spec.batch},
                                 "gradient of attention for keys and values");
  KeyBlockProgram(b, spec, buffers, b.z(), b.y(), /*dq=*/std::nullopt).emit(b.x() * spec.keyTile, dk, dv);
  return b.op();
}

tile::KernelOp buildAttentionGrad(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  AttentionGradBuffers buffers = addInputs(signature, spec);
  unsigned dq = signature.output({spec.batch, spec.tokens, spec.heads, spec.headDim});
  unsigned dk = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  unsigned dv = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, 1}, "gradient of attention in one walk");
  int64_t group = spec.heads / spec.kvHeads;
  b.loop(b.x() * group, b.x() * group + group, 1, [&](Scalar head) {
    b.loop(b.index(0), b.index(spec.tokens), spec.queryTile, [&](Scalar query) {
      b.store(b.zeros(spec.queryTile, tileSize(spec.headDim)), b.buffer(dq),
              AttentionBlocks::rows(b.y(), query, head, b.index(0)));
    });
  });
  KeyBlockProgram program(b, spec, buffers, b.y(), b.x(), dq);
  b.loop(b.index(0), b.index(spec.tokens), spec.keyTile, [&](Scalar key) { program.emit(key, dk, dv); });
  return b.op();
}

} // namespace oriel::kernels
