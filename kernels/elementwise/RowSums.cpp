// Sums over rows in two steps, with an order that depends on the sizes only, and the channel scales that need them.
#include "kernels/common/Signature.h"
#include "kernels/elementwise/Elementwise.h"

using namespace mlir;

namespace oriel::kernels {

static constexpr int64_t rowTile = 64;
static constexpr int64_t columnTile = 64;

int64_t partialRows(int64_t rows) {
  constexpr int64_t mostPartials = 256, largestRowTile = 64;
  return std::max<int64_t>(1, ceilDiv(ceilDiv(rows, mostPartials), largestRowTile)) * largestRowTile;
}
int64_t partialCount(int64_t rows) { return ceilDiv(rows, partialRows(rows)); }

static int64_t columnTileSize(int64_t width) { return std::min(columnTile, tileSize(width)); }

std::string symbol(const SumRowsSpec &spec) {
  return SymbolName("sum_rows").add("r", spec.rows).add("d", spec.width).str();
}

tile::KernelOp buildSumRows(OpBuilder &builder, Location loc, StringRef symbol, const SumRowsSpec &spec) {
  Signature signature(builder);
  unsigned x = signature.input({spec.rows, spec.width});
  unsigned partials = signature.outputF32({partialCount(spec.rows), spec.width});
  int64_t cols = columnTileSize(spec.width), block = partialRows(spec.rows);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.width, cols), partialCount(spec.rows), 1},
                                 "partial sums over blocks of rows");
  Scalar column = b.x() * cols, begin = b.y() * block;
  Value sum = b.loop(begin, min(begin + block, spec.rows), rowTile, b.zeros(1, cols),
                     [&](Scalar row, ValueRange carried) -> TileBuilder::Values {
                       Value part = b.reduceSum(b.load(b.buffer(x), Place{{row, column}, 0, 1}, rowTile, cols), 0);
                       return {b.map({carried[0], part}, [](Scalar a, Scalar c) { return a + c; })};
                     })[0];
  b.store(sum, b.buffer(partials), Place{{b.y(), column}, -1, 1});
  return b.op();
}

std::string symbol(const SumPartialsSpec &spec) {
  return SymbolName("sum_partials").add("p", spec.parts).add("d", spec.width).str();
}

tile::KernelOp buildSumPartials(OpBuilder &builder, Location loc, StringRef symbol, const SumPartialsSpec &spec) {
  Signature signature(builder);
  unsigned partials = signature.inputF32({spec.parts, spec.width});
  unsigned y = signature.outputF32({spec.width});
  constexpr int64_t parts = 16; // at a time
  int64_t cols = columnTileSize(spec.width);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.width, cols), 1, 1}, "y = partials[0] + partials[1] + …");
  Scalar column = b.x() * cols;
  Value sum = b.loop(b.index(0), b.index(spec.parts), parts, b.zeros(1, cols),
                     [&](Scalar part, ValueRange carried) -> TileBuilder::Values {
                       Value x_PC = b.load(b.buffer(partials), Place{{part, column}, 0, 1}, parts, cols);
                       return {b.map({carried[0], b.reduceSum(x_PC, 0)}, [](Scalar a, Scalar c) { return a + c; })};
                     })[0];
  b.store(sum, b.buffer(y), Place{{column}, -1, 0});
  return b.op();
}

std::string symbol(const ScaleChannelsSpec &spec, bool backward) {
  return SymbolName(backward ? "scale_channels_bwd" : "scale_channels_fwd")
      .add("r", spec.rows)
      .add("d", spec.width)
      .str();
}

tile::KernelOp buildScaleChannels(OpBuilder &builder, Location loc, StringRef symbol, const ScaleChannelsSpec &spec) {
  Signature signature(builder);
  unsigned x = signature.input({spec.rows, spec.width});
  unsigned scale = signature.inputF32({spec.width});
  unsigned y = signature.outputReplacing({spec.rows, spec.width}, {x});
  int64_t cols = columnTileSize(spec.width);
  TileBuilder b =
      signature.open(loc, symbol, {ceilDiv(spec.rows, rowTile), ceilDiv(spec.width, cols), 1}, "y = x * scale");
  Scalar column = b.y() * cols;
  Place place{{b.x() * rowTile, column}, 0, 1};
  Value x_RC = b.load(b.buffer(x), place, rowTile, cols);
  Value scale_1C = b.load(b.buffer(scale), Place{{column}, -1, 0}, 1, cols);
  b.store(b.map({x_RC, scale_1C}, [](Scalar a, Scalar s) { return a * s; }), b.buffer(y), place);
  return b.op();
}

tile::KernelOp buildScaleChannelsGrad(OpBuilder &builder, Location loc, StringRef symbol,
                                      const ScaleChannelsSpec &spec) {
  Signature signature(builder);
  unsigned x = signature.input({spec.rows, spec.width});
  unsigned scale = signature.inputF32({spec.width});
  unsigned dy = signature.input({spec.rows, spec.width});
  unsigned dx = signature.outputReplacing({spec.rows, spec.width}, {dy, x});
  unsigned partials = signature.outputF32({partialCount(spec.rows), spec.width});
  int64_t cols = columnTileSize(spec.width), block = partialRows(spec.rows);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.width, cols), partialCount(spec.rows), 1},
                                 "dx = dy * scale and partial sums of dy * x");
  Scalar column = b.x() * cols, begin = b.y() * block;
  Value scale_1C = b.load(b.buffer(scale), Place{{column}, -1, 0}, 1, cols);
  Value sum = b.loop(begin, min(begin + block, spec.rows), rowTile, b.zeros(1, cols),
                     [&](Scalar row, ValueRange carried) -> TileBuilder::Values {
                       Place place{{row, column}, 0, 1};
                       Value x_RC = b.load(b.buffer(x), place, rowTile, cols);
                       Value dy_RC = b.load(b.buffer(dy), place, rowTile, cols);
                       auto times = [](Scalar a, Scalar c) { return a * c; };
                       b.store(b.map({dy_RC, scale_1C}, times), b.buffer(dx), place);
                       Value part = b.reduceSum(b.map({dy_RC, x_RC}, times), 0);
                       return {b.map({carried[0], part}, [](Scalar a, Scalar c) { return a + c; })};
                     })[0];
  b.store(sum, b.buffer(partials), Place{{b.y(), column}, -1, 1});
  return b.op();
}

} // namespace oriel::kernels
