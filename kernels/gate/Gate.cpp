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

static Scalar geluTanh(Scalar x) { return tanh((x + x * x * x * geluCubic) * geluScale); }

static Scalar activate(GateActivation activation, Scalar x) {
  if (activation == GateActivation::Silu)
    return x * sigmoid(x);
  return x * 0.5 * (1.0 + geluTanh(x));
}

static Scalar activateGrad(GateActivation activation, Scalar x) {
  if (activation == GateActivation::Silu) {
    Scalar s = sigmoid(x);
    return s * (1.0 + x * (1.0 - s));
  }
  Scalar t = geluTanh(x);
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
  Value result = b.map({b.load(b.buffer(gate), place, 1, size), b.load(b.buffer(up), place, 1, size)},
                       [&](Scalar g, Scalar u) { return activate(spec.activation, g) * u; });
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
  auto store = [&](unsigned output, Value tile) { b.store(tile, b.buffer(output), place); };
  store(dgate, b.map({gate_1C, up_1C, dy_1C},
                     [&](Scalar g, Scalar u, Scalar d) { return d * u * activateGrad(spec.activation, g); }));
  Value act_1C = b.map({gate_1C}, [&](Scalar g) { return activate(spec.activation, g); });
  auto times = [](Scalar a, Scalar c) { return a * c; };
  store(dup, b.map({dy_1C, act_1C}, times));
  if (spec.remake)
    store(y, b.map({act_1C, up_1C}, times));
  return b.op();
}

} // namespace oriel::kernels
