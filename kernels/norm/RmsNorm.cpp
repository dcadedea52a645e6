// Builders of the root-mean-square norm. One cell is a block of rows of one group.
#include "kernels/norm/RmsNorm.h"

#include "kernels/common/Signature.h"
#include "kernels/elementwise/Elementwise.h"

using namespace mlir;

namespace oriel::kernels {

std::string symbol(const RmsNormSpec &spec, bool backward) {
  return SymbolName(backward ? "rms_norm_bwd" : "rms_norm_fwd")
      .add("r", spec.rows)
      .add("g", spec.groups)
      .add("d", spec.width)
      .add("eps", spec.eps)
      .flag("plus1", spec.plusOne)
      .str();
}

/// Rows of a tile: about 4096 elements.
static int64_t rowTile(const RmsNormSpec &spec) {
  return std::clamp<int64_t>(4096 / tileSize(spec.width) / 16 * 16, 16, std::min<int64_t>(64, tileSize(spec.rows)));
}

/// w[1,D] of one group, with the 1 added where the spec says so.
static Value loadWeight(TileBuilder &b, const RmsNormSpec &spec, unsigned weight, Scalar group) {
  Value w_1D = b.load(b.buffer(weight), Place{{group, b.index(0)}, -1, 1}, 1, tileSize(spec.width));
  return spec.plusOne ? b.map({w_1D}, [](Scalar w) { return w + 1.0; }) : w_1D;
}

/// r[R,1] = 1/sqrt(mean(x²) + eps).
static Value inverseRms(TileBuilder &b, const RmsNormSpec &spec, Value x_RD) {
  Value sum_R1 = b.reduceSum(b.map({x_RD}, [](Scalar x) { return x * x; }), 1);
  return b.map({sum_R1}, [&](Scalar s) { return 1.0 / sqrt(s * (1.0 / spec.width) + spec.eps); });
}

tile::KernelOp buildRmsNorm(OpBuilder &builder, Location loc, StringRef symbol, const RmsNormSpec &spec) {
  Signature signature(builder);
  unsigned x = signature.input({spec.rows, spec.groups, spec.width});
  unsigned weight = signature.input({spec.groups, spec.width});
  unsigned y = signature.output({spec.rows, spec.groups, spec.width});
  int64_t rows = rowTile(spec), cols = tileSize(spec.width);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.rows, rows), spec.groups, 1}, "y = x / rms(x) * w");
  Place place{{b.x() * rows, b.y(), b.index(0)}, 0, 2};
  Value x_RD = b.load(b.buffer(x), place, rows, cols);
  Value y_RD = b.map({x_RD, inverseRms(b, spec, x_RD), loadWeight(b, spec, weight, b.y())},
                     [](Scalar v, Scalar r, Scalar w) { return v * r * w; });
  b.store(y_RD, b.buffer(y), place);
  return b.op();
}

tile::KernelOp buildRmsNormGrad(OpBuilder &builder, Location loc, StringRef symbol, const RmsNormSpec &spec) {
  Signature signature(builder);
  unsigned x = signature.input({spec.rows, spec.groups, spec.width});
  unsigned weight = signature.input({spec.groups, spec.width});
  unsigned dy = signature.input({spec.rows, spec.groups, spec.width});
  unsigned dx = signature.output({spec.rows, spec.groups, spec.width});
  unsigned partials = signature.output({partialCount(spec.rows), spec.groups, spec.width});
  int64_t rows = rowTile(spec), cols = tileSize(spec.width), block = partialRows(spec.rows);
  TileBuilder b = signature.open(loc, symbol, {partialCount(spec.rows), spec.groups, 1},
                                 "dx and partial sums of dweight of the root-mean-square norm");
  Scalar begin = b.x() * block;
  Value w_1D = loadWeight(b, spec, weight, b.y());
  auto step = [&](Scalar row, ValueRange carried) -> TileBuilder::Values {
    Place place{{row, b.y(), b.index(0)}, 0, 2};
    Value x_RD = b.load(b.buffer(x), place, rows, cols);
    Value dy_RD = b.load(b.buffer(dy), place, rows, cols);
    Value r_R1 = inverseRms(b, spec, x_RD);
    Value gx_RD = b.map({dy_RD, w_1D, x_RD}, [](Scalar d, Scalar w, Scalar v) { return d * w * v; });
    Value c_R1 =
        b.map({b.reduceSum(gx_RD, 1), r_R1}, [&](Scalar s, Scalar r) { return s * (1.0 / spec.width) * r * r * r; });
    Value dx_RD = b.map({x_RD, dy_RD, w_1D, r_R1, c_R1},
                        [](Scalar v, Scalar d, Scalar w, Scalar r, Scalar c) { return d * w * r - v * c; });
    b.store(dx_RD, b.buffer(dx), place);
    Value part_1D =
        b.reduceSum(b.map({dy_RD, x_RD, r_R1}, [](Scalar d, Scalar v, Scalar r) { return d * (v * r); }), 0);
    return {b.map({carried[0], part_1D}, [](Scalar a, Scalar p) { return a + p; })};
  };
  Value sum_1D = b.loop(begin, min(begin + block, spec.rows), rows, b.zeros(1, cols), step)[0];
  b.store(sum_1D, b.buffer(partials), Place{{b.x(), b.y(), b.index(0)}, -1, 2});
  return b.op();
}

} // namespace oriel::kernels
