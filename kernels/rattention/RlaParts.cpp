// The parts of chunked residual linear attention.
#include "kernels/rattention/RlaParts.h"

using namespace mlir;

namespace oriel::kernels {

std::string symbol(const RlaSpec &spec, StringRef stage) {
  return SymbolName(("rla_" + stage).str())
      .flag(spec.featureMap == FeatureMap::Softmax ? "softmax" : "relu", true)
      .add("b", spec.batch)
      .add("t", spec.tokens)
      .add("n", spec.heads)
      .add("kv", spec.kvHeads)
      .add("d", spec.headDim)
      .add("e", spec.valueDim)
      .add("w", spec.window)
      .flag("h0", spec.initialState == InitialState::PerHead)
      .flag("bh0", spec.initialState == InitialState::PerBatchHead)
      .flag("doc", spec.documents)
      .flag("len", spec.lengths)
      .flag("hT", spec.finalState)
      .add("c", spec.chunk)
      .add("m", spec.saveEvery)
      .add("eb", spec.cellColumns())
      .add("p", int64_t(spec.twoPass ? 2 : 1))
      .str();
}

RlaSpec withDefaultTiles(RlaSpec spec, TileTarget target) {
  if (!isGpu(target))
    return spec;
  // What the backward holds in shared memory for f32: phi(q) and phi(k) of a chunk, a block of the state and of its
  // cotangent.
  spec.valueBlock = spec.headDim <= 64 ? 32 : 16;
  if (spec.headDim > 128)
    spec.chunk = std::min<int64_t>(spec.chunk, 16);
  return spec;
}

void addInitialState(Signature &signature, const RlaSpec &spec, RlaBuffers &buffers) {
  if (spec.initialState == InitialState::PerHead)
    buffers.initialState = signature.inputF32({spec.heads, 2 * spec.headDim, spec.valueDim});
  if (spec.initialState == InitialState::PerBatchHead)
    buffers.initialState = signature.inputF32({spec.batch, spec.heads, 2 * spec.headDim, spec.valueDim});
}

Place RlaParts::keyRows(Scalar firstKey) {
  Place place{{batch_, firstKey, kvHead_, b_.index(0)}, 1, 3};
  if (shift() > 0)
    place.rowEnd = b_.index(std::max<int64_t>(spec_.tokens - shift(), 0));
  if (buffers_.lengths) {
    Scalar length = toIndex(b_.loadScalar(b_.buffer(*buffers_.lengths), {batch_})) - shift();
    place.rowEnd = place.rowEnd ? min(*place.rowEnd, length) : length;
  }
  return place;
}

void RlaParts::zeroUnusedKeys(Value dk, Value dv) {
  if (shift() == 0)
    return;
  int64_t begin = std::max<int64_t>(spec_.tokens - shift(), 0);
  b_.loop(b_.index(begin), b_.index(spec_.tokens), spec_.chunk, [&](Scalar token) {
    Place place{{batch_, token, kvHead_, b_.index(0)}, 1, 3};
    b_.store(b_.zeros(spec_.chunk, dim()), dk, place);
    place.indices[3] = firstColumn_;
    b_.store(b_.zeros(spec_.chunk, valueDim()), dv, place);
  });
}

ChunkMasks RlaParts::loadMasks(Scalar first) {
  Scalar firstKey = first - shift();
  if (!buffers_.docStart)
    return ChunkMasks(b_, firstKey);
  // A chunk without keys (last key before the row) has zero values and a zero state: any document will do.
  Scalar lastKey = min(firstKey + (spec_.chunk - 1), static_cast<double>(spec_.tokens - 1 - shift()));
  Scalar lastQuery = min(first + (spec_.chunk - 1), static_cast<double>(spec_.tokens - 1));
  Value ofQueries = b_.load(b_.buffer(*buffers_.docStart), Place{{batch_, first}, 1, -1}, spec_.chunk, 1);
  Scalar ofLastKey = loadDocStart(max(lastKey, 0));
  return ChunkMasks(b_, firstKey, firstKey, {ofQueries, loadDocStart(lastQuery), ofLastKey});
}

RlaChunk RlaParts::loadChunk(Scalar first, bool transposed) {
  RlaChunk chunk{first, first - shift(), {}, {}, {}, {}, loadMasks(first)};
  Place place = keyRows(chunk.firstKey);
  Value k_CD = b_.load(b_.buffer(buffers_.k), place, spec_.chunk, dim());
  place.indices[3] = firstColumn_;
  chunk.v = b_.load(b_.buffer(buffers_.v), place, spec_.chunk, valueDim());
  chunk.phiK = featureMap(b_, spec_.featureMap, k_CD, spec_.headDim);
  if (transposed)
    chunk.phiKT = {b_.transpose(chunk.phiK.plus), b_.transpose(chunk.phiK.minus)};
  chunk.vUpdate = chunk.masks.update(chunk.v);
  return chunk;
}

Halves RlaParts::loadPhiQ(const RlaChunk &chunk, Scalar head) {
  Value q_CD = b_.load(b_.buffer(buffers_.q), queryRows(chunk, head), spec_.chunk, dim());
  return featureMap(b_, spec_.featureMap, q_CD, spec_.headDim);
}

Value RlaParts::output(const RlaChunk &chunk, const Halves &state, Scalar head) {
  Halves phiQ = loadPhiQ(chunk, head);
  Value o_CE = chunk.masks.carry(dotHalves(b_, phiQ, state, b_.zeros(spec_.chunk, valueDim())));
  if (hasInitialState())
    o_CE = dotHalves(b_, phiQ, loadInitialState(head), o_CE);
  Value scores_CC = chunk.masks.pairs(dotHalves(b_, phiQ, chunk.phiKT, b_.zeros(spec_.chunk, spec_.chunk)));
  return b_.dot(scores_CC, chunk.v, o_CE);
}

Halves RlaParts::updateState(const Halves &state, const RlaChunk &chunk) {
  return {b_.dotAT(chunk.phiK.plus, chunk.vUpdate, chunk.masks.keep(state.plus)),
          b_.dotAT(chunk.phiK.minus, chunk.vUpdate, chunk.masks.keep(state.minus))};
}

Halves RlaParts::zeroState() { return {b_.zeros(dim(), valueDim()), b_.zeros(dim(), valueDim())}; }

Place RlaParts::statePlace(ArrayRef<Scalar> leading, bool minus) {
  Place place;
  place.indices.append(leading.begin(), leading.end());
  place.rowDim = static_cast<int64_t>(leading.size());
  place.colDim = place.rowDim + 1;
  place.indices.push_back(b_.index(minus ? spec_.headDim : 0));
  place.indices.push_back(firstColumn_);
  // The upper half ends where the lower one begins.
  if (!minus)
    place.rowEnd = b_.index(spec_.headDim);
  return place;
}

Halves RlaParts::loadState(Value buffer, ArrayRef<Scalar> leading) {
  return {b_.load(buffer, statePlace(leading, false), dim(), valueDim()),
          b_.load(buffer, statePlace(leading, true), dim(), valueDim())};
}

void RlaParts::storeState(const Halves &state, Value buffer, ArrayRef<Scalar> leading) {
  b_.store(state.plus, buffer, statePlace(leading, false));
  b_.store(state.minus, buffer, statePlace(leading, true));
}

void RlaParts::accumulateState(const Halves &state, Value buffer, ArrayRef<Scalar> leading) {
  b_.accumulate(state.plus, buffer, statePlace(leading, false));
  b_.accumulate(state.minus, buffer, statePlace(leading, true));
}

Halves RlaParts::loadInitialState(Scalar head) {
  Value buffer = b_.buffer(*buffers_.initialState);
  if (spec_.initialState == InitialState::PerHead)
    return loadState(buffer, {head});
  return loadState(buffer, {batch_, head});
}

Halves RlaParts::finalState(const Halves &state) {
  if (!buffers_.docStart)
    return state;
  int64_t lastKey = spec_.tokens - 1 - shift();
  Scalar seen = loadDocStart(b_.index(spec_.tokens - 1)) <= static_cast<double>(lastKey);
  auto body = [&](Scalar s) { return select(seen, s, 0.0); };
  return {b_.map({state.plus}, body), b_.map({state.minus}, body)};
}

Halves RlaParts::startCotangent(std::optional<unsigned> dfinalState, std::optional<unsigned> dinitialState) {
  Halves zero = zeroState();
  Scalar firstHead = kvHead_ * spec_.group(), endHead = firstHead + spec_.group();
  if (!dfinalState) {
    if (dinitialState)
      b_.loop(firstHead, endHead, 1, [&](Scalar head) { storeState(zero, b_.buffer(*dinitialState), {batch_, head}); });
    return zero;
  }
  Value start[] = {zero.plus, zero.minus};
  auto addHead = [&](Scalar head, ValueRange carried) -> TileBuilder::Values {
    Halves d = loadState(b_.buffer(*dfinalState), {batch_, head});
    if (dinitialState)
      storeState(d, b_.buffer(*dinitialState), {batch_, head});
    auto plus = [](Scalar x, Scalar y) { return x + y; };
    return {b_.map({carried[0], d.plus}, plus), b_.map({carried[1], d.minus}, plus)};
  };
  TileBuilder::Values sums = b_.loop(firstHead, endHead, 1, start, addHead);
  return finalState({sums[0], sums[1]});
}

} // namespace oriel::kernels
