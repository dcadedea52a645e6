// Builders of the initial state that learned tokens leave, and of its gradient.
#include "kernels/common/Signature.h"
#include "kernels/rattention/FeatureMap.h"

using namespace mlir;

namespace oriel::kernels {

std::string symbol(const LearnedStateSpec &spec, bool backward) {
  return SymbolName(backward ? "learned_state_bwd" : "learned_state_fwd")
      .flag(spec.featureMap == FeatureMap::Softmax ? "softmax" : "relu", true)
      .add("n", spec.heads)
      .add("j", spec.learnedTokens)
      .add("d", spec.headDim)
      .add("e", spec.valueDim)
      .str();
}

static int64_t tokenTile(const LearnedStateSpec &spec) { return std::min<int64_t>(64, tileSize(spec.learnedTokens)); }

/// A half of the state of head `head` in a buffer [N,2D,E].
static Place statePlace(TileBuilder &b, const LearnedStateSpec &spec, Scalar head, bool minus) {
  Place place{{head, b.index(minus ? spec.headDim : 0), b.index(0)}, 1, 2};
  if (!minus)
    place.rowEnd = b.index(spec.headDim);
  return place;
}

tile::KernelOp buildLearnedState(OpBuilder &builder, Location loc, StringRef symbol, const LearnedStateSpec &spec) {
  Signature signature(builder);
  unsigned k = signature.inputF32({spec.heads, spec.learnedTokens, spec.headDim});
  unsigned v = signature.inputF32({spec.heads, spec.learnedTokens, spec.valueDim});
  unsigned h0 = signature.outputF32({spec.heads, 2 * spec.headDim, spec.valueDim});
  TileBuilder b = signature.open(loc, symbol, {spec.heads, 1, 1}, "initial state from learned tokens");
  int64_t rows = tokenTile(spec), dim = tileSize(spec.headDim), valueDim = tileSize(spec.valueDim);
  Value start[] = {b.zeros(dim, valueDim), b.zeros(dim, valueDim)};
  auto step = [&](Scalar token, ValueRange carried) -> TileBuilder::Values {
    Place place{{b.x(), token, b.index(0)}, 1, 2};
    Halves phi = featureMap(b, spec.featureMap, b.load(b.buffer(k), place, rows, dim), spec.headDim);
    Value v_JE = b.load(b.buffer(v), place, rows, valueDim);
    return {b.dotAT(phi.plus, v_JE, carried[0]), b.dotAT(phi.minus, v_JE, carried[1])};
  };
  TileBuilder::Values state = b.loop(b.index(0), b.index(spec.learnedTokens), rows, start, step);
  b.store(state[0], b.buffer(h0), statePlace(b, spec, b.x(), false));
  b.store(state[1], b.buffer(h0), statePlace(b, spec, b.x(), true));
  return b.op();
}

tile::KernelOp buildLearnedStateGrad(OpBuilder &builder, Location loc, StringRef symbol, const LearnedStateSpec &spec) {
  Signature signature(builder);
  unsigned k = signature.inputF32({spec.heads, spec.learnedTokens, spec.headDim});
  unsigned v = signature.inputF32({spec.heads, spec.learnedTokens, spec.valueDim});
  unsigned dh0 = signature.inputF32({spec.heads, 2 * spec.headDim, spec.valueDim});
  unsigned dk = signature.outputF32({spec.heads, spec.learnedTokens, spec.headDim});
  unsigned dv = signature.outputF32({spec.heads, spec.learnedTokens, spec.valueDim});
  int64_t rows = tokenTile(spec), dim = tileSize(spec.headDim), valueDim = tileSize(spec.valueDim);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.learnedTokens, rows), spec.heads, 1},
                                 "gradient of the initial state for the learned tokens");
  Place place{{b.y(), b.x() * rows, b.index(0)}, 1, 2};
  Halves phi = featureMap(b, spec.featureMap, b.load(b.buffer(k), place, rows, dim), spec.headDim);
  Value v_JE = b.load(b.buffer(v), place, rows, valueDim);
  Halves d{b.load(b.buffer(dh0), statePlace(b, spec, b.y(), false), dim, valueDim),
           b.load(b.buffer(dh0), statePlace(b, spec, b.y(), true), dim, valueDim)};
  Halves dphi{b.dotBT(v_JE, d.plus), b.dotBT(v_JE, d.minus)};
  b.store(featureMapGrad(b, spec.featureMap, phi, dphi), b.buffer(dk), place);
  b.store(b.dot(phi.minus, d.minus, b.dot(phi.plus, d.plus)), b.buffer(dv), place);
  return b.op();
}

} // namespace oriel::kernels
