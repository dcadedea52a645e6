// Mixers: softmax attention and residual linear attention. Here the forward leaves states for the backward, as the
// schedule (attributes tape.chunk, tape.save_every) says.
#include "compiler/conversion/lmToTape/KernelTiling.h"
#include "compiler/conversion/lmToTape/LowerOps.h"
#include "compiler/conversion/lmToTape/SavedStates.h"
#include "dialects/lm/LmOps.h"
#include "dialects/tile/TileOps.h"
#include "kernels/attention/Attention.h"
#include "kernels/rattention/RAttention.h"

using namespace mlir;

namespace oriel::conversion {
namespace {

// ---------------------------------------------------------------------------------------------------------------------
// Softmax attention
// ---------------------------------------------------------------------------------------------------------------------

template <typename Op> kernels::AttentionSpec attentionSpec(Op op) {
  kernels::AttentionSpec spec;
  setHeadSizes(spec, op);
  spec.window = op.getWindow();
  spec.scale = op.getScale().convertToDouble();
  spec.softCap = op.getSoftCap().convertToDouble();
  spec.documents = static_cast<bool>(op.getDocStart());
  return spec;
}

void lowerAttention(Lowering &lowering, lm::AttentionOp op) {
  KernelTiling tiling(op, "attn_fwd");
  kernels::AttentionSpec spec = tiling.of(kernels::withDefaultTiles(attentionSpec(op), lowering.tiles));
  SmallVector<Value> inputs = {lowering.get(op.getQ()), lowering.get(op.getK()), lowering.get(op.getV())};
  if (op.getDocStart())
    inputs.push_back(lowering.get(op.getDocStart()));
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { return kernels::buildAttention(b, loc, name, spec); };
  SmallVector<Value> results =
      tiling.call(lowering.tape, kernels::symbol(spec, "fwd"), build, op->getResultTypes(), inputs);
  lowering.set(op.getResult(), results[0]);
  lowering.set(op.getLse(), results[1]);
}

/// Whether one kernel makes the whole gradient. A GPU has more cores than any batch has groups: there blocks of queries
/// and of keys are cells.
bool isWhole(Lowering &lowering, const kernels::AttentionSpec &spec) {
  return !kernels::isGpu(lowering.tiles) && kernels::hasManyGroups(spec, lowering.cores);
}

/// Whether that kernel walks over queries, and makes delta itself.
bool goesByRows(Lowering &lowering, const kernels::AttentionSpec &spec) {
  return isWhole(lowering, spec) && kernels::seesFewKeys(spec);
}

/// Row sums of do∘o. There are no products here: a GPU's tiles are the same whatever those run on.
Value deltaOf(Lowering &lowering, lm::AttentionGradOp op) {
  if (Value known = lowering.deltas.lookup(op.getDresult()))
    return known;
  auto target = kernels::isGpu(lowering.tiles) ? kernels::TileTarget::Nvidia : kernels::TileTarget::Cpu;
  kernels::AttentionSpec spec = kernels::withGradientTiles(attentionSpec(op), target);
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildAttentionDelta(b, loc, name, spec); };
  return lowering.tape.call(kernels::symbol(spec, "delta"), build,
                            lowering.tape.f32({spec.batch, spec.heads, spec.tokens}),
                            {lowering.get(op.getResult()), lowering.get(op.getDresult())})[0];
}

/// One kernel makes dq, dk and dv.
template <typename Builder>
void lowerWholeGradient(Lowering &lowering, lm::AttentionGradOp op, StringRef symbol, Builder build,
                        ArrayRef<Value> inputs) {
  SmallVector<Value> all = lowering.tape.call(symbol, build, op->getResultTypes(), inputs);
  lowering.set(op.getDq(), all[0]);
  lowering.set(op.getDk(), all[1]);
  lowering.set(op.getDv(), all[2]);
}

void lowerAttentionGrad(Lowering &lowering, lm::AttentionGradOp op) {
  kernels::AttentionSpec spec = kernels::withGradientTiles(attentionSpec(op), lowering.tiles);
  SmallVector<Value> inputs = {lowering.get(op.getQ()), lowering.get(op.getK()), lowering.get(op.getV()),
                               lowering.get(op.getDresult()), lowering.get(op.getLse())};
  SmallVector<Value> documents;
  if (op.getDocStart())
    documents.push_back(lowering.get(op.getDocStart()));
  if (goesByRows(lowering, spec)) {
    kernels::AttentionSpec rows = kernels::withRowTiles(spec);
    inputs.append(documents);
    auto build = [&](OpBuilder &b, Location loc, StringRef name) {
      kernels::buildAttentionRowGrad(b, loc, name, rows);
    };
    return lowerWholeGradient(lowering, op, kernels::symbol(rows, "row_grad"), build, inputs);
  }
  Value delta = deltaOf(lowering, op);
  inputs.push_back(delta);
  inputs.append(documents);
  if (isWhole(lowering, spec)) {
    auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildAttentionGrad(b, loc, name, spec); };
    return lowerWholeGradient(lowering, op, kernels::symbol(spec, "grad"), build, inputs);
  }
  KernelTiling ofDq(op, "attn_dq"), ofDkDv(op, "attn_dkdv");
  kernels::AttentionSpec dq = ofDq.of(spec);
  kernels::AttentionSpec dkdv = ofDkDv.of(kernels::withKeyGradientTiles(attentionSpec(op), lowering.tiles));
  auto buildDq = [&](OpBuilder &b, Location loc, StringRef name) {
    return kernels::buildAttentionDq(b, loc, name, dq);
  };
  SmallVector<Value> dqAndDelta =
      ofDq.call(lowering.tape, kernels::symbol(dq, "dq"), buildDq, {op.getDq().getType(), delta.getType()}, inputs);
  lowering.set(op.getDq(), dqAndDelta[0]);
  llvm::replace(inputs, delta, dqAndDelta[1]);
  auto buildDkDv = [&](OpBuilder &b, Location loc, StringRef name) {
    return kernels::buildAttentionDkDv(b, loc, name, dkdv);
  };
  SmallVector<Value> both = ofDkDv.call(lowering.tape, kernels::symbol(dkdv, "dkdv"), buildDkDv,
                                        {op.getDk().getType(), op.getDv().getType()}, inputs);
  lowering.set(op.getDk(), both[0]);
  lowering.set(op.getDv(), both[1]);
}

// ---------------------------------------------------------------------------------------------------------------------
// Residual linear attention
// ---------------------------------------------------------------------------------------------------------------------

kernels::FeatureMap featureMap(lm::FeatureMap map) {
  return map == lm::FeatureMap::Softmax ? kernels::FeatureMap::Softmax : kernels::FeatureMap::Relu;
}

template <typename Op> kernels::RlaSpec rlaSpec(Op op) {
  kernels::RlaSpec spec;
  setHeadSizes(spec, op);
  spec.window = op.getWindow();
  spec.featureMap = featureMap(op.getFeatureMap());
  if (Value initial = op.getInitialState())
    spec.initialState = cast<ShapedType>(initial.getType()).getRank() == 4 ? kernels::InitialState::PerBatchHead
                                                                           : kernels::InitialState::PerHead;
  spec.documents = static_cast<bool>(op.getDocStart());
  spec.chunk = scheduledChunk(op);
  return spec;
}

RankedTensorType statesType(Lowering &lowering, const kernels::RlaSpec &spec, int64_t count) {
  return lowering.tape.f32({spec.batch, spec.kvHeads, count, 2 * spec.headDim, spec.valueDim});
}

/// The save interval of the forward, and whether its states come from a pass of their own.
void setStates(kernels::RlaSpec &spec, Operation *op) {
  spec.twoPass = runsInTwoPasses(op);
  spec.saveEvery = hasGradient(op) || spec.twoPass ? scheduledSaveEvery(op) : 0;
}

/// The first of two passes.
Value lowerStates(Lowering &lowering, Operation *op, const kernels::RlaSpec &own, Value k, Value v, Value docStart,
                  Value lengths) {
  KernelTiling tiling(op, "rla_states");
  kernels::RlaSpec spec = tiling.of(own);
  SmallVector<Value> inputs = {k, v};
  for (Value optional : {docStart, lengths})
    if (optional)
      inputs.push_back(optional);
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { return kernels::buildRlaStates(b, loc, name, spec); };
  return tiling.call(lowering.tape, kernels::symbol(spec, "states"), build,
                     statesType(lowering, spec, spec.savedStates()), inputs)[0];
}

void lowerRla(Lowering &lowering, lm::ResidualLinearAttentionOp op) {
  KernelTiling tiling(op, "rla_fwd");
  kernels::RlaSpec spec = tiling.of(kernels::withDefaultTiles(rlaSpec(op), lowering.tiles));
  spec.lengths = static_cast<bool>(op.getLengths());
  spec.finalState = !op.getFinalState().use_empty();
  setStates(spec, op);
  SmallVector<Value> inputs = {lowering.get(op.getQ()), lowering.get(op.getK()), lowering.get(op.getV())};
  for (Value optional : {op.getInitialState(), op.getDocStart(), op.getLengths()})
    if (optional)
      inputs.push_back(lowering.get(optional));
  auto given = [&](Value optional) { return optional ? lowering.get(optional) : Value(); };
  Value states;
  if (spec.twoPass)
    inputs.push_back(states = lowerStates(lowering, op, kernels::withDefaultTiles(spec, lowering.tiles), inputs[1],
                                          inputs[2], given(op.getDocStart()), given(op.getLengths())));
  SmallVector<Type> results = {op.getResult().getType()};
  if (spec.saveEvery && !spec.twoPass)
    results.push_back(statesType(lowering, spec, spec.savedStates()));
  if (spec.finalState)
    results.push_back(op.getFinalState().getType());
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { return kernels::buildRla(b, loc, name, spec); };
  SmallVector<Value> values = tiling.call(lowering.tape, kernels::symbol(spec, "fwd"), build, results, inputs);
  lowering.set(op.getResult(), values[0]);
  if (spec.saveEvery)
    lowering.savedStates.push_back({op, states ? states : values[1], spec.chunk, spec.saveEvery});
  if (spec.finalState)
    lowering.set(op.getFinalState(), values.back());
}

/// h0 per head: the kernel leaves one gradient per row of the batch.
void setInitialStateGradient(Lowering &lowering, lm::ResidualLinearAttentionGradOp op, const kernels::RlaSpec &spec,
                             Value perRow) {
  if (!op.getDinitialState())
    return;
  Type type = op.getDinitialState().getType();
  bool perHead = spec.initialState == kernels::InitialState::PerHead;
  lowering.set(op.getDinitialState(),
               perHead ? sumPartials(lowering, perRow, spec.batch, type) : lowering.tape.view(perRow, type));
}

/// One per row of the batch.
Type initialStateGradients(Lowering &lowering, const kernels::RlaSpec &spec) {
  return lowering.tape.f32({spec.batch, spec.heads, 2 * spec.headDim, spec.valueDim});
}

/// The first of two passes of the gradient: the cotangents of the states and, where there is an initial state, its
/// gradient.
SmallVector<Value> lowerCotangents(Lowering &lowering, const kernels::RlaSpec &own,
                                   lm::ResidualLinearAttentionGradOp op) {
  KernelTiling tiling(op, "rla_cotangents");
  kernels::RlaSpec spec = tiling.of(own);
  SmallVector<Value> inputs = {lowering.get(op.getQ()), lowering.get(op.getDresult())};
  for (Value optional : {op.getDocStart(), op.getDfinalState()})
    if (optional)
      inputs.push_back(lowering.get(optional));
  SmallVector<Type> results = {statesType(lowering, spec, spec.savedStates())};
  if (spec.initialState != kernels::InitialState::None)
    results.push_back(initialStateGradients(lowering, spec));
  auto build = [&](OpBuilder &b, Location loc, StringRef name) {
    return kernels::buildRlaCotangents(b, loc, name, spec);
  };
  return tiling.call(lowering.tape, kernels::symbol(spec, "cotangents"), build, results, inputs);
}

/// Every chunk has its state, the last of `inputs`, and the cotangent of the next.
void lowerSideBySide(Lowering &lowering, lm::ResidualLinearAttentionGradOp op, kernels::RlaSpec spec,
                     SmallVector<Value> inputs, Value cotangents) {
  spec.valueBlock = 0;
  KernelTiling ofDq(op, "rla_dq"), ofDkDv(op, "rla_dkdv");
  auto buildDq = [&](OpBuilder &b, Location loc, StringRef name) { return kernels::buildRlaDq(b, loc, name, spec); };
  lowering.set(op.getDq(),
               ofDq.call(lowering.tape, kernels::symbol(spec, "dq"), buildDq, op.getDq().getType(), inputs)[0]);
  inputs.back() = cotangents;
  if (op.getInitialState())
    inputs.erase(inputs.begin() + 4); // behind q, k, v and do; no key depends on it
  auto buildDkDv = [&](OpBuilder &b, Location loc, StringRef name) {
    return kernels::buildRlaDkDv(b, loc, name, spec);
  };
  SmallVector<Value> both = ofDkDv.call(lowering.tape, kernels::symbol(spec, "dkdv"), buildDkDv,
                                        {op.getDk().getType(), op.getDv().getType()}, inputs);
  lowering.set(op.getDk(), both[0]);
  lowering.set(op.getDv(), both[1]);
}

void lowerRlaGrad(Lowering &lowering, lm::ResidualLinearAttentionGradOp op) {
  kernels::RlaSpec spec = kernels::withDefaultTiles(rlaSpec(op), lowering.tiles);
  spec.finalState = static_cast<bool>(op.getDfinalState());
  SmallVector<Value> inputs = {lowering.get(op.getQ()), lowering.get(op.getK()), lowering.get(op.getV()),
                               lowering.get(op.getDresult())};
  for (Value optional : {op.getInitialState(), op.getDocStart()})
    if (optional)
      inputs.push_back(lowering.get(optional));
  if (const Lowering::SavedStates *saved = savedStatesFor(lowering, op)) {
    spec.chunk = saved->chunk;
    spec.saveEvery = saved->saveEvery;
    spec.twoPass = runsInTwoPasses(op);
    inputs.push_back(saved->states);
  }
  SmallVector<Value> cotangents;
  if (spec.twoPass)
    cotangents = lowerCotangents(lowering, spec, op);
  if (kernels::runsSideBySide(spec, lowering.tiles)) {
    lowerSideBySide(lowering, op, spec, inputs, cotangents[0]);
    if (spec.initialState != kernels::InitialState::None)
      setInitialStateGradient(lowering, op, spec, cotangents[1]);
    return;
  }
  if (spec.twoPass)
    inputs.push_back(cotangents[0]);
  else if (op.getDfinalState())
    inputs.push_back(lowering.get(op.getDfinalState()));
  bool hasInitial = spec.initialState != kernels::InitialState::None;
  SmallVector<Type> results = {op.getDq().getType(), op.getDk().getType(), op.getDv().getType()};
  if (hasInitial && !spec.twoPass)
    results.push_back(initialStateGradients(lowering, spec));
  results.push_back(statesType(lowering, spec, spec.workspaceStates()));
  KernelTiling tiling(op, "rla_bwd");
  kernels::RlaSpec tiled = tiling.of(spec);
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { return kernels::buildRlaGrad(b, loc, name, tiled); };
  SmallVector<Value> values = tiling.call(lowering.tape, kernels::symbol(tiled, "bwd"), build, results, inputs);
  lowering.set(op.getDq(), values[0]);
  lowering.set(op.getDk(), values[1]);
  lowering.set(op.getDv(), values[2]);
  if (hasInitial)
    setInitialStateGradient(lowering, op, spec, spec.twoPass ? cotangents[1] : values[3]);
}

// ---------------------------------------------------------------------------------------------------------------------
// Both in one kernel
// ---------------------------------------------------------------------------------------------------------------------

kernels::RAttentionSpec fusedSpec(lm::FusedRAttentionOp op, kernels::TileTarget tiles) {
  kernels::RAttentionSpec spec{attentionSpec(op), rlaSpec(op), op.getEps().convertToDouble()};
  spec.linear.documents = spec.linear.documents && !op.getLeakDocuments();
  setStates(spec.linear, op);
  spec = kernels::withDefaultTiles(spec, tiles);
  if (int64_t keyTile = scheduledKeyTile(op))
    spec.window.keyTile = std::min(keyTile, kernels::tileSize(spec.window.tokens));
  return spec;
}

void lowerFused(Lowering &lowering, lm::FusedRAttentionOp op) {
  kernels::RAttentionSpec spec = fusedSpec(op, lowering.tiles);
  SmallVector<Value> inputs = llvm::map_to_vector(op.getOperands(), [&](Value v) { return lowering.get(v); });
  Value states, docStart = spec.linear.documents ? lowering.get(op.getDocStart()) : Value();
  if (spec.linear.twoPass)
    inputs.push_back(states = lowerStates(lowering, op, spec.linear, lowering.get(op.getK()), lowering.get(op.getV()),
                                          docStart, /*lengths=*/{}));
  SmallVector<Type> results(op->getResultTypes());
  if (spec.linear.saveEvery && !spec.linear.twoPass)
    results.push_back(statesType(lowering, spec.linear, spec.linear.savedStates()));
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildRAttention(b, loc, name, spec); };
  SmallVector<Value> values = lowering.tape.call(kernels::symbol(spec), build, results, inputs);
  for (auto [result, value] : llvm::zip(op.getResults(), values))
    lowering.set(result, value);
  if (spec.linear.saveEvery)
    lowering.savedStates.push_back({op, states ? states : values.back(), spec.linear.chunk, spec.linear.saveEvery});
}

void lowerHeadNormsGrad(Lowering &lowering, lm::HeadNormsGradOp op) {
  kernels::HeadNormsSpec spec{dimOf(op.getSwa(), 0), dimOf(op.getSwa(), 1), dimOf(op.getSwa(), 2),
                              dimOf(op.getSwa(), 3), op.getEps().convertToDouble()};
  spec.delta = llvm::any_of(op.getDswa().getUsers(), [&](Operation *user) {
    auto grad = dyn_cast<lm::AttentionGradOp>(user);
    return grad && !goesByRows(lowering, attentionSpec(grad));
  });
  SmallVector<Value> inputs = llvm::map_to_vector(op.getOperands(), [&](Value v) { return lowering.get(v); });
  Type rows = op.getDswa().getType(), partials = lowering.tape.f32({spec.partials(), spec.heads, spec.valueDim});
  SmallVector<Type> results = {rows, rows, partials, partials};
  if (spec.delta)
    results.push_back(lowering.tape.f32({spec.batch, spec.heads, spec.tokens}));
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildHeadNormsGrad(b, loc, name, spec); };
  SmallVector<Value> values = lowering.tape.call(kernels::symbol(spec), build, results, inputs);
  lowering.set(op.getDswa(), values[0]);
  lowering.set(op.getDrla(), values[1]);
  if (spec.delta)
    lowering.deltas[op.getDswa()] = values.back();
  Type scale = op.getDswaScale().getType();
  lowering.set(op.getDswaScale(), sumPartials(lowering, values[2], spec.partials(), scale));
  lowering.set(op.getDrlaScale(), sumPartials(lowering, values[3], spec.partials(), scale));
}

// ---------------------------------------------------------------------------------------------------------------------
// Learned initial states
// ---------------------------------------------------------------------------------------------------------------------

template <typename Op> kernels::LearnedStateSpec learnedSpec(Op op) {
  return {dimOf(op.getKTokens(), 0), dimOf(op.getKTokens(), 1), dimOf(op.getKTokens(), 2), dimOf(op.getVTokens(), 2),
          featureMap(op.getFeatureMap())};
}

void lowerLearned(Lowering &lowering, lm::LearnedStateOp op) {
  kernels::LearnedStateSpec spec = learnedSpec(op);
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildLearnedState(b, loc, name, spec); };
  lowering.set(op.getResult(), lowering.tape.call(kernels::symbol(spec, false), build, op.getResult().getType(),
                                                  {lowering.get(op.getKTokens()), lowering.get(op.getVTokens())})[0]);
}

void lowerLearnedGrad(Lowering &lowering, lm::LearnedStateGradOp op) {
  kernels::LearnedStateSpec spec = learnedSpec(op);
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildLearnedStateGrad(b, loc, name, spec); };
  SmallVector<Value> results =
      lowering.tape.call(kernels::symbol(spec, true), build, {op.getDkTokens().getType(), op.getDvTokens().getType()},
                         {lowering.get(op.getKTokens()), lowering.get(op.getVTokens()), lowering.get(op.getDstate())});
  lowering.set(op.getDkTokens(), results[0]);
  lowering.set(op.getDvTokens(), results[1]);
}

} // namespace

Lowered lowerMixer(Lowering &lowering, Operation *op) {
  if (auto attention = dyn_cast<lm::AttentionOp>(op))
    lowerAttention(lowering, attention);
  else if (auto attentionGrad = dyn_cast<lm::AttentionGradOp>(op))
    lowerAttentionGrad(lowering, attentionGrad);
  else if (auto rla = dyn_cast<lm::ResidualLinearAttentionOp>(op))
    lowerRla(lowering, rla);
  else if (auto rlaGrad = dyn_cast<lm::ResidualLinearAttentionGradOp>(op))
    lowerRlaGrad(lowering, rlaGrad);
  else if (auto learned = dyn_cast<lm::LearnedStateOp>(op))
    lowerLearned(lowering, learned);
  else if (auto learnedGrad = dyn_cast<lm::LearnedStateGradOp>(op))
    lowerLearnedGrad(lowering, learnedGrad);
  else if (auto fused = dyn_cast<lm::FusedRAttentionOp>(op))
    lowerFused(lowering, fused);
  else if (auto normsGrad = dyn_cast<lm::HeadNormsGradOp>(op))
    lowerHeadNormsGrad(lowering, normsGrad);
  else
    return Lowered::NotMine;
  return Lowered::Done;
}

} // namespace oriel::conversion
