// Builder of the forward pass. One cell is one block of queries of one group of heads; the group's heads follow one
// another, so that keys and values stay in the cache.
#include "kernels/attention/AttentionBlocks.h"
#include "kernels/common/Signature.h"

using namespace mlir;

namespace oriel::kernels {

namespace {
struct ForwardBuffers {
  unsigned q, k, v, o, lse;
};
} // namespace

/// The walk over the keys of one head's block of queries: accumulator [Q,E], running maximum and sum [Q,1].
static TileBuilder::Values walkKeys(TileBuilder &b, const AttentionSpec &spec, AttentionBlocks &blocks,
                                    const ForwardBuffers &buffers, Scalar kvHead, Value q_QD, ScoreBlock block,
                                    std::pair<Scalar, Scalar> keys) {
  int64_t dim = tileSize(spec.headDim), valueDim = tileSize(spec.valueDim);
  auto step = [&](Scalar key, ValueRange carried) -> TileBuilder::Values {
    Place place = AttentionBlocks::rows(b.z(), key, kvHead, b.index(0));
    Value k_KD = b.load(b.buffer(buffers.k), place, spec.keyTile, dim);
    Value v_KE = b.load(b.buffer(buffers.v), place, spec.keyTile, valueDim);
    block.firstKey = key;
    Value s_QK = blocks.scores(b.dotBT(q_QD, k_KD), block);
    Value max_Q1 = b.map({carried[1], b.reduceMax(s_QK, 1)}, [](Scalar a, Scalar c) { return max(a, c); });
    Value p_QK = b.map({s_QK, max_Q1}, [](Scalar s, Scalar m) { return exp(s - m); });
    Value shrink_Q1 = b.map({carried[1], max_Q1}, [](Scalar before, Scalar m) { return exp(before - m); });
    Value sum_Q1 = b.map({carried[2], shrink_Q1, b.reduceSum(p_QK, 1)},
                         [](Scalar s, Scalar shrink, Scalar p) { return s * shrink + p; });
    Value acc_QE = b.map({carried[0], shrink_Q1}, [](Scalar a, Scalar shrink) { return a * shrink; });
    return {b.dot(p_QK, v_KE, acc_QE), max_Q1, sum_Q1};
  };
  Value start[] = {b.zeros(spec.queryTile, valueDim), b.fill(maximumStart, spec.queryTile, 1),
                   b.zeros(spec.queryTile, 1)};
  return b.loop(keys.first, keys.second, spec.keyTile, start, step);
}

tile::KernelOp buildAttention(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  ForwardBuffers buffers;
  buffers.q = signature.input({spec.batch, spec.tokens, spec.heads, spec.headDim});
  buffers.k = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  buffers.v = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  std::optional<unsigned> docStart;
  if (spec.documents)
    docStart = signature.inputI32({spec.batch, spec.tokens});
  buffers.o = signature.output({spec.batch, spec.tokens, spec.heads, spec.valueDim});
  buffers.lse = signature.output({spec.batch, spec.heads, spec.tokens});
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.tokens, spec.queryTile), spec.kvHeads, spec.batch},
                                 "softmax attention in blocks");
  AttentionBlocks blocks(b, spec, docStart);
  Scalar query = b.x() * spec.queryTile;
  ScoreBlock block{query, query, blocks.loadDocStart(b.z(), query, /*transposed=*/false)};
  std::pair<Scalar, Scalar> keys = blocks.visibleKeys(b.z(), query);
  int64_t group = spec.heads / spec.kvHeads;
  b.loop(b.y() * group, b.y() * group + group, 1, [&](Scalar head) {
    Place place = AttentionBlocks::rows(b.z(), query, head, b.index(0));
    Value q_QD = blocks.loadScaledQueries(b.buffer(buffers.q), place);
    TileBuilder::Values ends = walkKeys(b, spec, blocks, buffers, b.y(), q_QD, block, keys);
    Value inverse_Q1 = b.map({ends[2]}, [](Scalar sum) { return 1.0 / sum; });
    b.store(b.map({ends[0], inverse_Q1}, [](Scalar a, Scalar i) { return a * i; }), b.buffer(buffers.o), place);
    b.store(b.map({ends[1], ends[2]}, [](Scalar m, Scalar s) { return m + log(s); }), b.buffer(buffers.lse),
            AttentionBlocks::perQuery(b.z(), head, query, /*transposed=*/false));
  });
  return b.op();
}

} // namespace oriel::kernels
