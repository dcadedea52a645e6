// The forward pass. One cell is one block of queries of one group of heads; the group's heads follow one another, so
// that keys and values stay in the cache.
#include "kernels/attention/AttentionBlocks.h"
#include "kernels/common/Signature.h"

using namespace mlir;

namespace oriel::kernels {

/// Scores lie as [keys, queries]: the queries are turned once, before the walk, and both products of a step read their
/// operands as they lie. Carried: accumulator [Q,E], running maximum and sum [1,Q].
AttendedBlock AttentionBlocks::attend(const AttentionInputs &inputs, Scalar head, Scalar kvHead, ScoreBlock block,
                                      std::pair<Scalar, Scalar> keys) {
  TileBuilder &b = b_;
  int64_t dim = tileSize(spec_.headDim), valueDim = tileSize(spec_.valueDim);
  Value q_QD = b.load(b.buffer(inputs.q), rows(block.firstQuery, head), spec_.queryTile, dim);
  Value q_DQ = b.transpose(scaled(q_QD));
  auto keyAt = keyOrder(head, keys);
  auto step = [&](Scalar at, ValueRange carried) -> TileBuilder::Values {
    Scalar key = keyAt(at);
    Value k_KD = b.load(b.buffer(inputs.k), rows(key, kvHead), spec_.keyTile, dim);
    block.firstKey = key;
    Value s_KQ = scores(b.precise(b.dot(k_KD, q_DQ)), block);
    Value max_1Q = b.map({carried[1], b.reduceMax(s_KQ, 0)}, [&](Scalar a, Scalar c) { return max(a, rescaled(c)); });
    Value p_KQ = b.map({s_KQ, max_1Q}, [&](Scalar s, Scalar m) { return exp(rescaled(s) - m); });
    Value shrink_1Q = b.map({carried[1], max_1Q}, [](Scalar before, Scalar m) { return exp(before - m); });
    Value sum_1Q = b.map({carried[2], shrink_1Q, b.reduceSum(p_KQ, 0)},
                         [](Scalar s, Scalar shrink, Scalar p) { return s * shrink + p; });
    Value acc_QE = b.map({carried[0], b.transpose(shrink_1Q)}, [](Scalar a, Scalar shrink) { return a * shrink; });
    Value v_KE = b.load(b.buffer(inputs.v), rows(key, kvHead), spec_.keyTile, valueDim);
    return {b.precise(b.dotAT(p_KQ, v_KE, acc_QE)), max_1Q, sum_1Q};
  };
  Value start[] = {b.zeros(spec_.queryTile, valueDim), b.fill(maximumStart, 1, spec_.queryTile),
                   b.zeros(1, spec_.queryTile)};
  TileBuilder::Values ends = b.loop(keys.first, keys.second, spec_.keyTile, start, step);
  Value inverse_Q1 = b.transpose(b.map({ends[2]}, [](Scalar sum) { return 1.0 / sum; }));
  Value lse_1Q = b.map({ends[1], ends[2]}, [](Scalar m, Scalar s) { return m + log(s); });
  return {b.map({ends[0], inverse_Q1}, [](Scalar a, Scalar i) { return a * i; }), b.transpose(lse_1Q)};
}

tile::KernelOp buildAttention(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  AttentionInputs inputs;
  inputs.q = signature.input({spec.batch, spec.tokens, spec.heads, spec.headDim});
  inputs.k = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  inputs.v = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  std::optional<unsigned> docStart;
  if (spec.documents)
    docStart = signature.inputI32({spec.batch, spec.tokens});
  unsigned o = signature.output({spec.batch, spec.tokens, spec.heads, spec.valueDim});
  unsigned lse = signature.outputF32({spec.batch, spec.heads, spec.tokens});
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.tokens, spec.queryTile), spec.kvHeads, spec.batch},
                                 "softmax attention in blocks");
  AttentionBlocks blocks(b, spec, docStart, b.z());
  Scalar query = blocks.firstQueryOf(b.x()), kvHead = b.y();
  ScoreBlock block = blocks.queryBlock(query, /*transposed=*/true);
  std::pair<Scalar, Scalar> keys = blocks.visibleKeys(query);
  int64_t group = spec.heads / spec.kvHeads;
  b.loop(kvHead * group, kvHead * group + group, 1, [&](Scalar head) {
    AttendedBlock attended = blocks.attend(inputs, head, kvHead, block, keys);
    b.store(attended.o, b.buffer(o), blocks.rows(query, head));
    b.store(attended.lse, b.buffer(lse), blocks.perQuery(head, query, /*transposed=*/false));
  });
  return b.op();
}

} // namespace oriel::kernels
