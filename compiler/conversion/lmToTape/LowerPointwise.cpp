// Look-ups, norms, rotations, scales and gates.
#include "compiler/conversion/lmToTape/LowerOps.h"
#include "dialects/lm/LmOps.h"
#include "dialects/tile/TileOps.h"
#include "kernels/elementwise/Elementwise.h"
#include "kernels/embed/Embed.h"
#include "kernels/gate/Gate.h"
#include "kernels/norm/RmsNorm.h"
#include "kernels/rope/Rope.h"

using namespace mlir;

namespace oriel::conversion {
namespace {

void lowerEmbed(Lowering &lowering, lm::EmbedOp op) {
  kernels::EmbedSpec spec{elementsOf(op.getTokens()), dimOf(op.getTable(), 0), dimOf(op.getTable(), 1),
                          op.getScale().convertToFloat()};
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildEmbed(b, loc, name, spec); };
  lowering.set(op.getResult(), lowering.tape.call(kernels::symbol(spec, false), build, op.getResult().getType(),
                                                  {lowering.get(op.getTable()), lowering.get(op.getTokens())})[0]);
}

template <typename Op> kernels::RmsNormSpec normSpec(Lowering &lowering, Op op, Value x) {
  kernels::RmsNormSpec spec;
  spec.tiles = lowering.tiles;
  bool perHead = cast<ShapedType>(op.getWeight().getType()).getRank() == 2;
  spec.groups = perHead ? dimOf(op.getWeight(), 0) : 1;
  spec.width = dimOf(op.getWeight(), perHead ? 1 : 0);
  spec.rows = elementsOf(x) / (spec.groups * spec.width);
  spec.eps = op.getEps().convertToDouble();
  spec.plusOne = op.getPlusOne();
  return spec;
}

void lowerNorm(Lowering &lowering, lm::RmsNormOp op) {
  kernels::RmsNormSpec spec = normSpec(lowering, op, op.getX());
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildRmsNorm(b, loc, name, spec); };
  lowering.set(op.getResult(), lowering.tape.call(kernels::symbol(spec, false), build, op.getResult().getType(),
                                                  {lowering.get(op.getX()), lowering.get(op.getWeight())})[0]);
}

void lowerAddNorm(Lowering &lowering, lm::AddRmsNormOp op) {
  kernels::RmsNormSpec spec = normSpec(lowering, op, op.getLhs());
  spec.residual = true;
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildRmsNorm(b, loc, name, spec); };
  SmallVector<Value> results =
      lowering.tape.call(kernels::symbol(spec, false), build, op->getResultTypes(),
                         {lowering.get(op.getLhs()), lowering.get(op.getRhs()), lowering.get(op.getWeight())});
  lowering.set(op.getSum(), results[0]);
  lowering.set(op.getResult(), results[1]);
}

void lowerNormGrad(Lowering &lowering, lm::RmsNormGradOp op) {
  kernels::RmsNormSpec spec = normSpec(lowering, op, op.getX());
  spec.residual = static_cast<bool>(op.getResidual());
  spec.remake = static_cast<bool>(op.getNormed());
  int64_t parts = kernels::partialCount(spec.rows);
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildRmsNormGrad(b, loc, name, spec); };
  SmallVector<Type> types = {op.getDx().getType(), lowering.tape.f32({parts, spec.groups, spec.width})};
  if (spec.remake)
    types.push_back(op.getNormed().getType());
  SmallVector<Value> results =
      lowering.tape.call(kernels::symbol(spec, true), build, types,
                         llvm::map_to_vector(op->getOperands(), [&](Value operand) { return lowering.get(operand); }));
  lowering.set(op.getDx(), results[0]);
  lowering.set(op.getDweight(), sumPartials(lowering, results[1], parts, op.getDweight().getType()));
  if (spec.remake)
    lowering.set(op.getNormed(), results[2]);
}

static Lowering::RopeAngles ropeAngles(Lowering &lowering, int64_t tokens, int64_t rotary, double theta) {
  auto [known, isNew] = lowering.ropeAngles.try_emplace({tokens, rotary, theta});
  if (isNew) {
    kernels::RopeTables tables = kernels::ropeTables(tokens, rotary, theta);
    known->second = {lowering.tape.constant(tables.cos, {tokens, rotary / 2}),
                     lowering.tape.constant(tables.sin, {tokens, rotary / 2})};
  }
  return known->second;
}

void lowerRope(Lowering &lowering, lm::RopeOp op) {
  kernels::RopeSpec spec;
  spec.batch = dimOf(op.getX(), 0);
  spec.tokens = dimOf(op.getX(), 1);
  spec.heads = dimOf(op.getX(), 2);
  spec.headDim = dimOf(op.getX(), 3);
  spec.rotary = op.getRotaryDim();
  spec.interleaved = op.getLayout() == lm::RopeLayout::Interleaved;
  spec.documents = static_cast<bool>(op.getDocStart());
  spec.inverse = op.getInverse();
  auto [cos, sin] = ropeAngles(lowering, spec.tokens, spec.rotary, op.getTheta().convertToDouble());
  SmallVector<Value> inputs = {lowering.get(op.getX()), cos, sin};
  if (op.getDocStart())
    inputs.push_back(lowering.get(op.getDocStart()));
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildRope(b, loc, name, spec); };
  lowering.set(op.getResult(), lowering.tape.call(kernels::symbol(spec), build, op.getResult().getType(), inputs)[0]);
}

void lowerScale(Lowering &lowering, lm::ScaleChannelsOp op) {
  kernels::ScaleChannelsSpec spec{leadingRows(op.getX()), elementsOf(op.getScale())};
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildScaleChannels(b, loc, name, spec); };
  lowering.set(op.getResult(), lowering.tape.call(kernels::symbol(spec, false), build, op.getResult().getType(),
                                                  {lowering.get(op.getX()), lowering.get(op.getScale())})[0]);
}

void lowerScaleGrad(Lowering &lowering, lm::ScaleChannelsGradOp op) {
  kernels::ScaleChannelsSpec spec{leadingRows(op.getX()), elementsOf(op.getScale())};
  int64_t parts = kernels::partialCount(spec.rows);
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildScaleChannelsGrad(b, loc, name, spec); };
  SmallVector<Value> results = lowering.tape.call(
      kernels::symbol(spec, true), build, {op.getDx().getType(), lowering.tape.f32({parts, spec.width})},
      {lowering.get(op.getX()), lowering.get(op.getScale()), lowering.get(op.getDy())});
  lowering.set(op.getDx(), results[0]);
  lowering.set(op.getDscale(), sumPartials(lowering, results[1], parts, op.getDscale().getType()));
}

template <typename Op> kernels::GateSpec gateSpec(Op op) {
  bool silu = op.getActivation() == lm::Activation::Silu;
  return {elementsOf(op.getGate()), silu ? kernels::GateActivation::Silu : kernels::GateActivation::Gelu};
}

void lowerGate(Lowering &lowering, lm::GatedActivationOp op) {
  kernels::GateSpec spec = gateSpec(op);
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildGate(b, loc, name, spec); };
  lowering.set(op.getResult(), lowering.tape.call(kernels::symbol(spec, false), build, op.getResult().getType(),
                                                  {lowering.get(op.getGate()), lowering.get(op.getUp())})[0]);
}

void lowerGateGrad(Lowering &lowering, lm::GatedActivationGradOp op) {
  kernels::GateSpec spec = gateSpec(op);
  spec.remake = static_cast<bool>(op.getGated());
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildGateGrad(b, loc, name, spec); };
  SmallVector<Value> results =
      lowering.tape.call(kernels::symbol(spec, true), build, op->getResultTypes(),
                         {lowering.get(op.getGate()), lowering.get(op.getUp()), lowering.get(op.getDy())});
  for (auto [result, value] : llvm::zip(op->getResults(), results))
    lowering.set(result, value);
}

} // namespace

Lowered lowerPointwise(Lowering &lowering, Operation *op) {
  if (auto embed = dyn_cast<lm::EmbedOp>(op))
    lowerEmbed(lowering, embed);
  else if (auto norm = dyn_cast<lm::RmsNormOp>(op))
    lowerNorm(lowering, norm);
  else if (auto addNorm = dyn_cast<lm::AddRmsNormOp>(op))
    lowerAddNorm(lowering, addNorm);
  else if (auto normGrad = dyn_cast<lm::RmsNormGradOp>(op))
    lowerNormGrad(lowering, normGrad);
  else if (auto rope = dyn_cast<lm::RopeOp>(op))
    lowerRope(lowering, rope);
  else if (auto scale = dyn_cast<lm::ScaleChannelsOp>(op))
    lowerScale(lowering, scale);
  else if (auto scaleGrad = dyn_cast<lm::ScaleChannelsGradOp>(op))
    lowerScaleGrad(lowering, scaleGrad);
  else if (auto gate = dyn_cast<lm::GatedActivationOp>(op))
    lowerGate(lowering, gate);
  else if (auto gateGrad = dyn_cast<lm::GatedActivationGradOp>(op))
    lowerGateGrad(lowering, gateGrad);
  else
    return Lowered::NotMine;
  return Lowered::Done;
}

} // namespace oriel::conversion
