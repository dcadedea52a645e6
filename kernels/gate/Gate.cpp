// Builders of the gated activation: one flat tile per cell.
#include "kernels/gate/Gate.h"

#include "kernels/common/Signature.h"

using namespace mlir;

namespace oriel::kernels {

std::string symbol(const GateSpec &spec, bool backward) {
  return SymbolName(backward ? "gate_bwd" : "gate_fwd")
      .flag(spec.activation == GateActivation::Silu ? "silu" : "gelu", true)
      .add("e", spec.elements)
      .flag("remake", backward && spec.remake)
      .str();
}

static constexpr double geluScale = 0.7978845608028653558798921198687; // sqrt(2 / pi)
static constexpr double geluCubic = 0.044715;

/// What the activation and its slope share: the sigmoid, or the hyperbolic tangent of GELU.
static Scalar transcendental(GateActivation activation, Scalar x) {
  if (activation == GateActivation::Silu)
    return sigmoid(x);
  return tanh((x + x * x * x * geluCubic) * geluScale);
}

static Scalar activate(GateActivation activation, Scalar x, Scalar t) {
  return activation == GateActivation::Silu ? x * t : x * 0.5 * (1.0 + t);
}

static Scalar slope(GateActivation activation, Scalar x, Scalar t) {
  if (activation == GateActivation::Silu)
    return t * (1.0 + x * (1.0 - t));
  return 0.5 * (1.0 + t) + x * 0.5 * (1.0 - t * t) * ((1.0 + x * x * (3.0 * geluCubic)) * geluScale);
}

static int64_t flatTile(const GateSpec &spec) { return std::min<int64_t>(2048, tileSize(spec.elements)); }

tile::KernelOp buildGate(OpBuilder &builder, Location loc, StringRef symbol, const GateSpec &spec) {
  Signature signature(builder);
  unsigned gate = signature.input({spec.elements});
  unsigned up = signature.input({spec.elements});
  unsigned y = signature.outputReplacing({spec.elements}, {gate, up});
  int64_t size = flatTile(spec);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.elements, size), 1, 1}, "y = act(gate) * up");
  Place place{{b.x() * size}, -1, 0};
  auto gated = [&](Scalar g, Scalar u) { return activate(spec.activation, g, transcendental(spec.activation, g)) * u; };
  Value result = b.map({b.load(b.buffer(gate), place, 1, size), b.load(b.buffer(up), place, 1, size)}, gated);
  b.store(result, b.buffer(y), place);
  return b.op();
}

tile::KernelOp buildGateGrad(OpBuilder &builder, Location loc, StringRef symbol, const GateSpec &spec) {
  Signature signature(builder);
  unsigned gate = signature.input({spec.elements});
  unsigned up = signature.input({spec.elements});
  unsigned dy = signature.input({spec.elements});
  unsigned dgate = signature.outputReplacing({spec.elements}, {gate, dy, up});
  unsigned dup = signature.outputReplacing({spec.elements}, {up, dy, gate});
  unsigned y = spec.remake ? signature.outputReplacing({spec.elements}, {dy, gate, up}) : 0;
  int64_t size = flatTile(spec);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.elements, size), 1, 1}, "gradient of act(gate) * up");
  Place place{{b.x() * size}, -1, 0};
  Value gate_1C = b.load(b.buffer(gate), place, 1, size), up_1C = b.load(b.buffer(up), place, 1, size);
  Value dy_1C = b.load(b.buffer(dy), place, 1, size);
  auto gradients = [&](TileBuilder &, ArrayRef<Scalar> in) -> SmallVector<Scalar> {
    Scalar g = in[0], u = in[1], d = in[2], t = transcendental(spec.activation, g);
    Scalar act = activate(spec.activation, g, t);
    SmallVector<Scalar> results = {d * u * slope(spec.activation, g, t), d * act};
    if (spec.remake)
      results.push_back(act * u);
    return results;
  };
  TileBuilder::Values tiles = b.mapN({gate_1C, up_1C, dy_1C}, gradients);
  b.store(tiles[0], b.buffer(dgate), place);
  b.store(tiles[1], b.buffer(dup), place);
  if (spec.remake)
    b.store(tiles[2], b.buffer(y), place);
  return b.op();
}

} // namespace oriel::kernels
