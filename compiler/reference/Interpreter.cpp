// From ops to the functions of this folder: one overload of run() per op.
#include "compiler/reference/Interpreter.h"
#include "compiler/reference/Attention.h"
#include "compiler/reference/LinearAttention.h"
#include "compiler/reference/Loss.h"
#include "compiler/reference/Norms.h"
#include "compiler/reference/Projections.h"
#include "compiler/reference/ResidualLinearAttention.h"
#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;

namespace oriel::reference {
namespace {

using Outputs = SmallVector<Tensor>;

std::vector<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape().vec(); }

FeatureMap mapOf(lm::FeatureMap map) { return map == lm::FeatureMap::Softmax ? FeatureMap::Softmax : FeatureMap::Relu; }

Activation activationOf(lm::Activation activation) {
  return activation == lm::Activation::Silu ? Activation::Silu : Activation::Gelu;
}

double real(const APFloat &value) { return value.convertToDouble(); }

/// The values computed so far.
class Environment {
public:
  void define(Value value, Tensor tensor) { values_[value] = std::move(tensor); }
  const Tensor &operator()(Value value) const { return values_.find(value)->second; }
  /// Null for an absent operand.
  const Tensor *optional(Value value) const { return value ? &(*this)(value) : nullptr; }

private:
  DenseMap<Value, Tensor> values_;
};

// Embedding and projections ------------------------------------------------------------------------------------------

Outputs run(lm::EmbedOp op, const Environment &at) {
  return {embed(at(op.getTable()), at(op.getTokens()), real(op.getScale()))};
}
Outputs run(lm::EmbedGradOp op, const Environment &at) {
  return {embedGrad(at(op.getDy()), at(op.getTokens()), real(op.getScale()), shapeOf(op.getDtable())[0])};
}
Outputs run(lm::LinearOp op, const Environment &at) {
  return {linear(at(op.getX()), at(op.getWeight()), at.optional(op.getBias()))};
}
Outputs run(lm::MatmulOp op, const Environment &at) {
  return {matmul(at(op.getA()), at(op.getB()), op.getTransposeA(), op.getTransposeB(), shapeOf(op.getResult()))};
}
Outputs run(lm::ReshapeOp op, const Environment &at) { return {Tensor(shapeOf(op.getResult()), at(op.getX()).data)}; }
Outputs run(lm::AddOp op, const Environment &at) { return {add(at(op.getLhs()), at(op.getRhs()))}; }
Outputs run(lm::SumRowsOp op, const Environment &at) { return {sumRows(at(op.getX()))}; }
Outputs run(lm::ScaleChannelsOp op, const Environment &at) { return {scaleChannels(at(op.getX()), at(op.getScale()))}; }
Outputs run(lm::ScaleChannelsGradOp op, const Environment &at) {
  auto [dx, dscale] = scaleChannelsGrad(at(op.getX()), at(op.getScale()), at(op.getDy()));
  return {dx, dscale};
}

// Norms, positions, gates --------------------------------------------------------------------------------------------

Outputs run(lm::RmsNormOp op, const Environment &at) {
  return {rmsNorm(at(op.getX()), at(op.getWeight()), real(op.getEps()), op.getPlusOne())};
}
Outputs run(lm::RmsNormGradOp op, const Environment &at) {
  auto [dx, dw] = rmsNormGrad(at(op.getX()), at(op.getWeight()), at(op.getDy()), real(op.getEps()), op.getPlusOne());
  Outputs out{op.getResidual() ? add(dx, at(op.getResidual())) : dx, dw};
  if (op.getNormed())
    out.push_back(rmsNorm(at(op.getX()), at(op.getWeight()), real(op.getEps()), op.getPlusOne()));
  return out;
}
Outputs run(lm::AddRmsNormOp op, const Environment &at) {
  Tensor sum = add(at(op.getLhs()), at(op.getRhs()));
  return {sum, rmsNorm(sum, at(op.getWeight()), real(op.getEps()), op.getPlusOne())};
}
Outputs run(lm::RopeOp op, const Environment &at) {
  bool interleaved = op.getLayout() == lm::RopeLayout::Interleaved;
  return {rope(at(op.getX()), at.optional(op.getDocStart()),
               {real(op.getTheta()), interleaved, op.getRotaryDim(), op.getInverse()})};
}
Outputs run(lm::GatedActivationOp op, const Environment &at) {
  return {gatedActivation(at(op.getGate()), at(op.getUp()), activationOf(op.getActivation()))};
}
Outputs run(lm::GatedActivationGradOp op, const Environment &at) {
  auto [dgate, dup] =
      gatedActivationGrad(at(op.getGate()), at(op.getUp()), at(op.getDy()), activationOf(op.getActivation()));
  Outputs out{dgate, dup};
  if (op.getGated())
    out.push_back(gatedActivation(at(op.getGate()), at(op.getUp()), activationOf(op.getActivation())));
  return out;
}

// Mixers -------------------------------------------------------------------------------------------------------------

Outputs run(lm::AttentionOp op, const Environment &at) {
  auto [result, lse] = attention(at(op.getQ()), at(op.getK()), at(op.getV()), at.optional(op.getDocStart()),
                                 {op.getWindow(), real(op.getScale()), real(op.getSoftCap())});
  return {result, lse};
}
Outputs run(lm::AttentionGradOp op, const Environment &at) {
  auto [dq, dk, dv] =
      attentionGrad(at(op.getQ()), at(op.getK()), at(op.getV()), at(op.getDresult()), at.optional(op.getDocStart()),
                    {op.getWindow(), real(op.getScale()), real(op.getSoftCap())});
  return {dq, dk, dv};
}
Outputs run(lm::ResidualLinearAttentionOp op, const Environment &at) {
  ResidualLinearAttentionInputs in{at(op.getQ()),
                                   at(op.getK()),
                                   at(op.getV()),
                                   at.optional(op.getInitialState()),
                                   at.optional(op.getDocStart()),
                                   at.optional(op.getLengths())};
  auto [result, state] = residualLinearAttention(in, {op.getWindow(), mapOf(op.getFeatureMap())});
  return {result, state};
}
Outputs run(lm::ResidualLinearAttentionGradOp op, const Environment &at) {
  ResidualLinearAttentionInputs in{at(op.getQ()), at(op.getK()), at(op.getV()), at.optional(op.getInitialState()),
                                   at.optional(op.getDocStart())};
  auto [dq, dk, dv, dinitial] = residualLinearAttentionGrad(in, at(op.getDresult()), at.optional(op.getDfinalState()),
                                                            {op.getWindow(), mapOf(op.getFeatureMap())});
  Outputs out{dq, dk, dv};
  if (op.getDinitialState())
    out.push_back(dinitial);
  return out;
}
Outputs run(lm::LearnedStateOp op, const Environment &at) {
  return {learnedState(at(op.getKTokens()), at(op.getVTokens()), mapOf(op.getFeatureMap()))};
}
Outputs run(lm::LearnedStateGradOp op, const Environment &at) {
  auto [dk, dv] =
      learnedStateGrad(at(op.getKTokens()), at(op.getVTokens()), at(op.getDstate()), mapOf(op.getFeatureMap()));
  return {dk, dv};
}

// Composites, not by way of their decomposition ----------------------------------------------------------------------

Tensor windowBranch(lm::RAttentionOp op, const Environment &at, const Tensor *recurrentDocs) {
  double theta = real(op.getTheta());
  auto prepare = [&](Tensor x, const Tensor *weight) {
    if (weight)
      x = rmsNorm(x, *weight, real(op.getEps()), /*plusOne=*/false);
    bool interleaved = op.getRopeLayout() == lm::RopeLayout::Interleaved;
    return theta > 0 ? rope(x, recurrentDocs, {theta, interleaved, op.getRotaryDim()}) : x;
  };
  Tensor q = prepare(at(op.getQ()), at.optional(op.getQNorm())), k = prepare(at(op.getK()), at.optional(op.getKNorm()));
  AttentionSpec spec{op.getWindow(), 1.0 / std::sqrt(double(q.dim(-1))), real(op.getSoftCap())};
  Tensor swa = attention(q, k, at(op.getV()), at.optional(op.getDocStart()), spec).result;
  return rmsNorm(swa, at(op.getSwaScale()), real(op.getEps()), /*plusOne=*/false);
}

Outputs run(lm::RAttentionOp op, const Environment &at) {
  const Tensor *recurrentDocs = op.getLeakDocuments() ? nullptr : at.optional(op.getDocStart());
  FeatureMap map = mapOf(op.getFeatureMap());
  Tensor q = op.getQScale() ? scaleChannels(at(op.getQ()), at(op.getQScale())) : at(op.getQ());
  Tensor k = op.getKScale() ? scaleChannels(at(op.getK()), at(op.getKScale())) : at(op.getK());
  Tensor initial = op.getKTokens() ? learnedState(at(op.getKTokens()), at(op.getVTokens()), map) : Tensor();
  ResidualLinearAttentionInputs in{q, k, at(op.getV()), op.getKTokens() ? &initial : nullptr, recurrentDocs};
  Tensor rla = residualLinearAttention(in, {op.getWindow(), map}).result;
  Tensor result = rmsNorm(rla, at(op.getRlaScale()), real(op.getEps()), /*plusOne=*/false);
  if (op.getWindow() >= 0)
    result = add(windowBranch(op, at, recurrentDocs), result);
  return {result};
}

template <typename Op> LinearAttentionInputs linearInputs(Op op, const Environment &at) {
  auto initial = [&](size_t i) { return i < op.getInitial().size() ? &at(op.getInitial()[i]) : nullptr; };
  return {at(op.getQ()), at(op.getK()), at(op.getV()), initial(0), initial(1), at.optional(op.getDocStart())};
}
Outputs run(lm::LinearAttentionOp op, const Environment &at) {
  auto [result, state, sum] = linearAttention(linearInputs(op, at), {real(op.getScale()), op.getNormalize()});
  Outputs outputs = {result, state};
  if (op.getNormalize())
    outputs.push_back(sum);
  return outputs;
}
Outputs run(lm::LinearAttentionGradOp op, const Environment &at) {
  auto final = [&](size_t i) { return i < op.getDfinal().size() ? &at(op.getDfinal()[i]) : nullptr; };
  auto grads = linearAttentionGrad(linearInputs(op, at), at(op.getDresult()), final(0), final(1),
                                   {real(op.getScale()), op.getNormalize()});
  Outputs outputs = {grads.dq, grads.dk, grads.dv, grads.dinitialState, grads.dinitialSum};
  outputs.resize(op.getNumResults());
  return outputs;
}

// Fused ops, by the primitives that they replace ---------------------------------------------------------------------

Outputs run(lm::FusedRAttentionOp op, const Environment &at) {
  auto [swa, lse] = attention(at(op.getRotatedQ()), at(op.getRotatedK()), at(op.getV()), at.optional(op.getDocStart()),
                              {op.getWindow(), real(op.getScale()), real(op.getSoftCap())});
  ResidualLinearAttentionInputs in{at(op.getQ()), at(op.getK()), at(op.getV()), at.optional(op.getInitialState()),
                                   op.getLeakDocuments() ? nullptr : at.optional(op.getDocStart())};
  Tensor rla = residualLinearAttention(in, {op.getWindow(), mapOf(op.getFeatureMap())}).result;
  double eps = real(op.getEps());
  Tensor result = add(rmsNorm(swa, at(op.getSwaScale()), eps, /*plusOne=*/false),
                      rmsNorm(rla, at(op.getRlaScale()), eps, /*plusOne=*/false));
  return {result, swa, lse, rla};
}
Outputs run(lm::HeadNormsGradOp op, const Environment &at) {
  double eps = real(op.getEps());
  auto [dswa, dswaScale] = rmsNormGrad(at(op.getSwa()), at(op.getSwaScale()), at(op.getDresult()), eps, false);
  auto [drla, drlaScale] = rmsNormGrad(at(op.getRla()), at(op.getRlaScale()), at(op.getDresult()), eps, false);
  return {dswa, drla, dswaScale, drlaScale};
}

Outputs run(lm::GatedMlpOp op, const Environment &at) {
  const Tensor &x = at(op.getX());
  Tensor hidden = gatedActivation(linear(x, at(op.getGate()), nullptr), linear(x, at(op.getUp()), nullptr),
                                  activationOf(op.getActivation()));
  return {linear(hidden, at(op.getDown()), nullptr)};
}

// Loss ---------------------------------------------------------------------------------------------------------------

Outputs run(lm::CrossEntropyOp op, const Environment &at) {
  return {crossEntropy(at(op.getX()), at(op.getWeight()), at(op.getTargets()), real(op.getSoftCap()))};
}
Outputs run(lm::CrossEntropyGradOp op, const Environment &at) {
  auto [loss, dx, dweight] = crossEntropyGrad(at(op.getX()), at(op.getWeight()), at(op.getTargets()),
                                              at(op.getDloss()).data[0], real(op.getSoftCap()));
  return {loss, dx, dweight};
}
Outputs run(lm::LogitsOp op, const Environment &at) {
  return {logits(at(op.getX()), at(op.getWeight()), at(op.getPosition()), real(op.getSoftCap()))};
}

// Constants ----------------------------------------------------------------------------------------------------------

Outputs run(arith::ConstantOp op, const Environment &) {
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!elements)
    return {};
  Tensor tensor(shapeOf(op.getResult()));
  if (isa<FloatType>(elements.getElementType())) {
    for (auto [slot, value] : llvm::zip_equal(tensor.data, elements.getValues<APFloat>())) {
      APFloat wide = value;
      bool inexact;
      wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &inexact);
      slot = wide.convertToDouble();
    }
  } else {
    for (auto [slot, value] : llvm::zip_equal(tensor.data, elements.getValues<APInt>()))
      slot = double(value.getSExtValue());
  }
  return {tensor};
}

/// Empty if the op is not known here.
Outputs runAny(Operation *op, const Environment &at) {
  return llvm::TypeSwitch<Operation *, Outputs>(op)
      .Case<lm::EmbedOp, lm::EmbedGradOp, lm::LinearOp, lm::MatmulOp, lm::ReshapeOp, lm::AddOp, lm::SumRowsOp,
            lm::ScaleChannelsOp, lm::ScaleChannelsGradOp, lm::RmsNormOp, lm::RmsNormGradOp, lm::AddRmsNormOp,
            lm::RopeOp, lm::GatedActivationOp, lm::GatedActivationGradOp, lm::AttentionOp, lm::AttentionGradOp,
            lm::ResidualLinearAttentionOp, lm::ResidualLinearAttentionGradOp, lm::LinearAttentionOp,
            lm::LinearAttentionGradOp, lm::LearnedStateOp, lm::LearnedStateGradOp, lm::RAttentionOp,
            lm::FusedRAttentionOp, lm::HeadNormsGradOp, lm::GatedMlpOp, lm::CrossEntropyOp, lm::CrossEntropyGradOp,
            lm::LogitsOp, arith::ConstantOp>([&](auto known) { return run(known, at); })
      .Default([](Operation *) { return Outputs(); });
}

} // namespace

FailureOr<SmallVector<Tensor>> evaluate(func::FuncOp func, ArrayRef<Tensor> arguments) {
  if (!llvm::hasSingleElement(func.getBody()))
    return func.emitError("the reference interpreter needs a body of one block");
  if (arguments.size() != func.getNumArguments())
    return func.emitError("takes ") << func.getNumArguments() << " arguments, got " << arguments.size();

  Environment environment;
  for (auto [value, tensor] : llvm::zip_equal(func.getArguments(), arguments)) {
    if (shapeOf(value) != tensor.shape)
      return func.emitError("argument ") << value.getArgNumber() << " has type " << value.getType() << " but was given "
                                         << tensor.size() << " elements of another shape";
    environment.define(value, tensor);
  }
  for (Operation &op : func.front().without_terminator()) {
    Outputs outputs = runAny(&op, environment);
    if (outputs.size() != op.getNumResults())
      return op.emitOpError("is not known to the reference interpreter");
    for (auto [result, tensor] : llvm::zip_equal(op.getResults(), outputs)) {
      assert(shapeOf(result) == tensor.shape && "an op computed a shape other than its type's");
      environment.define(result, std::move(tensor));
    }
  }
  SmallVector<Tensor> results;
  for (Value value : func.front().getTerminator()->getOperands())
    results.push_back(environment(value));
  return results;
}

} // namespace oriel::reference
