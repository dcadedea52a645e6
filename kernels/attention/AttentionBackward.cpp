// Builders of the gradient: probabilities are made again from q, k and lse, block by block.
//   p = exp(s - lse),  dp = do·vᵀ,  ds = scale·p∘(dp - delta)∘(1 - (s/c)²),  dq = ds·k,  dk = dsᵀ·q,  dv = pᵀ·do
// What stays during a walk is turned and scaled once, so that all products of a step read their operands as they lie.
#include "kernels/attention/AttentionBlocks.h"
#include "kernels/common/Signature.h"

using namespace mlir;

namespace oriel::kernels {

tile::KernelOp buildAttentionDelta(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  llvm::SmallVector<int64_t> shape = {spec.batch, spec.tokens, spec.heads, spec.valueDim};
  unsigned o = signature.input(shape), dout = signature.input(shape);
  unsigned delta = signature.outputF32({spec.batch, spec.heads, spec.tokens});
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.tokens, spec.queryTile), spec.heads, spec.batch},
                                 "delta = rowsum(do * o)");
  Scalar query = b.x() * spec.queryTile;
  AttentionBlocks blocks(b, spec, /*docStart=*/std::nullopt, b.z());
  Place place = blocks.rows(query, b.y());
  Value o_QE = b.load(b.buffer(o), place, spec.queryTile, tileSize(spec.valueDim));
  Value do_QE = b.load(b.buffer(dout), place, spec.queryTile, tileSize(spec.valueDim));
  Value delta_Q1 = b.reduceSum(b.map({o_QE, do_QE}, [](Scalar x, Scalar d) { return x * d; }), 1);
  b.store(delta_Q1, b.buffer(delta), blocks.perQuery(b.y(), query, /*transposed=*/false));
  return b.op();
}

AttentionGradBuffers addGradInputs(Signature &signature, const AttentionSpec &spec, bool hasDelta) {
  AttentionGradBuffers buffers;
  buffers.q = signature.input({spec.batch, spec.tokens, spec.heads, spec.headDim});
  buffers.k = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  buffers.v = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  buffers.dout = signature.input({spec.batch, spec.tokens, spec.heads, spec.valueDim});
  buffers.lse = signature.inputF32({spec.batch, spec.heads, spec.tokens});
  if (hasDelta)
    buffers.delta = signature.inputF32({spec.batch, spec.heads, spec.tokens});
  if (spec.documents)
    buffers.docStart = signature.inputI32({spec.batch, spec.tokens});
  return buffers;
}

/// Probabilities and cotangents of the unscaled products of one block, both shaped like `scores`.
static std::pair<Value, Value> scoreGradients(TileBuilder &b, const AttentionBlocks &blocks, const AttentionSpec &spec,
                                              Value scores, Value dp, Value lse, Value delta) {
  auto body = [&](TileBuilder &, ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
    Scalar s = in[0], p = exp(blocks.rescaled(s) - in[2]), ds = p * ((in[1] - in[3]) * spec.scale);
    return {p, spec.softCap > 0 ? ds * blocks.slope(s) : ds};
  };
  TileBuilder::Values both = b.mapN({scores, dp, lse, delta}, body);
  return {both[0], both[1]};
}

tile::KernelOp buildAttentionDq(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  AttentionGradBuffers buffers = addGradInputs(signature, spec, /*hasDelta=*/true);
  unsigned dq = signature.output({spec.batch, spec.tokens, spec.heads, spec.headDim});
  unsigned exactDelta = signature.outputF32({spec.batch, spec.heads, spec.tokens});
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.tokens, spec.queryTile), spec.kvHeads, spec.batch},
                                 "gradient of attention for the queries");
  AttentionBlocks blocks(b, spec, buffers.docStart, b.z());
  int64_t dim = tileSize(spec.headDim), valueDim = tileSize(spec.valueDim), group = spec.heads / spec.kvHeads;
  Scalar query = blocks.firstQueryOf(b.x()), kvHead = b.y();
  ScoreBlock block = blocks.queryBlock(query, /*transposed=*/true);
  std::pair<Scalar, Scalar> keys = blocks.visibleKeys(query);
  b.loop(kvHead * group, kvHead * group + group, 1, [&](Scalar head) {
    Place rows = blocks.rows(query, head), perQuery = blocks.perQuery(head, query, /*transposed=*/true);
    Value q_DQ = b.transpose(blocks.scaled(b.load(b.buffer(buffers.q), rows, spec.queryTile, dim)));
    Value do_EQ = b.transpose(b.load(b.buffer(buffers.dout), rows, spec.queryTile, valueDim));
    Value lse_1Q = b.load(b.buffer(buffers.lse), perQuery, 1, spec.queryTile);
    Value delta_1Q = b.load(b.buffer(*buffers.delta), perQuery, 1, spec.queryTile);
    auto keyAt = blocks.keyOrder(head, keys);
    auto step = [&](Scalar at, ValueRange carried) -> TileBuilder::Values {
      Scalar key = keyAt(at);
      Value k_KD = b.load(b.buffer(buffers.k), blocks.rows(key, kvHead), spec.keyTile, dim);
      Value v_KE = b.load(b.buffer(buffers.v), blocks.rows(key, kvHead), spec.keyTile, valueDim);
      block.firstKey = key;
      Value s_KQ = blocks.scores(b.precise(b.dot(k_KD, q_DQ)), block), dp_KQ = b.precise(b.dot(v_KE, do_EQ));
      auto [p_KQ, ds_KQ] = scoreGradients(b, blocks, spec, s_KQ, dp_KQ, lse_1Q, delta_1Q);
      Value ofBlock_1Q = b.reduceSum(b.map({p_KQ, dp_KQ}, [](Scalar p, Scalar dp) { return p * dp; }), 0);
      Value exactDelta_1Q = b.map({carried[1], ofBlock_1Q}, [](Scalar sum, Scalar next) { return sum + next; });
      return {b.dotAT(ds_KQ, k_KD, carried[0]), exactDelta_1Q};
    };
    Value start[] = {b.zeros(spec.queryTile, dim), b.zeros(1, spec.queryTile)};
    TileBuilder::Values sums = b.loop(keys.first, keys.second, spec.keyTile, start, step);
    b.store(sums[0], b.buffer(dq), rows);
    b.store(sums[1], b.buffer(exactDelta), perQuery);
  });
  return b.op();
}

namespace {
/// Keys and values of one block, as they lie and turned.
struct KeyBlock {
  Scalar first;
  Value k_KD, scaledK_DK, v_EK;
};

/// What one block of keys needs while queries pass by.
class KeyBlockProgram {
public:
  KeyBlockProgram(TileBuilder &b, const AttentionSpec &spec, const AttentionGradBuffers &buffers, Scalar batch,
                  Scalar kvHead, std::optional<unsigned> dq)
      : b(b), spec(spec), buffers(buffers), blocks(b, spec, buffers.docStart, batch), kvHead(kvHead), dq(dq) {}

  /// Writes dk and dv of the keys from `key` on; adds to dq where there is one.
  void emit(Scalar key, unsigned dk, unsigned dv);
  /// dq = 0 for the queries that the keys from `key` on are the first to meet, and all heads of the group.
  void clearDq(Scalar key);

private:
  using Values = TileBuilder::Values;
  KeyBlock loadKeys(Scalar key);
  Values walkByHead(const KeyBlock &keys, ValueRange start);
  Values walkAbreast(const KeyBlock &keys, ValueRange start);
  Values meet(Scalar head, Scalar query, const KeyBlock &keys, ValueRange carried);
  Value inTurn(Value tile);
  Scalar firstHead() { return kvHead * (spec.heads / spec.kvHeads); }
  Scalar endHead() { return firstHead() + spec.heads / spec.kvHeads; }

  TileBuilder &b;
  const AttentionSpec &spec;
  const AttentionGradBuffers &buffers;
  AttentionBlocks blocks;
  Scalar kvHead;
  std::optional<unsigned> dq;
};
} // namespace

KeyBlock KeyBlockProgram::loadKeys(Scalar key) {
  Place rows = blocks.rows(key, kvHead);
  Value k_KD = b.load(b.buffer(buffers.k), rows, spec.keyTile, tileSize(spec.headDim));
  Value v_KE = b.load(b.buffer(buffers.v), rows, spec.keyTile, tileSize(spec.valueDim));
  return {key, k_KD, b.transpose(blocks.scaled(k_KD)), b.transpose(v_KE)};
}

/// The tile as products read it from shared memory: where tiles take turns, a copy that is made here and not before.
Value KeyBlockProgram::inTurn(Value tile) {
  return spec.takesTurns ? b.map({tile}, [](Scalar x) { return x; }) : tile;
}

/// Adds what one block of queries of one head gives to dk [K,D] and dv [K,E].
KeyBlockProgram::Values KeyBlockProgram::meet(Scalar head, Scalar query, const KeyBlock &keys, ValueRange carried) {
  Place rows = blocks.rows(query, head), perQuery = blocks.perQuery(head, query, /*transposed=*/false);
  Value q_QD = b.load(b.buffer(buffers.q), rows, spec.queryTile, tileSize(spec.headDim));
  Value do_QE = b.load(b.buffer(buffers.dout), rows, spec.queryTile, tileSize(spec.valueDim));
  Value lse_Q1 = b.load(b.buffer(buffers.lse), perQuery, spec.queryTile, 1);
  Value delta_Q1 = b.load(b.buffer(*buffers.delta), perQuery, spec.queryTile, 1);
  ScoreBlock block = blocks.queryBlock(query, /*transposed=*/false);
  block.firstKey = keys.first;
  Value s_QK = blocks.scores(b.precise(b.dot(inTurn(q_QD), keys.scaledK_DK)), block);
  Value doInTurn_QE = inTurn(do_QE), dp_QK = b.precise(b.dot(doInTurn_QE, keys.v_EK));
  auto [p_QK, ds_QK] = scoreGradients(b, blocks, spec, s_QK, dp_QK, lse_Q1, delta_Q1);
  if (dq)
    b.accumulate(b.dot(ds_QK, keys.k_KD), b.buffer(*dq), rows);
  if (!spec.takesTurns)
    return {b.dotAT(ds_QK, q_QD, carried[0]), b.dotAT(p_QK, do_QE, carried[1])};
  Value dv_KE = b.dotAT(p_QK, doInTurn_QE, carried[1]); // before q has its second turn
  return {b.dotAT(ds_QK, inTurn(q_QD), carried[0]), dv_KE};
}

/// The last tile may reach behind these queries: what it and the visits of these keys leave there, zero or not, is
/// cleared again before the first keys that such a query sees.
void KeyBlockProgram::clearDq(Scalar key) {
  auto endOf = [&](Scalar firstKey) { // of the queries that a block of keys meets
    return spec.window < 0 ? b.index(spec.tokens) : min(firstKey + (spec.keyTile + spec.window), spec.tokens);
  };
  Scalar begin = select(key == b.index(0), b.index(0), endOf(key - spec.keyTile)), end = endOf(key);
  b.loop(firstHead(), endHead(), 1, [&](Scalar head) {
    b.loop(begin, end, spec.queryTile, [&](Scalar query) {
      b.store(b.zeros(spec.queryTile, tileSize(spec.headDim)), b.buffer(*dq), blocks.rows(query, head));
    });
  });
}

/// All queries of a head, then those of the next.
KeyBlockProgram::Values KeyBlockProgram::walkByHead(const KeyBlock &keys, ValueRange start) {
  auto [begin, end] = blocks.visibleQueries(keys.first);
  return b.loop(firstHead(), endHead(), 1, start, [&, begin = begin, end = end](Scalar head, ValueRange carried) {
    return b.loop(begin, end, spec.queryTile, carried,
                  [&](Scalar query, ValueRange inner) { return meet(head, query, keys, inner); });
  });
}

/// A block of queries of each head, then the next block. What the next cell begins with was then read as long ago as its
/// own walk is, which is shorter, and not as this one's.
KeyBlockProgram::Values KeyBlockProgram::walkAbreast(const KeyBlock &keys, ValueRange start) {
  auto [begin, end] = blocks.visibleQueries(keys.first);
  int64_t group = spec.heads / spec.kvHeads;
  Scalar steps = (end - begin + (spec.queryTile - 1)) / spec.queryTile * group;
  return b.loop(b.index(0), steps, 1, start, [&, begin = begin](Scalar step, ValueRange carried) {
    Scalar head = firstHead() + remainder(step, b.index(group)), query = begin + step / group * spec.queryTile;
    return meet(head, query, keys, carried);
  });
}

void KeyBlockProgram::emit(Scalar key, unsigned dk, unsigned dv) {
  KeyBlock keys = loadKeys(key);
  Value start[] = {b.zeros(spec.keyTile, tileSize(spec.headDim)), b.zeros(spec.keyTile, tileSize(spec.valueDim))};
  Values sums = spec.sharedCache ? walkAbreast(keys, start) : walkByHead(keys, start);
  b.store(sums[0], b.buffer(dk), blocks.rows(key, kvHead));
  b.store(sums[1], b.buffer(dv), blocks.rows(key, kvHead));
}

tile::KernelOp buildAttentionDkDv(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  AttentionGradBuffers buffers = addGradInputs(signature, spec, /*hasDelta=*/true);
  unsigned dk = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  unsigned dv = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.tokens, spec.keyTile), spec.kvHeads, spec.batch},
                                 "gradient of attention for keys and values");
  KeyBlockProgram(b, spec, buffers, b.z(), b.y(), /*dq=*/std::nullopt).emit(b.x() * spec.keyTile, dk, dv);
  return b.op();
}

tile::KernelOp buildAttentionGrad(OpBuilder &builder, Location loc, StringRef symbol, const AttentionSpec &spec) {
  Signature signature(builder);
  AttentionGradBuffers buffers = addGradInputs(signature, spec, /*hasDelta=*/true);
  unsigned dq = signature.output({spec.batch, spec.tokens, spec.heads, spec.headDim});
  unsigned dk = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  unsigned dv = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, 1}, "gradient of attention in one walk");
  KeyBlockProgram program(b, spec, buffers, b.y(), b.x(), dq);
  b.loop(b.index(0), b.index(spec.tokens), spec.keyTile, [&](Scalar key) {
    program.clearDq(key);
    program.emit(key, dk, dv);
  });
  return b.op();
}

} // namespace oriel::kernels
