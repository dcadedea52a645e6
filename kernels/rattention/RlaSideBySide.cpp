// Builders of the gradients where every chunk has the state before it and the cotangent of the state after it (twoPass,
// saveEvery = 1): a chunk is a cell, nothing is carried from one to the next, and the gradients of queries and of keys
// and values are kernels of their own, so that registers hold one of them.
//
//   A = (phi(q)·phi(k)ᵀ)∘pairs      dA = (do·vᵀ)∘pairs      doR = carry∘do
//   dphi(q) = dA·phi(k) + doR·Sᵀ + do·h0ᵀ
//   dphi(k) = sum over heads of dAᵀ·phi(q)  +  update∘(v·dS'ᵀ)
//   dv      = sum over heads of Aᵀ·do       +  update∘(phi(k)·dS')
#include "kernels/rattention/RlaParts.h"

using namespace mlir;

namespace oriel::kernels {

namespace {
struct ChunkGradInputs {
  RlaBuffers buffers;
  unsigned dout, states; // the states before the chunks, or the cotangents of those after them
};
} // namespace

bool runsSideBySide(const RlaSpec &spec, TileTarget target) {
  constexpr int64_t bf16Bytes = 2, mostBytes = 64 << 10; // beside phi(q), phi(k), values and cotangents of the chunk
  int64_t states = spec.initialState == InitialState::None ? 1 : 2;
  int64_t stateBytes = states * 2 * tileSize(spec.headDim) * tileSize(spec.valueDim) * bf16Bytes;
  return isGpuOfBf16(target) && spec.twoPass && spec.saveEvery == 1 && stateBytes <= mostBytes;
}

static ChunkGradInputs addInputs(Signature &signature, const RlaSpec &spec, bool takesInitialState) {
  ChunkGradInputs inputs;
  inputs.buffers.q = signature.input({spec.batch, spec.tokens, spec.heads, spec.headDim});
  inputs.buffers.k = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  inputs.buffers.v = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  inputs.dout = signature.input({spec.batch, spec.tokens, spec.heads, spec.valueDim});
  if (takesInitialState)
    addInitialState(signature, spec, inputs.buffers);
  if (spec.documents)
    inputs.buffers.docStart = signature.inputI32({spec.batch, spec.tokens});
  inputs.states = signature.inputF32({spec.batch, spec.kvHeads, spec.savedStates(), 2 * spec.headDim, spec.valueDim});
  return inputs;
}

static Value loadOutputGradient(TileBuilder &b, RlaParts &parts, const ChunkGradInputs &inputs, const RlaChunk &chunk,
                                const RlaSpec &spec, Scalar head) {
  return b.load(b.buffer(inputs.dout), parts.outputRows(chunk, head), spec.chunk, parts.valueDim());
}

tile::KernelOp buildRlaDq(OpBuilder &builder, Location loc, StringRef symbol, const RlaSpec &given) {
  RlaSpec spec = given;
  spec.valueBlock = 0;
  Signature signature(builder);
  ChunkGradInputs inputs = addInputs(signature, spec, /*takesInitialState=*/true);
  unsigned dq = signature.output({spec.batch, spec.tokens, spec.heads, spec.headDim});
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, spec.chunks()},
                                 "gradient of residual linear attention for the queries");
  RlaParts parts(b, spec, inputs.buffers, b.y(), b.x(), b.index(0));
  RlaChunk chunk = parts.loadChunk(b.z() * spec.chunk, /*transposed=*/false);
  Halves state = parts.loadState(b.buffer(inputs.states), {b.y(), b.x(), b.z()});
  Scalar firstHead = b.x() * spec.group();
  b.loop(firstHead, firstHead + spec.group(), 1, [&](Scalar head) {
    Value dout_CE = loadOutputGradient(b, parts, inputs, chunk, spec, head);
    Value doutCarry_CE = chunk.masks.carry(dout_CE);
    Value dA_CC = chunk.masks.pairs(b.dotBT(dout_CE, chunk.v));
    std::optional<Halves> initial;
    if (parts.hasInitialState())
      initial = parts.loadInitialState(head);
    Value q_CD = b.load(b.buffer(inputs.buffers.q), parts.queryRows(chunk, head), spec.chunk, parts.dim());
    auto half = [&](Value Halves::*side) {
      Value dphi = b.dot(dA_CC, chunk.phiK.*side, b.dotBT(doutCarry_CE, state.*side));
      if (initial)
        dphi = b.dotBT(dout_CE, (*initial).*side, dphi);
      Value phi = featureMapHalf(b, spec.featureMap, q_CD, spec.headDim, side);
      return featureMapHalfGrad(b, spec.featureMap, phi, dphi, side);
    };
    Value plus = half(&Halves::plus), minus = half(&Halves::minus);
    b.store(b.map({plus, minus}, [](Scalar x, Scalar y) { return x + y; }), b.buffer(dq), parts.queryRows(chunk, head));
  });
  return b.op();
}

tile::KernelOp buildRlaDkDv(OpBuilder &builder, Location loc, StringRef symbol, const RlaSpec &given) {
  RlaSpec spec = given;
  spec.valueBlock = 0;
  Signature signature(builder);
  ChunkGradInputs inputs = addInputs(signature, spec, /*takesInitialState=*/false);
  unsigned dk = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  unsigned dv = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, spec.chunks()},
                                 "gradients of residual linear attention for the keys and values");
  RlaParts parts(b, spec, inputs.buffers, b.y(), b.x(), b.index(0));
  b.when(b.z() == 0.0, [&] { parts.zeroUnusedKeys(b.buffer(dk), b.buffer(dv)); });
  RlaChunk chunk = parts.loadChunk(b.z() * spec.chunk, /*transposed=*/false);
  Halves dNext = parts.loadState(b.buffer(inputs.states), {b.y(), b.x(), b.z()});
  Value throughState = dotHalves(b, chunk.phiK, dNext, b.zeros(spec.chunk, parts.valueDim()));
  Value start[] = {b.dotBT(chunk.vUpdate, dNext.plus), b.dotBT(chunk.vUpdate, dNext.minus),
                   chunk.masks.update(throughState)};
  Scalar firstHead = b.x() * spec.group();
  TileBuilder::Values sums = b.loop(
      firstHead, firstHead + spec.group(), 1, start, [&](Scalar head, ValueRange carried) -> TileBuilder::Values {
        Value dout_CE = loadOutputGradient(b, parts, inputs, chunk, spec, head);
        Value dA_CC = chunk.masks.pairs(b.dotBT(dout_CE, chunk.v));
        Value q_CD = b.load(b.buffer(inputs.buffers.q), parts.queryRows(chunk, head), spec.chunk, parts.dim());
        Value a_CC = b.zeros(spec.chunk, spec.chunk);
        auto half = [&](Value Halves::*side, Value sum) {
          Value phi = featureMapHalf(b, spec.featureMap, q_CD, spec.headDim, side);
          a_CC = b.dotBT(phi, chunk.phiK.*side, a_CC);
          return b.dotAT(dA_CC, phi, sum);
        };
        Value plus = half(&Halves::plus, carried[0]), minus = half(&Halves::minus, carried[1]);
        return {plus, minus, b.dotAT(chunk.masks.pairs(a_CC), dout_CE, carried[2])};
      });
  Place place = parts.keyRows(chunk.firstKey);
  b.store(sums[2], b.buffer(dv), place);
  Value k_CD = b.load(b.buffer(inputs.buffers.k), place, spec.chunk, parts.dim());
  auto half = [&](Value Halves::*side, Value dphi) {
    return featureMapHalfGrad(b, spec.featureMap, featureMapHalf(b, spec.featureMap, k_CD, spec.headDim, side), dphi,
                              side);
  };
  Value plus = half(&Halves::plus, sums[0]), minus = half(&Halves::minus, sums[1]);
  b.store(b.map({plus, minus}, [](Scalar x, Scalar y) { return x + y; }), b.buffer(dk), place);
  return b.op();
}

} // namespace oriel::kernels
