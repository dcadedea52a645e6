// Builder of fused RAttention. It is put together from the chunks of RlaParts and the walks of AttentionBlocks: a cell
// goes through chunks of queries; the heads of its group share the mapped keys and the state of a chunk.
#include "kernels/rattention/RAttention.h"

#include "kernels/attention/AttentionBlocks.h"
#include "kernels/common/Signature.h"
#include "kernels/rattention/RlaParts.h"

using namespace mlir;

namespace oriel::kernels {

RAttentionSpec withDefaultTiles(RAttentionSpec spec, TileTarget target) {
  spec.window = withDefaultTiles(spec.window, target);
  while (spec.linear.chunk % spec.window.queryTile != 0)
    spec.window.queryTile -= 16;
  return spec;
}

std::string symbol(const RAttentionSpec &spec) {
  return SymbolName(symbol(spec.linear, "fwd") + "_" + symbol(spec.window, "fused")).add("eps", spec.eps).str();
}

namespace {

/// The program of one cell.
class RAttentionProgram {
public:
  struct Buffers {
    AttentionInputs window;
    RlaBuffers linear;
    unsigned windowScale, linearScale, y, swa, lse, rla;
    std::optional<unsigned> windowDocuments, statesIn, statesOut;
  };

  RAttentionProgram(TileBuilder &b, const RAttentionSpec &spec, const Buffers &buffers, Scalar kvHead, Scalar batch)
      : b(b), spec(spec), buffers(buffers), kvHead(kvHead), batch(batch),
        parts(b, spec.linear, buffers.linear, batch, kvHead, b.index(0)),
        blocks(b, spec.window, buffers.windowDocuments, batch) {}

  void emit();

private:
  using Values = TileBuilder::Values;

  Values segment(Scalar number, ValueRange state);
  Values chunk(Scalar first, ValueRange state);
  void windowAndSum(Scalar query, Scalar head);
  Value headNorm(Value x_QE, unsigned scale, Scalar head);

  TileBuilder &b;
  const RAttentionSpec &spec;
  const Buffers &buffers;
  Scalar kvHead, batch;
  RlaParts parts;
  AttentionBlocks blocks;
};

} // namespace

/// x / rms(x) ∘ scale of one head.
Value RAttentionProgram::headNorm(Value x_QE, unsigned scale, Scalar head) {
  int64_t valueDim = spec.window.valueDim;
  Value scale_1E = b.load(b.buffer(scale), Place{{head, b.index(0)}, -1, 1}, 1, tileSize(valueDim));
  Value sum_Q1 = b.reduceSum(b.map({x_QE}, [](Scalar x) { return x * x; }), 1);
  Value r_Q1 = b.map({sum_Q1}, [&](Scalar s) { return 1.0 / sqrt(s * (1.0 / valueDim) + spec.eps); });
  return b.map({x_QE, r_Q1, scale_1E}, [](Scalar x, Scalar r, Scalar w) { return x * r * w; });
}

/// The window part of one head's queries, and its sum with the linear part, which is in memory already.
void RAttentionProgram::windowAndSum(Scalar query, Scalar head) {
  ScoreBlock block = blocks.queryBlock(query, /*transposed=*/true);
  AttendedBlock swa = blocks.attend(buffers.window, head, kvHead, block, blocks.visibleKeys(query));
  Place rows = blocks.rows(query, head);
  b.store(swa.o, b.buffer(buffers.swa), rows);
  b.store(swa.lse, b.buffer(buffers.lse), blocks.perQuery(head, query, /*transposed=*/false));
  Value rla_QE = b.load(b.buffer(buffers.rla), rows, spec.window.queryTile, tileSize(spec.window.valueDim));
  Value y_QE = b.map({headNorm(swa.o, buffers.windowScale, head), headNorm(rla_QE, buffers.linearScale, head)},
                     [](Scalar s, Scalar r) { return s + r; });
  b.store(y_QE, b.buffer(buffers.y), rows);
}

RAttentionProgram::Values RAttentionProgram::chunk(Scalar first, ValueRange carried) {
  Halves state{carried[0], carried[1]};
  RlaChunk keys = parts.loadChunk(first, /*transposed=*/true);
  Scalar firstHead = kvHead * spec.linear.group();
  b.loop(firstHead, firstHead + spec.linear.group(), 1, [&](Scalar head) {
    b.store(parts.output(keys, state, head), b.buffer(buffers.rla), parts.outputRows(keys, head));
    b.loop(first, min(first + spec.linear.chunk, spec.linear.tokens), spec.window.queryTile,
           [&](Scalar query) { windowAndSum(query, head); });
  });
  Halves next = parts.updateState(state, keys);
  return {next.plus, next.minus};
}

RAttentionProgram::Values RAttentionProgram::segment(Scalar number, ValueRange state) {
  int64_t tokens = spec.linear.segmentTokens();
  Scalar first = number * tokens;
  if (buffers.statesOut)
    parts.storeState({state[0], state[1]}, b.buffer(*buffers.statesOut), {batch, kvHead, number});
  return b.loop(first, min(first + tokens, spec.linear.tokens), spec.linear.chunk, state,
                [&](Scalar token, ValueRange carried) { return chunk(token, carried); });
}

void RAttentionProgram::emit() {
  if (buffers.statesIn) {
    Halves state = parts.loadState(b.buffer(*buffers.statesIn), {batch, kvHead, b.x()});
    segment(b.x(), {state.plus, state.minus});
    return;
  }
  Halves zero = parts.zeroState();
  Value start[] = {zero.plus, zero.minus};
  b.loop(b.index(0), b.index(spec.linear.segments()), 1, start,
         [&](Scalar number, ValueRange carried) { return segment(number, carried); });
}

tile::KernelOp buildRAttention(OpBuilder &builder, Location loc, StringRef symbol, const RAttentionSpec &spec) {
  const RlaSpec &s = spec.linear;
  llvm::SmallVector<int64_t> q = {s.batch, s.tokens, s.heads, s.headDim}, k = {s.batch, s.tokens, s.kvHeads, s.headDim};
  llvm::SmallVector<int64_t> v = {s.batch, s.tokens, s.kvHeads, s.valueDim};
  llvm::SmallVector<int64_t> o = {s.batch, s.tokens, s.heads, s.valueDim}, scale = {s.heads, s.valueDim};
  Signature signature(builder);
  RAttentionProgram::Buffers buffers;
  buffers.window.q = signature.input(q);
  buffers.window.k = signature.input(k);
  buffers.linear.q = signature.input(q);
  buffers.linear.k = signature.input(k);
  buffers.window.v = buffers.linear.v = signature.input(v);
  buffers.windowScale = signature.inputF32(scale);
  buffers.linearScale = signature.inputF32(scale);
  addInitialState(signature, s, buffers.linear);
  if (spec.window.documents)
    buffers.windowDocuments = signature.inputI32({s.batch, s.tokens});
  if (s.documents)
    buffers.linear.docStart = buffers.windowDocuments;
  llvm::SmallVector<int64_t> states = {s.batch, s.kvHeads, s.savedStates(), 2 * s.headDim, s.valueDim};
  if (s.twoPass)
    buffers.statesIn = signature.inputF32(states);
  buffers.y = signature.output(o);
  buffers.swa = signature.output(o);
  buffers.lse = signature.outputF32({s.batch, s.heads, s.tokens});
  buffers.rla = signature.output(o);
  if (s.saveEvery && !s.twoPass)
    buffers.statesOut = signature.outputF32(states);
  TileBuilder b = signature.open(loc, symbol, {s.twoPass ? s.savedStates() : 1, s.kvHeads, s.batch},
                                 "window attention and residual linear attention, normalised and summed");
  RAttentionProgram(b, spec, buffers, b.y(), b.z()).emit();
  return b.op();
}

} // namespace oriel::kernels
