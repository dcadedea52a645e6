// Builders of the parameter update and of gradient accumulation. A cell is 4096 elements: 16 blocks of 256, one row
// each, so that the decay flags of the blocks are one column.
#include "kernels/optim/Optim.h"

#include "kernels/common/Signature.h"

#include <limits>

using namespace mlir;

namespace oriel::kernels {

static constexpr int64_t block = 256, blocksPerCell = 16, columns = 64;

std::string adamWSymbol(const FlatSpec &spec) { return SymbolName("adamw").add("e", spec.elements).str(); }

/// min(1, max_norm / (norm + 1e-6)), or 1 without a limit.
static Scalar clipFactor(Scalar norm, Scalar maxNorm) {
  return select(maxNorm > 0.0, min(maxNorm / (norm + 1e-6), 1.0), 1.0);
}

tile::KernelOp buildAdamW(OpBuilder &builder, Location loc, StringRef symbol, const FlatSpec &spec) {
  int64_t blocks = spec.elements / block;
  Signature signature(builder);
  unsigned grads = signature.inputF32({blocks, block});
  unsigned gradNorm = signature.inputF32({1});
  unsigned hyper = signature.inputF32({HyperCount});
  unsigned decay = signature.inputF32({blocks});
  unsigned params = signature.outputF32({blocks, block});
  unsigned m = signature.outputF32({blocks, block});
  unsigned v = signature.outputF32({blocks, block});
  TileBuilder b = signature.open(loc, symbol, {blocks / blocksPerCell, 1, 1}, "clipped AdamW on a flat range");
  auto option = [&](HyperIndex i) { return b.loadScalar(b.buffer(hyper), {b.index(i)}); };
  Scalar lr = option(HyperLearningRate), beta1 = option(HyperBeta1), beta2 = option(HyperBeta2), eps = option(HyperEps);
  Scalar fresh1 = 1.0 - beta1, fresh2 = 1.0 - beta2, shrink = lr * option(HyperWeightDecay);
  Scalar unbias1 = 1.0 / option(HyperBiasCorrection1), unbias2 = 1.0 / option(HyperBiasCorrection2);
  Scalar norm = b.loadScalar(b.buffer(gradNorm), {b.index(0)}), clip = clipFactor(norm, option(HyperMaxGradNorm));
  Scalar isFinite = norm <= static_cast<double>(std::numeric_limits<float>::max()); // false for NaN
  Scalar row = b.x() * blocksPerCell;
  Value decay_R1 = b.load(b.buffer(decay), Place{{row}, 0, -1}, blocksPerCell, 1);
  b.loop(b.index(0), b.index(block), columns, [&](Scalar column) {
    Place place{{row, column}, 0, 1};
    auto load = [&](unsigned buffer) { return b.load(b.buffer(buffer), place, blocksPerCell, columns); };
    Value g_RC = b.map({load(grads)}, [&](Scalar g) { return g * clip; });
    Value m_RC = b.map({load(m), g_RC},
                       [&](Scalar old, Scalar g) { return select(isFinite, old * beta1 + g * fresh1, old); });
    Value v_RC = b.map({load(v), g_RC},
                       [&](Scalar old, Scalar g) { return select(isFinite, old * beta2 + g * g * fresh2, old); });
    Value p_RC = b.map({load(params), m_RC, v_RC, decay_R1}, [&](Scalar p, Scalar mean, Scalar square, Scalar d) {
      return select(isFinite, p * (1.0 - shrink * d) - lr * (mean * unbias1) / (sqrt(square * unbias2) + eps), p);
    });
    b.store(m_RC, b.buffer(m), place);
    b.store(v_RC, b.buffer(v), place);
    b.store(p_RC, b.buffer(params), place);
  });
  return b.op();
}

std::string accumulateSymbol(const FlatSpec &spec) { return SymbolName("accumulate").add("e", spec.elements).str(); }

tile::KernelOp buildAccumulate(OpBuilder &builder, Location loc, StringRef symbol, const FlatSpec &spec) {
  Signature signature(builder);
  unsigned b0 = signature.inputF32({spec.elements});
  unsigned a0 = signature.outputF32({spec.elements});
  int64_t size = std::min<int64_t>(4096, tileSize(spec.elements));
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.elements, size), 1, 1}, "a += b");
  Place place{{b.x() * size}, -1, 0};
  Value sum = b.map({b.load(b.buffer(a0), place, 1, size), b.load(b.buffer(b0), place, 1, size)},
                    [](Scalar a, Scalar c) { return a + c; });
  b.store(sum, b.buffer(a0), place);
  return b.op();
}

} // namespace oriel::kernels
