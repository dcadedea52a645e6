// Builder of the backward pass. One cell is one key/value head of one row. Segments of saveEvery chunks are walked from
// the last to the first: the states of a segment are made again into the workspace, then its chunks are walked
// backwards with the cotangent of the state in hand. With A the scores, r the sums before the normaliser:
//
//   dA = (dr·vᵀ)∘pairs      drS = carry∘dr      dq = scale·(dA·k + drS·Sᵀ)
//   dk = sum over heads of dAᵀ·q   +  (update∘v)·dS'ᵀ
//   dv = sum over heads of Aᵀ·dr   +  update∘(k·dS')
//   dS = sum over heads of qᵀ·drS  +  keep·dS'
#include "kernels/linear_attention/LinearParts.h"

using namespace mlir;

namespace oriel::kernels {

namespace {
/// The program of one cell.
class LinearGradProgram {
public:
  LinearGradProgram(TileBuilder &b, const LinearAttentionSpec &spec, const LinearBuffers &buffers)
      : b(b), spec(spec), parts(b, spec, buffers, b.y(), b.x()), firstHead(b.x() * spec.group()) {}

  void emit();

  // Buffers beyond LinearBuffers.
  unsigned dout = 0, states = 0, dq = 0, dk = 0, dv = 0, workspace = 0;
  std::optional<StateBuffers> dfinal, dinitial;

private:
  using Values = TileBuilder::Values;

  Values segmentBackward(Scalar segment, Value dNext);
  void remakeStates(Scalar segment, Scalar chunks);
  Value chunkBackward(Scalar first, Value state, Value dNext);
  Values headBackward(const LinearChunk &chunk, Value state, Value stateT, Value vT, Scalar head, ValueRange carried);
  Value segmentState(Scalar segment) {
    return spec.saveEvery ? parts.loadSaved(states, segment) : parts.initialState();
  }

  TileBuilder &b;
  const LinearAttentionSpec &spec;
  LinearParts parts;
  Scalar firstHead;
};
} // namespace

/// Fills the workspace with the states before each chunk of the segment.
void LinearGradProgram::remakeStates(Scalar segment, Scalar chunks) {
  Scalar base = segment * spec.segmentChunks();
  Values last =
      b.loop(b.index(0), chunks - 1, 1, segmentState(segment), [&](Scalar chunk, ValueRange carried) -> Values {
        parts.storeSaved(carried[0], workspace, chunk);
        return {parts.updateState(carried[0], parts.loadChunk((base + chunk) * spec.chunk))};
      });
  parts.storeSaved(last[0], workspace, chunks - 1);
}

LinearGradProgram::Values LinearGradProgram::segmentBackward(Scalar segment, Value dNext) {
  Scalar base = segment * spec.segmentChunks();
  if (spec.segmentChunks() == 1)
    return {chunkBackward(base * spec.chunk, segmentState(segment), dNext)};
  Scalar chunks = min(b.index(spec.segmentChunks()), b.index(spec.chunks()) - base);
  remakeStates(segment, chunks);
  return b.loop(b.index(0), chunks, 1, dNext, [&](Scalar step, ValueRange carried) -> Values {
    Scalar chunk = chunks - 1 - step;
    return {chunkBackward((base + chunk) * spec.chunk, parts.loadSaved(workspace, chunk), carried[0])};
  });
}

/// One chunk: writes dk, dv and the heads' dq; returns the cotangent of the state before it.
Value LinearGradProgram::chunkBackward(Scalar first, Value state, Value dNext) {
  LinearChunk chunk = parts.loadChunk(first);
  Value stateT_ED = b.transpose(state), vT_EC = b.transpose(chunk.v);
  // What flows through the update of the state is the same for all heads.
  Value start[] = {b.dotBT(chunk.vUpdate, dNext), chunk.masks.update(b.dot(chunk.k, dNext)), chunk.masks.keep(dNext)};
  Values sums = b.loop(firstHead, firstHead + spec.group(), 1, start, [&](Scalar head, ValueRange carried) {
    return headBackward(chunk, state, stateT_ED, vT_EC, head, carried);
  });
  Place rows = parts.rows(first, b.x());
  b.store(sums[0], b.buffer(dk), rows);
  b.store(sums[1], b.buffer(dv), rows);
  return sums[2];
}

/// Writes one head's dq and adds its part to dk, dv and dS.
LinearGradProgram::Values LinearGradProgram::headBackward(const LinearChunk &chunk, Value state, Value stateT, Value vT,
                                                          Scalar head, ValueRange carried) {
  Place rows = parts.rows(chunk.first, head);
  Value q_CD = parts.loadQ(chunk, head), a_CC = parts.scores(chunk, q_CD);
  Value dr_CE = b.load(b.buffer(dout), rows, spec.chunk, parts.columns());
  if (spec.normalize)
    dr_CE = parts.normalisedGrad(parts.sums(chunk, state, q_CD, a_CC), dr_CE);
  Value drState_CE = chunk.masks.carry(dr_CE);
  Value dA_CC = chunk.masks.pairs(b.dot(dr_CE, vT));
  Value dq_CD = b.dot(dA_CC, chunk.k, b.dot(drState_CE, stateT));
  b.store(b.map({dq_CD}, [&](Scalar d) { return d * spec.scale; }), b.buffer(dq), rows);
  return {b.dotAT(dA_CC, q_CD, carried[0]), b.dotAT(a_CC, dr_CE, carried[1]), b.dotAT(q_CD, drState_CE, carried[2])};
}

void LinearGradProgram::emit() {
  Value cotangent = dfinal ? parts.load(*dfinal) : parts.zeroState();
  Values first = b.loop(b.index(0), b.index(spec.segments()), 1, cotangent, [&](Scalar step, ValueRange carried) {
    return segmentBackward(spec.segments() - 1 - step, carried[0]);
  });
  if (dinitial)
    parts.store(first[0], *dinitial);
}

tile::KernelOp buildLinearAttentionGrad(OpBuilder &builder, Location loc, StringRef symbol,
                                        const LinearAttentionSpec &spec) {
  Signature signature(builder);
  std::optional<unsigned> dout;
  LinearBuffers buffers = addLinearInputs(signature, spec, &dout);
  unsigned states = 0;
  if (spec.saveEvery)
    states = signature.inputF32({spec.batch, spec.kvHeads, spec.savedStates(), spec.headDim, spec.stateColumns()});
  std::optional<StateBuffers> dfinal, dinitial;
  if (spec.finalState)
    dfinal = addState(signature, spec, /*isOutput=*/false);
  unsigned dq = signature.output({spec.batch, spec.tokens, spec.heads, spec.headDim});
  unsigned dk = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.headDim});
  unsigned dv = signature.output({spec.batch, spec.tokens, spec.kvHeads, spec.valueDim});
  if (spec.initialState)
    dinitial = addState(signature, spec, /*isOutput=*/true);
  unsigned workspace =
      signature.outputF32({spec.batch, spec.kvHeads, spec.segmentChunks(), spec.headDim, spec.stateColumns()});
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, 1}, "gradient of linear attention");

  LinearGradProgram program(b, spec, buffers);
  program.dout = *dout;
  program.states = states;
  program.dq = dq;
  program.dk = dk;
  program.dv = dv;
  program.workspace = workspace;
  program.dfinal = dfinal;
  program.dinitial = dinitial;
  program.emit();
  return b.op();
}

} // namespace oriel::kernels
