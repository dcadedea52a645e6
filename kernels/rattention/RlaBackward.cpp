// Builder of the backward pass. One cell is one key/value head of one row. Segments of saveEvery chunks are walked from
// the last to the first: the states of a segment are made again into the workspace, then its chunks are walked
// backwards with the cotangent of the state in hand. With twoPass a cell is one segment, which starts from the
// cotangent that RlaCotangents.cpp made.
//
//   A = (phi(q)·phi(k)ᵀ)∘pairs      dA = (do·vᵀ)∘pairs      doR = carry∘do
//   dphi(q) = dA·phi(k) + doR·Sᵀ + do·h0ᵀ
//   dphi(k) = sum over heads of dAᵀ·phi(q)  +  update∘(v·dS'ᵀ)
//   dv      = sum over heads of Aᵀ·do       +  update∘(phi(k)·dS')
//   dS      = sum over heads of phi(q)ᵀ·doR +  keep·dS'             dh0 += phi(q)ᵀ·do
#include "kernels/rattention/RlaParts.h"

using namespace mlir;

namespace oriel::kernels {

namespace {
/// The program of one cell.
class RlaGradProgram {
public:
  /// Works on value columns [firstColumn, firstColumn + cellColumns).
  RlaGradProgram(TileBuilder &b, const RlaSpec &spec, const RlaBuffers &buffers, Scalar firstColumn)
      : b(b), spec(spec), parts(b, spec, buffers, b.y(), b.x(), firstColumn), firstColumn(firstColumn),
        firstHead(b.x() * spec.group()) {}

  void emit();

  // Buffers beyond RlaBuffers.
  unsigned dout = 0, dq = 0, dk = 0, dv = 0, workspace = 0;
  std::optional<unsigned> states, cotangents, dfinalState, dinitialState;

private:
  using Values = TileBuilder::Values;

  Values segmentBackward(Scalar segment, ValueRange carried);
  void remakeStates(Scalar segment, Scalar chunks);
  Values chunkBackward(Scalar first, const Halves &state, const Halves &dNext);
  Values headBackward(const RlaChunk &chunk, const Halves &stateT, Value vT, Scalar head, ValueRange carried);
  Value queryGradient(const RlaChunk &chunk, const Halves &stateT, Scalar head, const Halves &phiQ, Value dA,
                      Value dout_CE, Value doutCarry_CE);
  bool isInBlocks() const { return spec.cellColumns() < spec.valueDim; }
  /// Writes a gradient that is whole, or the part of the first block of columns, to which the others are added.
  void give(Value gradient, unsigned buffer, const Place &place) {
    if (!isInBlocks())
      return b.store(gradient, b.buffer(buffer), place);
    b.when(firstColumn == 0, [&] { b.store(gradient, b.buffer(buffer), place); });
    b.when(firstColumn != 0, [&] { b.accumulate(gradient, b.buffer(buffer), place); });
  }
  Halves transposed(const Halves &x) { return {b.transpose(x.plus), b.transpose(x.minus)}; }
  Halves loadSegmentState(Scalar segment) {
    return states ? parts.loadState(b.buffer(*states), {b.y(), b.x(), segment}) : parts.zeroState();
  }
  /// Of chunk `chunk` of a segment in the workspace.
  Scalar workspaceEntry(Scalar segment, Scalar chunk) {
    return spec.twoPass ? segment * spec.segmentChunks() + chunk : chunk;
  }

  TileBuilder &b;
  const RlaSpec &spec;
  RlaParts parts;
  Scalar firstColumn, firstHead;
};
} // namespace

/// Fills the workspace with the states before each chunk of the segment.
void RlaGradProgram::remakeStates(Scalar segment, Scalar chunks) {
  Halves first = loadSegmentState(segment);
  Value start[] = {first.plus, first.minus};
  Scalar base = segment * spec.segmentChunks();
  Values last = b.loop(b.index(0), chunks - 1, 1, start, [&](Scalar chunk, ValueRange carried) -> Values {
    Halves state{carried[0], carried[1]};
    parts.storeState(state, b.buffer(workspace), {b.y(), b.x(), workspaceEntry(segment, chunk)});
    Halves next = parts.updateState(state, parts.loadChunk((base + chunk) * spec.chunk, /*transposed=*/false));
    return {next.plus, next.minus};
  });
  parts.storeState({last[0], last[1]}, b.buffer(workspace), {b.y(), b.x(), workspaceEntry(segment, chunks - 1)});
}

RlaGradProgram::Values RlaGradProgram::segmentBackward(Scalar segment, ValueRange carried) {
  Scalar base = segment * spec.segmentChunks();
  if (spec.segmentChunks() == 1)
    return chunkBackward(base * spec.chunk, loadSegmentState(segment), {carried[0], carried[1]});
  Scalar chunks = min(b.index(spec.segmentChunks()), b.index(spec.chunks()) - base);
  remakeStates(segment, chunks);
  return b.loop(b.index(0), chunks, 1, carried, [&](Scalar step, ValueRange inner) -> Values {
    Scalar chunk = chunks - 1 - step;
    Halves state = parts.loadState(b.buffer(workspace), {b.y(), b.x(), workspaceEntry(segment, chunk)});
    return chunkBackward((base + chunk) * spec.chunk, state, {inner[0], inner[1]});
  });
}

/// One chunk: writes dk, dv and the heads' dq; returns the cotangent of the state before it.
RlaGradProgram::Values RlaGradProgram::chunkBackward(Scalar first, const Halves &state, const Halves &dNext) {
  RlaChunk chunk = parts.loadChunk(first, /*transposed=*/true);
  Halves stateT = transposed(state);
  Value vT_EC = b.transpose(chunk.v);
  // What flows through the update of the state is the same for all heads.
  Value throughState = dotHalves(b, chunk.phiK, dNext, b.zeros(spec.chunk, parts.valueDim()));
  Value start[] = {b.dotBT(chunk.vUpdate, dNext.plus), b.dotBT(chunk.vUpdate, dNext.minus),
                   chunk.masks.update(throughState), chunk.masks.keep(dNext.plus), chunk.masks.keep(dNext.minus)};
  Values sums = b.loop(firstHead, firstHead + spec.group(), 1, start, [&](Scalar head, ValueRange carried) {
    return headBackward(chunk, stateT, vT_EC, head, carried);
  });
  Place place = parts.keyRows(chunk.firstKey);
  give(featureMapGrad(b, spec.featureMap, chunk.phiK, {sums[0], sums[1]}), dk, place);
  place.indices[3] = firstColumn;
  b.store(sums[2], b.buffer(dv), place);
  return {sums[3], sums[4]};
}

/// Adds one head's part to dphi(k) (two halves), dv and dS (two halves).
RlaGradProgram::Values RlaGradProgram::headBackward(const RlaChunk &chunk, const Halves &stateT, Value vT_EC,
                                                    Scalar head, ValueRange carried) {
  Place rows = parts.queryRows(chunk, head);
  Halves phiQ = parts.loadPhiQ(chunk, head);
  Value dout_CE = b.load(b.buffer(dout), parts.outputRows(chunk, head), spec.chunk, parts.valueDim());
  Value doutCarry_CE = chunk.masks.carry(dout_CE);
  Value a_CC = chunk.masks.pairs(dotHalves(b, phiQ, chunk.phiKT, b.zeros(spec.chunk, spec.chunk)));
  Value dA_CC = chunk.masks.pairs(b.dot(dout_CE, vT_EC));
  give(queryGradient(chunk, stateT, head, phiQ, dA_CC, dout_CE, doutCarry_CE), dq, rows);
  if (dinitialState)
    parts.accumulateState({b.dotAT(phiQ.plus, dout_CE), b.dotAT(phiQ.minus, dout_CE)}, b.buffer(*dinitialState),
                          {b.y(), head});
  return {b.dotAT(dA_CC, phiQ.plus, carried[0]), b.dotAT(dA_CC, phiQ.minus, carried[1]),
          b.dotAT(a_CC, dout_CE, carried[2]), b.dotAT(phiQ.plus, doutCarry_CE, carried[3]),
          b.dotAT(phiQ.minus, doutCarry_CE, carried[4])};
}

Value RlaGradProgram::queryGradient(const RlaChunk &chunk, const Halves &stateT, Scalar head, const Halves &phiQ,
                                    Value dA, Value dout_CE, Value doutCarry_CE) {
  Halves dphi{b.dot(doutCarry_CE, stateT.plus), b.dot(doutCarry_CE, stateT.minus)};
  dphi = {b.dot(dA, chunk.phiK.plus, dphi.plus), b.dot(dA, chunk.phiK.minus, dphi.minus)};
  if (parts.hasInitialState()) {
    Halves initial = parts.loadInitialState(head);
    dphi = {b.dotBT(dout_CE, initial.plus, dphi.plus), b.dotBT(dout_CE, initial.minus, dphi.minus)};
  }
  return featureMapGrad(b, spec.featureMap, phiQ, dphi);
}

void RlaGradProgram::emit() {
  if (cotangents) {
    b.when(b.z() == 0.0, [&] { parts.zeroUnusedKeys(b.buffer(dk), b.buffer(dv)); });
    Halves cotangent = parts.loadState(b.buffer(*cotangents), {b.y(), b.x(), b.z()});
    segmentBackward(b.z(), {cotangent.plus, cotangent.minus});
    return;
  }
  parts.zeroUnusedKeys(b.buffer(dk), b.buffer(dv));
  Halves cotangent = parts.startCotangent(dfinalState, dinitialState);
  Value start[] = {cotangent.plus, cotangent.minus};
  b.loop(b.index(0), b.index(spec.segments()), 1, start,
         [&](Scalar step, ValueRange carried) { return segmentBackward(spec.segments() - 1 - step, carried); });
}

tile::KernelOp buildRlaGrad(OpBuilder &builder, Location loc, StringRef symbol, const RlaSpec &spec) {
  llvm::SmallVector<int64_t> q = {spec.batch, spec.tokens, spec.heads, spec.headDim};
  llvm::SmallVector<int64_t> k = {spec.batch, spec.tokens, spec.kvHeads, spec.headDim};
  llvm::SmallVector<int64_t> v = {spec.batch, spec.tokens, spec.kvHeads, spec.valueDim};
  llvm::SmallVector<int64_t> perHead = {spec.batch, spec.heads, 2 * spec.headDim, spec.valueDim};
  auto statesOf = [&](int64_t count) {
    return llvm::SmallVector<int64_t>{spec.batch, spec.kvHeads, count, 2 * spec.headDim, spec.valueDim};
  };
  Signature signature(builder);
  RlaBuffers buffers;
  buffers.q = signature.input(q);
  buffers.k = signature.input(k);
  buffers.v = signature.input(v);
  unsigned dout = signature.input({spec.batch, spec.tokens, spec.heads, spec.valueDim});
  addInitialState(signature, spec, buffers);
  if (spec.documents)
    buffers.docStart = signature.inputI32({spec.batch, spec.tokens});
  std::optional<unsigned> states, cotangents, dfinalState, dinitialState;
  if (spec.saveEvery)
    states = signature.inputF32(statesOf(spec.savedStates()));
  if (spec.twoPass)
    cotangents = signature.inputF32(statesOf(spec.savedStates()));
  else if (spec.finalState)
    dfinalState = signature.inputF32(perHead);
  unsigned dq = signature.output(q), dk = signature.output(k), dv = signature.output(v);
  if (spec.initialState != InitialState::None && !spec.twoPass)
    dinitialState = signature.outputF32(perHead);
  unsigned workspace = signature.outputF32(statesOf(spec.workspaceStates()));
  TileBuilder b = signature.open(loc, symbol, {spec.kvHeads, spec.batch, spec.twoPass ? spec.segments() : 1},
                                 "gradient of residual linear attention");

  auto columns = [&](Scalar firstColumn) {
    RlaGradProgram program(b, spec, buffers, firstColumn);
    program.dout = dout;
    program.dq = dq;
    program.dk = dk;
    program.dv = dv;
    program.workspace = workspace;
    program.states = states;
    program.cotangents = cotangents;
    program.dfinalState = dfinalState;
    program.dinitialState = dinitialState;
    program.emit();
  };
  int64_t blocks = ceilDiv(spec.valueDim, spec.cellColumns());
  if (blocks == 1)
    columns(b.index(0));
  else
    b.loop(b.index(0), b.index(blocks), 1, [&](Scalar block) { columns(block * spec.cellColumns()); });
  return b.op();
}

} // namespace oriel::kernels
