// Builder of rotary positions. One cell is a block of tokens of one row, all heads: they share the angles.
#include "kernels/rope/Rope.h"

#include "kernels/common/Signature.h"
#include <cmath>

using namespace mlir;

namespace oriel::kernels {

std::string symbol(const RopeSpec &spec) {
  return SymbolName("rope")
      .add("b", spec.batch)
      .add("t", spec.tokens)
      .add("n", spec.heads)
      .add("d", spec.headDim)
      .add("r", spec.rotary)
      .flag("interleaved", spec.interleaved)
      .flag("doc", spec.documents)
      .flag("inverse", spec.inverse)
      .str();
}

RopeTables ropeTables(int64_t tokens, int64_t rotary, double theta) {
  std::vector<double> frequencies; // of each pair
  for (int64_t pair = 0; pair < rotary / 2; ++pair)
    frequencies.push_back(std::pow(theta, -2.0 * static_cast<double>(pair) / rotary));
  RopeTables tables;
  for (int64_t position = 0; position < tokens; ++position)
    for (double frequency : frequencies) {
      double angle = static_cast<double>(position) * frequency;
      tables.cos.push_back(static_cast<float>(std::cos(angle)));
      tables.sin.push_back(static_cast<float>(std::sin(angle)));
    }
  return tables;
}

/// Rows of a table at the positions of `rows` tokens from `token` on.
static Value loadAngles(TileBuilder &b, const RopeSpec &spec, Value table, Value positions, Scalar token,
                        int64_t rows) {
  int64_t pairs = spec.rotary / 2;
  if (positions)
    return b.gather(table, positions, b.index(0), tileSize(pairs), pairs);
  return b.load(table, Place{{token, b.index(0)}, 0, 1}, rows, tileSize(pairs));
}

/// Turns one head's block in place of the same block of y.
static void rotateHead(TileBuilder &b, const RopeSpec &spec, Value x, Value y, const Place &head, int64_t rows,
                       Value cos_RP, Value sin_RP) {
  int64_t pairs = spec.rotary / 2;
  Place first = head, second = head;
  first.colLimit = second.colLimit = pairs;
  second.indices.back() = b.index(spec.interleaved ? 1 : pairs);
  first.colStride = second.colStride = spec.interleaved ? 2 : 1;
  Value a_RP = b.load(x, first, rows, tileSize(pairs)), c_RP = b.load(x, second, rows, tileSize(pairs));
  double sign = spec.inverse ? -1.0 : 1.0;
  auto turn = [&](TileBuilder &, llvm::ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
    Scalar u = in[0], v = in[1], c = in[2], s = in[3] * sign;
    return {u * c - v * s, v * c + u * s};
  };
  TileBuilder::Values turned = b.mapN({a_RP, c_RP, cos_RP, sin_RP}, turn);
  b.store(turned[0], y, first);
  b.store(turned[1], y, second);
  if (int64_t rest = spec.headDim - spec.rotary) {
    Place through = head;
    through.indices.back() = b.index(spec.rotary);
    b.store(b.load(x, through, rows, tileSize(rest)), y, through);
  }
}

tile::KernelOp buildRope(OpBuilder &builder, Location loc, StringRef symbol, const RopeSpec &spec) {
  Signature signature(builder);
  llvm::SmallVector<int64_t> shape = {spec.batch, spec.tokens, spec.heads, spec.headDim};
  // Products of queries with keys feel every rounding of both.
  unsigned x = spec.inverse ? signature.input(shape) : signature.inputUnrounded(shape);
  unsigned cos = signature.inputF32({spec.tokens, spec.rotary / 2});
  unsigned sin = signature.inputF32({spec.tokens, spec.rotary / 2});
  unsigned docStart = spec.documents ? signature.inputI32({spec.batch, spec.tokens}) : 0;
  unsigned y = signature.outputReplacing(shape, {x});
  int64_t rows = std::min<int64_t>(64, tileSize(spec.tokens));
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.tokens, rows), spec.batch, 1}, "rotary positions");
  Scalar token = b.x() * rows;
  Value positions;
  if (spec.documents) {
    Value start_R1 = b.load(b.buffer(docStart), Place{{b.y(), token}, 1, -1}, rows, 1);
    Scalar first = toI32(token);
    positions = b.map({start_R1}, [&](Scalar start) { return first + b.row() - start; });
  }
  Value cos_RP = loadAngles(b, spec, b.buffer(cos), positions, token, rows);
  Value sin_RP = loadAngles(b, spec, b.buffer(sin), positions, token, rows);
  b.loop(b.index(0), b.index(spec.heads), 1, [&](Scalar head) {
    rotateHead(b, spec, b.buffer(x), b.buffer(y), Place{{b.y(), token, head, b.index(0)}, 1, 3}, rows, cos_RP, sin_RP);
  });
  return b.op();
}

} // namespace oriel::kernels
