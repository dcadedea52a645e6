// Builders of the forward pass. A cell walks the chunks of one key/value head of one row (and, with valueBlock, some of
// its value columns) with the state in hand; with twoPass it walks the chunks of one segment.
#include "kernels/rattention/RlaParts.h"

using namespace mlir;

namespace oriel::kernels {

static TileBuilder::Values values(const Halves &state) { return {state.plus, state.minus}; }

static void writeFinalStates(TileBuilder &b, RlaParts &parts, Scalar batch, Scalar firstHead, int64_t group,
                             const Halves &state, Value finalStates) {
  Halves last = parts.finalState(state);
  b.loop(firstHead, firstHead + group, 1, [&](Scalar head) {
    Halves result = last;
    if (parts.hasInitialState()) {
      Halves initial = parts.loadInitialState(head);
      auto plus = [](Scalar s, Scalar h) { return s + h; };
      result = {b.map({last.plus, initial.plus}, plus), b.map({last.minus, initial.minus}, plus)};
    }
    parts.storeState(result, finalStates, {batch, head});
  });
}

namespace {
struct ForwardBuffers {
  RlaBuffers linear;
  std::optional<unsigned> statesIn, statesOut, finalStates;
  unsigned o;
};
} // namespace

static ForwardBuffers addBuffers(Signature &signature, const RlaSpec &spec) {
  ForwardBuffers buffers;
  buffers.linear.q = signature.input({spec.batch, spec.tokens, spec.heads, spec.headDim});
  buffers.linear.k = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  buffers.linear.v = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  addInitialState(signature, spec, buffers.linear);
  if (spec.documents)
    buffers.linear.docStart = signature.inputI32({spec.batch, spec.tokens});
  if (spec.lengths)
    buffers.linear.lengths = signature.inputI32({spec.batch});
  llvm::SmallVector<int64_t> states = {spec.batch, spec.kvHeads, spec.savedStates(), 2 * spec.headDim, spec.valueDim};
  if (spec.twoPass)
    buffers.statesIn = signature.inputF32(states);
  buffers.o = signature.output({spec.batch, spec.tokens, spec.heads, spec.valueDim});
  if (spec.saveEvery && !spec.twoPass)
    buffers.statesOut = signature.outputF32(states);
  if (spec.finalState)
    buffers.finalStates = signature.outputF32({spec.batch, spec.heads, 2 * spec.headDim, spec.valueDim});
  return buffers;
}

tile::KernelOp buildRla(OpBuilder &builder, Location loc, StringRef symbol, const RlaSpec &spec) {
  Signature signature(builder);
  ForwardBuffers buffers = addBuffers(signature, spec);
  int64_t columnBlocks = ceilDiv(spec.valueDim, spec.cellColumns()), segments = spec.segments();
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, columnBlocks * (spec.twoPass ? segments : 1)},
                                 "residual linear attention in chunks");
  Scalar kvHead = b.x(), batch = b.y(), firstHead = kvHead * spec.group();
  Scalar cell = remainder(b.z(), b.index(columnBlocks)), firstSegment = b.z() / b.index(columnBlocks);
  RlaParts parts(b, spec, buffers.linear, batch, kvHead, cell * spec.cellColumns());

  auto chunkStep = [&](Scalar first, ValueRange carried) -> TileBuilder::Values {
    Halves state{carried[0], carried[1]};
    RlaChunk chunk = parts.loadChunk(first, /*transposed=*/true);
    b.loop(firstHead, firstHead + spec.group(), 1, [&](Scalar head) {
      b.store(parts.output(chunk, state, head), b.buffer(buffers.o), parts.outputRows(chunk, head));
    });
    return values(parts.updateState(state, chunk));
  };
  auto segmentStep = [&](Scalar segment, ValueRange carried) -> TileBuilder::Values {
    if (buffers.statesOut)
      parts.storeState({carried[0], carried[1]}, b.buffer(*buffers.statesOut), {batch, kvHead, segment});
    Scalar first = segment * spec.segmentTokens();
    return b.loop(first, min(first + spec.segmentTokens(), spec.tokens), spec.chunk, carried, chunkStep);
  };
  auto finish = [&](ValueRange ends) {
    if (buffers.finalStates)
      writeFinalStates(b, parts, batch, firstHead, spec.group(), {ends[0], ends[1]}, b.buffer(*buffers.finalStates));
  };
  if (spec.twoPass) {
    Halves start = parts.loadState(b.buffer(*buffers.statesIn), {batch, kvHead, firstSegment});
    TileBuilder::Values ends = segmentStep(firstSegment, values(start));
    b.when(firstSegment == static_cast<double>(segments - 1), [&] { finish(ends); });
  } else {
    finish(b.loop(b.index(0), b.index(segments), 1, values(parts.zeroState()), segmentStep));
  }
  return b.op();
}

tile::KernelOp buildRlaStates(OpBuilder &builder, Location loc, StringRef symbol, const RlaSpec &given) {
  RlaSpec spec = given;
  spec.valueBlock = spec.passColumns();
  Signature signature(builder);
  RlaBuffers buffers;
  buffers.k = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  buffers.v = signature.input({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  if (spec.documents)
    buffers.docStart = signature.inputI32({spec.batch, spec.tokens});
  if (spec.lengths)
    buffers.lengths = signature.inputI32({spec.batch});
  unsigned states =
      signature.outputF32({spec.batch, spec.kvHeads, spec.savedStates(), 2 * spec.headDim, spec.valueDim});
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, ceilDiv(spec.valueDim, spec.cellColumns())},
                                 "states of residual linear attention");
  RlaParts parts(b, spec, buffers, b.y(), b.x(), b.z() * spec.cellColumns());
  auto chunkStep = [&](Scalar first, ValueRange carried) -> TileBuilder::Values {
    return values(parts.updateState({carried[0], carried[1]}, parts.loadChunk(first, /*transposed=*/false)));
  };
  b.loop(b.index(0), b.index(spec.segments()), 1, values(parts.zeroState()),
         [&](Scalar segment, ValueRange carried) -> TileBuilder::Values {
           parts.storeState({carried[0], carried[1]}, b.buffer(states), {b.y(), b.x(), segment});
           Scalar first = segment * spec.segmentTokens();
           return b.loop(first, min(first + spec.segmentTokens(), spec.tokens), spec.chunk, carried, chunkStep);
         });
  return b.op();
}

} // namespace oriel::kernels
