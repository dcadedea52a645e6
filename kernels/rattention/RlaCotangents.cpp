// Builder of the first of two passes of the backward: the cotangent of the state after each segment, which is all that
// one segment's gradients need from the segments behind it. A cell walks the chunks of one key/value head of one row
// backwards, for some columns of the state.
//
//   dS = sum over heads of phi(q)ᵀ·(carry∘do) + keep·dS'        dh0 = dfinal + sum over chunks of phi(q)ᵀ·do
#include "kernels/rattention/RlaParts.h"

using namespace mlir;

namespace oriel::kernels {

namespace {
/// The program of one cell.
class CotangentProgram {
public:
  using Values = TileBuilder::Values;

  CotangentProgram(TileBuilder &b, const RlaSpec &spec, const RlaBuffers &buffers, unsigned dout)
      : b(b), spec(spec), parts(b, spec, buffers, b.y(), b.x(), b.z() * spec.cellColumns()), dout(dout) {}

  void emit();

  unsigned dstates = 0;
  std::optional<unsigned> dfinalState, dinitialState;

private:
  /// The cotangent of the state before the chunk at `first`.
  Values chunkBackward(Scalar first, ValueRange carried);

  TileBuilder &b;
  const RlaSpec &spec;
  RlaParts parts;
  unsigned dout;
};
} // namespace

CotangentProgram::Values CotangentProgram::chunkBackward(Scalar first, ValueRange carried) {
  RlaChunk chunk = parts.queriesFrom(first);
  Scalar firstHead = b.x() * spec.group();
  Value start[] = {chunk.masks.keep(carried[0]), chunk.masks.keep(carried[1])};
  return b.loop(firstHead, firstHead + spec.group(), 1, start, [&](Scalar head, ValueRange sums) -> Values {
    Halves phiQ = parts.loadPhiQ(chunk, head);
    Value dout_CE = b.load(b.buffer(dout), parts.outputRows(chunk, head), spec.chunk, parts.valueDim());
    if (dinitialState)
      parts.accumulateState({b.dotAT(phiQ.plus, dout_CE), b.dotAT(phiQ.minus, dout_CE)}, b.buffer(*dinitialState),
                            {b.y(), head});
    Value doutCarry_CE = chunk.masks.carry(dout_CE);
    return {b.dotAT(phiQ.plus, doutCarry_CE, sums[0]), b.dotAT(phiQ.minus, doutCarry_CE, sums[1])};
  });
}

void CotangentProgram::emit() {
  Halves last = parts.startCotangent(dfinalState, dinitialState);
  Value start[] = {last.plus, last.minus};
  b.loop(b.index(0), b.index(spec.segments()), 1, start, [&](Scalar step, ValueRange carried) -> Values {
    Scalar segment = spec.segments() - 1 - step, base = segment * spec.segmentChunks();
    parts.storeState({carried[0], carried[1]}, b.buffer(dstates), {b.y(), b.x(), segment});
    Scalar chunks = min(b.index(spec.segmentChunks()), b.index(spec.chunks()) - base);
    return b.loop(b.index(0), chunks, 1, carried, [&](Scalar inner, ValueRange sums) {
      return chunkBackward((base + chunks - 1 - inner) * spec.chunk, sums);
    });
  });
}

tile::KernelOp buildRlaCotangents(OpBuilder &builder, Location loc, StringRef symbol, const RlaSpec &given) {
  RlaSpec spec = given;
  spec.valueBlock = spec.passColumns();
  llvm::SmallVector<int64_t> perHead = {spec.batch, spec.heads, 2 * spec.headDim, spec.valueDim};
  Signature signature(builder);
  RlaBuffers buffers;
  buffers.q = signature.input({spec.batch, spec.tokens, spec.heads, spec.headDim});
  unsigned dout = signature.input({spec.batch, spec.tokens, spec.heads, spec.valueDim});
  if (spec.documents)
    buffers.docStart = signature.inputI32({spec.batch, spec.tokens});
  std::optional<unsigned> dfinalState, dinitialState;
  if (spec.finalState)
    dfinalState = signature.inputF32(perHead);
  unsigned dstates =
      signature.outputF32({spec.batch, spec.kvHeads, spec.savedStates(), 2 * spec.headDim, spec.valueDim});
  if (spec.initialState != InitialState::None)
    dinitialState = signature.outputF32(perHead);
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, ceilDiv(spec.valueDim, spec.cellColumns())},
                                 "cotangents of the states of residual linear attention");
  CotangentProgram program(b, spec, buffers, dout);
  program.dstates = dstates;
  program.dfinalState = dfinalState;
  program.dinitialState = dinitialState;
  program.emit();
  return b.op();
}

} // namespace oriel::kernels
