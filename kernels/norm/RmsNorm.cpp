// Builders of the root-mean-square norm. One cell is a block of rows of one group.
#include "kernels/norm/RmsNorm.h"

#include "kernels/common/Signature.h"
#include "kernels/elementwise/Elementwise.h"
#include <bit>

using namespace mlir;

namespace oriel::kernels {

std::string symbol(const RmsNormSpec &spec, bool backward) {
  return SymbolName(backward ? "rms_norm_bwd" : "rms_norm_fwd")
      .add("r", spec.rows)
      .add("g", spec.groups)
      .add("d", spec.width)
      .add("eps", spec.eps)
      .flag("plus1", spec.plusOne)
      .flag("residual", spec.residual)
      .flag("remake", backward && spec.remake)
      .flag("gpu", isGpu(spec.tiles))
      .str();
}

/// Rows of a tile: about 4096 elements, and a divisor of partialRows: a tile that reached into the rows of the next
/// cell would count them twice. A block of a GPU holds no 16 rows of a wide vector, but one.
static int64_t rowTile(const RmsNormSpec &spec) {
  if (isGpu(spec.tiles))
    return spec.width > 256 ? 1 : 16;
  auto rows = static_cast<uint64_t>(std::clamp<int64_t>(4096 / tileSize(spec.width), 16, 64));
  return std::min<int64_t>(static_cast<int64_t>(std::bit_floor(rows)), tileSize(spec.rows));
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

/// y[R,D] = x · r ∘ w.
static Value normalise(TileBuilder &b, Value x_RD, Value r_R1, Value w_1D) {
  return b.map({x_RD, r_R1, w_1D}, [](Scalar v, Scalar r, Scalar w) { return v * r * w; });
}

tile::KernelOp buildRmsNorm(OpBuilder &builder, Location loc, StringRef symbol, const RmsNormSpec &spec) {
  llvm::SmallVector<int64_t> shape = {spec.rows, spec.groups, spec.width}, summands;
  Signature signature(builder);
  summands.push_back(signature.input(shape));
  if (spec.residual)
    summands.push_back(signature.input(shape));
  unsigned weight = signature.inputF32({spec.groups, spec.width});
  unsigned sum = spec.residual ? signature.outputReplacing(shape, summands) : 0;
  unsigned y = signature.outputReplacing(shape, summands);
  int64_t rows = rowTile(spec), cols = tileSize(spec.width);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.rows, rows), spec.groups, 1}, "y = x / rms(x) * w");
  Place place{{b.x() * rows, b.y(), b.index(0)}, 0, 2};
  Value x_RD = b.load(b.buffer(summands[0]), place, rows, cols);
  if (spec.residual) {
    x_RD = b.map({x_RD, b.load(b.buffer(summands[1]), place, rows, cols)}, [](Scalar a, Scalar c) { return a + c; });
    b.store(x_RD, b.buffer(sum), place);
  }
  b.store(normalise(b, x_RD, inverseRms(b, spec, x_RD), loadWeight(b, spec, weight, b.y())), b.buffer(y), place);
  return b.op();
}

namespace {
/// The buffers of the gradient.
struct GradBuffers {
  GradBuffers(Signature &signature, const RmsNormSpec &spec) {
    llvm::SmallVector<int64_t> shape = {spec.rows, spec.groups, spec.width};
    x = signature.input(shape);
    weight = signature.inputF32({spec.groups, spec.width});
    dy = signature.input(shape);
    residual = spec.residual ? signature.input(shape) : 0;
    llvm::SmallVector<int64_t> replaceable = {dy, x};
    if (spec.residual)
      replaceable.push_back(residual);
    dx = signature.outputReplacing(shape, replaceable);
    partials = signature.outputF32({partialCount(spec.rows), spec.groups, spec.width});
    y = spec.remake ? signature.outputReplacing(shape, replaceable) : 0;
  }
  unsigned x, weight, dy, residual, dx, partials, y;
};
} // namespace

/// The part of one block of rows: writes dx (and y), returns the block's contribution to dweight, [1,D]. What is
/// written may lie where it is read, so it is made last, in one map.
static Value gradOfRows(TileBuilder &b, const RmsNormSpec &spec, const GradBuffers &buffers, Scalar row, Value w_1D) {
  int64_t rows = rowTile(spec), cols = tileSize(spec.width);
  Place place{{row, b.y(), b.index(0)}, 0, 2};
  auto load = [&](unsigned buffer) { return b.load(b.buffer(buffer), place, rows, cols); };
  Value x_RD = load(buffers.x), dy_RD = load(buffers.dy);
  Value r_R1 = inverseRms(b, spec, x_RD);
  Value gx_RD = b.map({dy_RD, w_1D, x_RD}, [](Scalar d, Scalar w, Scalar v) { return d * w * v; });
  Value c_R1 =
      b.map({b.reduceSum(gx_RD, 1), r_R1}, [&](Scalar s, Scalar r) { return s * (1.0 / spec.width) * r * r * r; });
  Value dw_1D = b.reduceSum(b.map({dy_RD, x_RD, r_R1}, [](Scalar d, Scalar v, Scalar r) { return d * (v * r); }), 0);
  TileBuilder::Values inputs = {x_RD, dy_RD, w_1D, r_R1, c_R1};
  if (spec.residual)
    inputs.push_back(load(buffers.residual));
  auto results = [&](TileBuilder &, ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
    Scalar v = in[0], d = in[1], w = in[2], r = in[3], c = in[4], gradient = d * w * r - v * c;
    llvm::SmallVector<Scalar> made = {spec.residual ? in[5] + gradient : gradient};
    if (spec.remake)
      made.push_back(v * r * w);
    return made;
  };
  TileBuilder::Values made = b.mapN(inputs, results);
  b.store(made[0], b.buffer(buffers.dx), place);
  if (spec.remake)
    b.store(made[1], b.buffer(buffers.y), place);
  return dw_1D;
}

tile::KernelOp buildRmsNormGrad(OpBuilder &builder, Location loc, StringRef symbol, const RmsNormSpec &spec) {
  Signature signature(builder);
  GradBuffers buffers(signature, spec);
  int64_t block = partialRows(spec.rows);
  TileBuilder b = signature.open(loc, symbol, {partialCount(spec.rows), spec.groups, 1},
                                 "dx and partial sums of dweight of the root-mean-square norm");
  Scalar begin = b.x() * block;
  Value w_1D = loadWeight(b, spec, buffers.weight, b.y());
  auto step = [&](Scalar row, ValueRange carried) -> TileBuilder::Values {
    return {b.map({carried[0], gradOfRows(b, spec, buffers, row, w_1D)}, [](Scalar a, Scalar p) { return a + p; })};
  };
  Value sum_1D = b.loop(begin, min(begin + block, spec.rows), rowTile(spec), b.zeros(1, tileSize(spec.width)), step)[0];
  b.store(sum_1D, b.buffer(buffers.partials), Place{{b.x(), b.y(), b.index(0)}, -1, 2});
  return b.op();
}

} // namespace oriel::kernels
