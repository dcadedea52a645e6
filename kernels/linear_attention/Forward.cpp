// Builder of the forward pass: a cell walks the chunks of one key/value head of one row with the state in hand.
#include "kernels/linear_attention/LinearParts.h"

using namespace mlir;

namespace oriel::kernels {

tile::KernelOp buildLinearAttention(OpBuilder &builder, Location loc, StringRef symbol,
                                    const LinearAttentionSpec &spec) {
  Signature signature(builder);
  LinearBuffers buffers = addLinearInputs(signature, spec, /*dout=*/nullptr);
  unsigned o = signature.output({spec.batch, spec.tokens, spec.heads, spec.valueDim}), saved = 0;
  if (spec.saveEvery)
    saved = signature.outputF32({spec.batch, spec.kvHeads, spec.savedStates(), spec.headDim, spec.stateColumns()});
  StateBuffers finalState;
  if (spec.finalState)
    finalState = addState(signature, spec, /*isOutput=*/true);
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, 1}, "linear attention in chunks");
  LinearParts parts(b, spec, buffers, b.y(), b.x());
  Scalar firstHead = b.x() * spec.group();

  auto chunkStep = [&](Scalar first, ValueRange carried) -> TileBuilder::Values {
    LinearChunk chunk = parts.loadChunk(first);
    b.loop(firstHead, firstHead + spec.group(), 1, [&](Scalar head) {
      Value q_CD = parts.loadQ(chunk, head);
      Value sums_CE = parts.sums(chunk, carried[0], q_CD, parts.scores(chunk, q_CD));
      b.store(parts.normalised(sums_CE), b.buffer(o), parts.rows(first, head));
    });
    return {parts.updateState(carried[0], chunk)};
  };
  auto segmentStep = [&](Scalar segment, ValueRange carried) -> TileBuilder::Values {
    if (spec.saveEvery)
      parts.storeSaved(carried[0], saved, segment);
    Scalar first = segment * spec.segmentTokens();
    return b.loop(first, min(first + spec.segmentTokens(), spec.tokens), spec.chunk, carried, chunkStep);
  };
  TileBuilder::Values ends = b.loop(b.index(0), b.index(spec.segments()), 1, parts.initialState(), segmentStep);
  if (spec.finalState)
    parts.store(ends[0], finalState);
  return b.op();
}

} // namespace oriel::kernels
