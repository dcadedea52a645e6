// Builder of the forward pass. One cell is one key/value head of one row (and, with valueBlock, some of its
// value columns); it walks the chunks with the state in hand.
#include "kernels/common/Signature.h"
#include "kernels/rattention/RlaParts.h"

using namespace mlir;

namespace oriel::kernels {

/// o = ((phi(q)·phi(k)ᵀ)∘pairs)·v + carry∘(phi(q)·S) + phi(q)·h0 for one head.
static Value chunkOutput(TileBuilder &b, RlaParts &parts, const RlaChunk &chunk, const Halves &state, Scalar head) {
  Halves phiQ = parts.loadPhiQ(chunk, head);
  int64_t rows = TileBuilder::rows(phiQ.plus);
  Value o_CE = parts.maskCarry(dotHalves(b, phiQ, state, b.zeros(rows, parts.valueDim())), chunk);
  if (parts.hasInitialState())
    o_CE = dotHalves(b, phiQ, parts.loadInitialState(head), o_CE);
  Value scores_CC = parts.maskPairs(dotHalves(b, phiQ, chunk.phiKT, b.zeros(rows, rows)), chunk);
  return b.dot(scores_CC, chunk.v, o_CE);
}

static void writeFinalStates(TileBuilder &b, RlaParts &parts, Scalar firstHead, int64_t group, const Halves &state,
                             Value finalStates) {
  Halves last = parts.finalState(state);
  b.loop(firstHead, firstHead + group, 1, [&](Scalar head) {
    Halves result = last;
    if (parts.hasInitialState()) {
      Halves initial = parts.loadInitialState(head);
      auto plus = [](Scalar s, Scalar h) { return s + h; };
      result = {b.map({last.plus, initial.plus}, plus), b.map({last.minus, initial.minus}, plus)};
    }
    parts.storeState(result, finalStates, {b.y(), head});
  });
}

tile::KernelOp buildRla(OpBuilder &builder, Location loc, StringRef symbol, const RlaSpec &spec) {
  Signature signature(builder);
  RlaBuffers buffers;
  buffers.q = signature.input({spec.batch, spec.tokens, spec.heads, spec.headDim});
  buffers.k = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  buffers.v = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  if (spec.initialState == InitialState::PerHead)
    buffers.initialState = signature.input({spec.heads, 2 * spec.headDim, spec.valueDim});
  if (spec.initialState == InitialState::PerBatchHead)
    buffers.initialState = signature.input({spec.batch, spec.heads, 2 * spec.headDim, spec.valueDim});
  if (spec.documents)
    buffers.docStart = signature.inputI32({spec.batch, spec.tokens});
  if (spec.lengths)
    buffers.lengths = signature.inputI32({spec.batch});
  unsigned o = signature.output({spec.batch, spec.tokens, spec.heads, spec.valueDim}), states = 0, finalStates = 0;
  if (spec.saveEvery)
    states = signature.output({spec.batch, spec.kvHeads, spec.savedStates(), 2 * spec.headDim, spec.valueDim});
  if (spec.finalState)
    finalStates = signature.output({spec.batch, spec.heads, 2 * spec.headDim, spec.valueDim});
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, ceilDiv(spec.valueDim, spec.cellColumns())},
                                 "residual linear attention in chunks");
  RlaParts parts(b, spec, buffers, b.y(), b.x());
  Scalar firstHead = b.x() * spec.group();

  auto chunkStep = [&](Scalar first, ValueRange carried) -> TileBuilder::Values {
    Halves state{carried[0], carried[1]};
    RlaChunk chunk = parts.loadChunk(first, /*transposed=*/true);
    b.loop(firstHead, firstHead + spec.group(), 1, [&](Scalar head) {
      b.store(chunkOutput(b, parts, chunk, state, head), b.buffer(o), parts.outputRows(chunk, head));
    });
    Halves next = parts.updateState(state, chunk);
    return {next.plus, next.minus};
  };
  auto segmentStep = [&](Scalar segment, ValueRange carried) -> TileBuilder::Values {
    parts.storeState({carried[0], carried[1]}, b.buffer(states), {b.y(), b.x(), segment});
    Scalar first = segment * (spec.saveEvery * spec.chunk);
    return b.loop(first, min(first + spec.saveEvery * spec.chunk, spec.tokens), spec.chunk, carried, chunkStep);
  };
  Halves zero = parts.zeroState();
  TileBuilder::Values start = {zero.plus, zero.minus};
  TileBuilder::Values ends = spec.saveEvery ? b.loop(b.index(0), b.index(spec.savedStates()), 1, start, segmentStep)
                                            : b.loop(b.index(0), b.index(spec.tokens), spec.chunk, start, chunkStep);
  if (spec.finalState)
    writeFinalStates(b, parts, firstHead, spec.group(), {ends[0], ends[1]}, b.buffer(finalStates));
  return b.op();
}

} // namespace oriel::kernels
