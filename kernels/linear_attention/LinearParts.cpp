#include "kernels/linear_attention/LinearParts.h"

using namespace mlir;

namespace oriel::kernels {

/// What the normaliser has added to it.
static constexpr double normaliserEpsilon = 1e-10;

std::string symbol(const LinearAttentionSpec &spec, StringRef stage) {
  return SymbolName(("linear_attention_" + stage).str())
      .add("b", spec.batch)
      .add("t", spec.tokens)
      .add("n", spec.heads)
      .add("kv", spec.kvHeads)
      .add("d", spec.headDim)
      .add("e", spec.valueDim)
      .add("s", spec.scale)
      .flag("norm", spec.normalize)
      .flag("h0", spec.initialState)
      .flag("doc", spec.documents)
      .flag("hT", spec.finalState)
      .add("c", spec.chunk)
      .add("m", spec.saveEvery)
      .str();
}

StateBuffers addState(Signature &signature, const LinearAttentionSpec &spec, bool isOutput) {
  auto add = [&](llvm::ArrayRef<int64_t> shape) {
    return isOutput ? signature.outputF32(shape) : signature.inputF32(shape);
  };
  StateBuffers buffers;
  buffers.state = add({spec.batch, spec.kvHeads, spec.headDim, spec.valueDim});
  if (spec.normalize)
    buffers.sum = add({spec.batch, spec.kvHeads, spec.headDim});
  return buffers;
}

LinearBuffers addLinearInputs(Signature &signature, const LinearAttentionSpec &spec, std::optional<unsigned> *dout) {
  LinearBuffers buffers;
  buffers.q = signature.input({spec.batch, spec.tokens, spec.heads, spec.headDim});
  buffers.k = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  buffers.v = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  if (dout)
    *dout = signature.input({spec.batch, spec.tokens, spec.heads, spec.valueDim});
  if (spec.initialState)
    buffers.initial = addState(signature, spec, /*isOutput=*/false);
  if (spec.documents)
    buffers.docStart = signature.inputI32({spec.batch, spec.tokens});
  return buffers;
}

// ---------------------------------------------------------------------------------------------------------------------
// Loads
// ---------------------------------------------------------------------------------------------------------------------

/// The document that begins with the row goes on from the initial state: the state of chunk 0 ends behind position 0.
ChunkMasks LinearParts::loadMasks(Scalar first) {
  if (!buffers_.docStart)
    return ChunkMasks(b_, first);
  Value buffer = b_.buffer(*buffers_.docStart);
  Scalar last = min(first + (spec_.chunk - 1), static_cast<double>(spec_.tokens - 1));
  Scalar ofLast = b_.loadScalar(buffer, {batch_, last});
  Value ofQueries = b_.load(buffer, Place{{batch_, first}, 1, -1}, spec_.chunk, 1);
  return ChunkMasks(b_, first, max(first, 1.0), {ofQueries, ofLast, ofLast});
}

LinearChunk LinearParts::loadChunk(Scalar first) {
  LinearChunk chunk{first, {}, {}, {}, {}, loadMasks(first)};
  Place place = rows(first, kvHead_);
  chunk.k = b_.load(b_.buffer(buffers_.k), place, spec_.chunk, dim());
  chunk.kT = b_.transpose(chunk.k);
  chunk.v = b_.load(b_.buffer(buffers_.v), place, spec_.chunk, columns());
  if (spec_.normalize)
    chunk.v = b_.map({chunk.v}, [&](Scalar x) { return select(b_.col() == spec_.valueDim, 1.0, x); });
  chunk.vUpdate = chunk.masks.update(chunk.v);
  return chunk;
}

Value LinearParts::loadQ(const LinearChunk &chunk, Scalar head) {
  Value q_CD = b_.load(b_.buffer(buffers_.q), rows(chunk.first, head), spec_.chunk, dim());
  return spec_.scale == 1 ? q_CD : b_.map({q_CD}, [&](Scalar q) { return q * spec_.scale; });
}

Value LinearParts::lastColumn(Value tile) {
  return b_.reduceSum(b_.map({tile}, [&](Scalar x) { return select(b_.col() == spec_.valueDim, x, 0.0); }), 1);
}

Value LinearParts::withLastColumn(Value tile, Value column) {
  return b_.map({tile, column}, [&](Scalar x, Scalar last) { return select(b_.col() == spec_.valueDim, last, x); });
}

// ---------------------------------------------------------------------------------------------------------------------
// Mathematics
// ---------------------------------------------------------------------------------------------------------------------

Value LinearParts::scores(const LinearChunk &chunk, Value q) { return chunk.masks.pairs(b_.dot(q, chunk.kT)); }

Value LinearParts::sums(const LinearChunk &chunk, Value state, Value q, Value scores) {
  return b_.dot(scores, chunk.v, chunk.masks.carry(b_.dot(q, state)));
}

Value LinearParts::normalised(Value sums) {
  if (!spec_.normalize)
    return sums;
  return b_.map({sums, lastColumn(sums)}, [](Scalar s, Scalar z) { return s / (z + normaliserEpsilon); });
}

/// o = s/z, so ds = do/z and dz = -sum(do∘s)/z².
Value LinearParts::normalisedGrad(Value sums, Value dout) {
  if (!spec_.normalize)
    return dout;
  Value inverse_C1 = b_.map({lastColumn(sums)}, [](Scalar z) { return 1.0 / (z + normaliserEpsilon); });
  Value product_C1 = b_.reduceSum(b_.map({dout, sums}, [](Scalar d, Scalar s) { return d * s; }), 1);
  Value dz_C1 = b_.map({product_C1, inverse_C1}, [](Scalar p, Scalar i) { return -p * i * i; });
  return withLastColumn(b_.map({dout, inverse_C1}, [](Scalar d, Scalar i) { return d * i; }), dz_C1);
}

Value LinearParts::updateState(Value state, const LinearChunk &chunk) {
  return b_.dotAT(chunk.k, chunk.vUpdate, chunk.masks.keep(state));
}

// ---------------------------------------------------------------------------------------------------------------------
// States
// ---------------------------------------------------------------------------------------------------------------------

Value LinearParts::load(const StateBuffers &from) {
  Value state = b_.load(b_.buffer(from.state), statePlace(), dim(), columns());
  return spec_.normalize ? withLastColumn(state, b_.load(b_.buffer(from.sum), sumPlace(), dim(), 1)) : state;
}

void LinearParts::store(Value state, const StateBuffers &to) {
  b_.store(state, b_.buffer(to.state), statePlace());
  if (spec_.normalize)
    b_.store(lastColumn(state), b_.buffer(to.sum), sumPlace());
}

} // namespace oriel::kernels
