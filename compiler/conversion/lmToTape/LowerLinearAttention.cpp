// Linear attention without a feature map.
#include "compiler/conversion/lmToTape/LowerOps.h"
#include "compiler/conversion/lmToTape/SavedStates.h"
#include "dialects/lm/LmOps.h"
#include "dialects/tile/TileOps.h"
#include "kernels/linear_attention/LinearAttention.h"

using namespace mlir;

namespace oriel::conversion {
namespace {

template <typename Op> kernels::LinearAttentionSpec linearSpec(Op op) {
  kernels::LinearAttentionSpec spec;
  setHeadSizes(spec, op);
  spec.scale = op.getScale().convertToDouble();
  spec.normalize = op.getNormalize();
  spec.initialState = !op.getInitial().empty();
  spec.documents = static_cast<bool>(op.getDocStart());
  spec.chunk = scheduledChunk(op);
  return spec;
}

RankedTensorType statesType(Lowering &lowering, const kernels::LinearAttentionSpec &spec, int64_t count) {
  return lowering.tape.f32({spec.batch, spec.kvHeads, count, spec.headDim, spec.stateColumns()});
}

void append(Lowering &lowering, SmallVector<Value> &inputs, ValueRange values) {
  for (Value value : values)
    inputs.push_back(lowering.get(value));
}

void lowerForward(Lowering &lowering, lm::LinearAttentionOp op) {
  kernels::LinearAttentionSpec spec = linearSpec(op);
  spec.saveEvery = hasGradient(op) ? scheduledSaveEvery(op) : 0;
  spec.finalState = llvm::any_of(op.getResults().drop_front(), [](Value result) { return !result.use_empty(); });
  SmallVector<Value> inputs;
  append(lowering, inputs, op.getOperands());
  SmallVector<Type> results = {op.getResult().getType()};
  if (spec.saveEvery)
    results.push_back(statesType(lowering, spec, spec.savedStates()));
  if (spec.finalState)
    llvm::append_range(results, op.getResults().drop_front().getTypes());
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildLinearAttention(b, loc, name, spec); };
  SmallVector<Value> values = lowering.tape.call(kernels::symbol(spec, "fwd"), build, results, inputs);
  lowering.set(op.getResult(), values[0]);
  if (spec.saveEvery)
    lowering.savedStates.push_back({op, values[1], spec.chunk, spec.saveEvery});
  if (spec.finalState)
    for (auto [result, value] :
         llvm::zip(op.getResults().drop_front(), ArrayRef(values).take_back(op->getNumResults() - 1)))
      lowering.set(result, value);
}

void lowerGradient(Lowering &lowering, lm::LinearAttentionGradOp op) {
  kernels::LinearAttentionSpec spec = linearSpec(op);
  spec.finalState = !op.getDfinal().empty();
  SmallVector<Value> inputs;
  append(lowering, inputs, {op.getQ(), op.getK(), op.getV(), op.getDresult()});
  append(lowering, inputs, op.getInitial());
  if (op.getDocStart())
    append(lowering, inputs, op.getDocStart());
  if (const Lowering::SavedStates *saved = savedStatesFor(lowering, op)) {
    spec.chunk = saved->chunk;
    spec.saveEvery = saved->saveEvery;
    inputs.push_back(saved->states);
  }
  append(lowering, inputs, op.getDfinal());
  SmallVector<Type> results(op->getResultTypes());
  results.push_back(statesType(lowering, spec, spec.segmentChunks()));
  auto build = [&](OpBuilder &b, Location loc, StringRef name) {
    kernels::buildLinearAttentionGrad(b, loc, name, spec);
  };
  SmallVector<Value> values = lowering.tape.call(kernels::symbol(spec, "bwd"), build, results, inputs);
  for (auto [result, value] : llvm::zip(op.getResults(), ArrayRef(values).drop_back()))
    lowering.set(result, value);
}

} // namespace

Lowered lowerLinearAttention(Lowering &lowering, Operation *op) {
  if (auto forward = dyn_cast<lm::LinearAttentionOp>(op))
    lowerForward(lowering, forward);
  else if (auto gradient = dyn_cast<lm::LinearAttentionGradOp>(op))
    lowerGradient(lowering, gradient);
  else
    return Lowered::NotMine;
  return Lowered::Done;
}

} // namespace oriel::conversion
