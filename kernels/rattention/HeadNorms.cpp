// Builder of the gradient of y = norm(swa) + norm(rla). Per norm, with r = 1/sqrt(mean(x²) + eps) and g = scale∘dy:
//   dx = r·g - x·r³·mean(g∘x)        dscale = sum over rows of dy∘x·r
// delta = sum(dswa∘swa) is what the gradient of attention starts from.
#include "kernels/rattention/RAttention.h"

#include "kernels/common/Signature.h"
#include "kernels/elementwise/Elementwise.h"

using namespace mlir;

namespace oriel::kernels {

std::string symbol(const HeadNormsSpec &spec) {
  return SymbolName("head_norms_bwd")
      .add("b", spec.batch)
      .add("t", spec.tokens)
      .add("n", spec.heads)
      .add("e", spec.valueDim)
      .add("eps", spec.eps)
      .flag("nodelta", !spec.delta)
      .str();
}

int64_t HeadNormsSpec::partials() const { return batch * partialCount(tokens); }

/// The part of one block of rows: writes dx, returns the block's contribution to dscale, [1,E].
static Value normGradient(TileBuilder &b, const HeadNormsSpec &spec, Value x_RE, Value scale_1E, Value dy_RE, Value dx,
                          const Place &place) {
  using Row = ArrayRef<Scalar>;
  using Results = SmallVector<Scalar>;
  double perElement = 1.0 / static_cast<double>(spec.valueDim);
  auto products = [](TileBuilder &, Row in) -> Results { return {in[0] * in[0], in[0] * in[1] * in[2]}; };
  TileBuilder::Values summands = b.mapN({x_RE, dy_RE, scale_1E}, products);
  Value r_R1 = b.map({b.reduceSum(summands[0], 1)}, [&](Scalar s) { return 1.0 / sqrt(s * perElement + spec.eps); });
  Value c_R1 =
      b.map({b.reduceSum(summands[1], 1), r_R1}, [&](Scalar s, Scalar r) { return s * perElement * r * r * r; });
  auto gradients = [](TileBuilder &, Row in) -> Results {
    Scalar x = in[0], d = in[1], scale = in[2], r = in[3], c = in[4];
    return {d * scale * r - x * c, d * (x * r)};
  };
  TileBuilder::Values results = b.mapN({x_RE, dy_RE, scale_1E, r_R1, c_R1}, gradients);
  b.store(results[0], dx, place);
  return b.reduceSum(results[1], 0);
}

/// Rows of a tile: about 1024 elements, so that the dozen tiles of a step stay in the first cache.
static int64_t rowTile(const HeadNormsSpec &spec) {
  return std::min(std::clamp<int64_t>(1024 / tileSize(spec.valueDim) / 16 * 16, 16, 32), tileSize(spec.tokens));
}

tile::KernelOp buildHeadNormsGrad(OpBuilder &builder, Location loc, StringRef symbol, const HeadNormsSpec &spec) {
  llvm::SmallVector<int64_t> rowsShape = {spec.batch, spec.tokens, spec.heads, spec.valueDim};
  llvm::SmallVector<int64_t> scaleShape = {spec.heads, spec.valueDim};
  llvm::SmallVector<int64_t> partShape = {spec.partials(), spec.heads, spec.valueDim};
  Signature signature(builder);
  unsigned swa = signature.input(rowsShape), rla = signature.input(rowsShape);
  unsigned swaScale = signature.inputF32(scaleShape), rlaScale = signature.inputF32(scaleShape);
  unsigned dy = signature.input(rowsShape);
  unsigned dswa = signature.output(rowsShape), drla = signature.output(rowsShape);
  unsigned dswaScale = signature.outputF32(partShape), drlaScale = signature.outputF32(partShape);
  unsigned delta = spec.delta ? signature.outputF32({spec.batch, spec.heads, spec.tokens}) : 0;
  int64_t blocks = partialCount(spec.tokens), block = partialRows(spec.tokens), cols = tileSize(spec.valueDim);
  int64_t rows = rowTile(spec);
  TileBuilder b = signature.open(loc, symbol, {spec.heads, blocks, spec.batch}, "gradient of a sum of two head norms");
  Scalar head = b.x(), batch = b.z(), begin = b.y() * block, end = min(begin + block, spec.tokens);
  auto loadScale = [&](unsigned scale) { return b.load(b.buffer(scale), Place{{head, b.index(0)}, -1, 1}, 1, cols); };
  Value swaScale_1E = loadScale(swaScale), rlaScale_1E = loadScale(rlaScale);
  auto step = [&](Scalar token, ValueRange carried) -> TileBuilder::Values {
    Place place{{batch, token, head, b.index(0)}, 1, 3};
    place.rowEnd = end; // the next rows belong to another cell
    auto load = [&](unsigned buffer) { return b.load(b.buffer(buffer), place, rows, cols); };
    Value dy_RE = load(dy);
    Value swa_RE = load(swa);
    Value window_1E = normGradient(b, spec, swa_RE, swaScale_1E, dy_RE, b.buffer(dswa), place);
    if (spec.delta) { // from dswa as attention will read it, rounded where it is stored in bf16
      Value delta_R1 = b.reduceSum(b.map({load(dswa), swa_RE}, [](Scalar d, Scalar x) { return d * x; }), 1);
      b.store(delta_R1, b.buffer(delta), Place{{batch, head, token}, 2, -1, {}, end});
    }
    Value linear_1E = normGradient(b, spec, load(rla), rlaScale_1E, dy_RE, b.buffer(drla), place);
    auto plus = [](Scalar a, Scalar c) { return a + c; };
    return {b.map({carried[0], window_1E}, plus), b.map({carried[1], linear_1E}, plus)};
  };
  Value start[] = {b.zeros(1, cols), b.zeros(1, cols)};
  TileBuilder::Values sums = b.loop(begin, end, rows, start, step);
  Place part{{batch * blocks + b.y(), head, b.index(0)}, -1, 2};
  b.store(sums[0], b.buffer(dswaScale), part);
  b.store(sums[1], b.buffer(drlaScale), part);
  return b.op();
}

} // namespace oriel::kernels
