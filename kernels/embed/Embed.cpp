// Builders of the table look-up. The gradient splits the table by columns: every cell walks all tokens in order.
#include "kernels/embed/Embed.h"

#include "kernels/common/Signature.h"

using namespace mlir;

namespace oriel::kernels {

static constexpr int64_t rowTile = 64;
/// Of the gradient, whose cells are blocks of columns: one cache line of the table, and as many cells as that gives.
static constexpr int64_t gradientColumns = 16;

static int64_t columnTile(int64_t width) { return std::min<int64_t>(64, tileSize(width)); }

std::string symbol(const EmbedSpec &spec, bool backward) {
  return SymbolName(backward ? "embed_bwd" : "embed_fwd")
      .add("r", spec.rows)
      .add("v", spec.vocab)
      .add("d", spec.width)
      .add("s", spec.scale)
      .flag("acc", backward && spec.accumulate)
      .str();
}

static Value scaled(TileBuilder &b, Value tile, double scale) {
  return scale == 1.0 ? tile : b.map({tile}, [&](Scalar value) { return value * scale; });
}

tile::KernelOp buildEmbed(OpBuilder &builder, Location loc, StringRef symbol, const EmbedSpec &spec) {
  Signature signature(builder);
  unsigned table = signature.inputF32({spec.vocab, spec.width});
  unsigned tokens = signature.inputI32({spec.rows});
  unsigned y = signature.output({spec.rows, spec.width});
  int64_t cols = columnTile(spec.width);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.rows, rowTile), 1, 1}, "y = scale * table[tokens]");
  Scalar row = b.x() * rowTile;
  Value ids_R1 = b.load(b.buffer(tokens), Place{{row}, 0, -1}, rowTile, 1);
  b.loop(b.index(0), b.index(spec.width), cols, [&](Scalar column) {
    Value rows_RC = b.gather(b.buffer(table), ids_R1, column, cols);
    b.store(scaled(b, rows_RC, spec.scale), b.buffer(y), Place{{row, column}, 0, 1});
  });
  return b.op();
}

tile::KernelOp buildEmbedGrad(OpBuilder &builder, Location loc, StringRef symbol, const EmbedSpec &spec) {
  Signature signature(builder);
  unsigned dy = signature.input({spec.rows, spec.width});
  unsigned tokens = signature.inputI32({spec.rows});
  unsigned dtable = signature.outputF32({spec.vocab, spec.width});
  int64_t cols = gradientColumns;
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.width, cols), 1, 1}, "dtable[tokens] += scale * dy");
  Scalar column = b.x() * cols;
  if (!spec.accumulate)
    b.loop(b.index(0), b.index(spec.vocab), rowTile, [&](Scalar row) {
      b.store(b.zeros(rowTile, cols), b.buffer(dtable), Place{{row, column}, 0, 1});
    });
  // Rows past the end read token 0 and zeros: they add nothing.
  b.loop(b.index(0), b.index(spec.rows), rowTile, [&](Scalar row) {
    Value ids_R1 = b.load(b.buffer(tokens), Place{{row}, 0, -1}, rowTile, 1);
    Value dy_RC = b.load(b.buffer(dy), Place{{row, column}, 0, 1}, rowTile, cols);
    b.scatterAdd(scaled(b, dy_RC, spec.scale), b.buffer(dtable), ids_R1, column);
  });
  return b.op();
}

std::string symbol(const SelectPositionSpec &spec) {
  return SymbolName("select_position").add("b", spec.batch).add("t", spec.tokens).add("d", spec.width).str();
}

tile::KernelOp buildSelectPosition(OpBuilder &builder, Location loc, StringRef symbol, const SelectPositionSpec &spec) {
  Signature signature(builder);
  unsigned x = signature.input({spec.batch, spec.tokens, spec.width});
  unsigned position = signature.inputI32({spec.batch});
  unsigned y = signature.output({spec.batch, spec.width});
  TileBuilder b = signature.open(loc, symbol, {spec.batch, 1, 1}, "y[b] = x[b, position[b]]");
  Scalar token = toIndex(b.loadScalar(b.buffer(position), {b.x()}));
  int64_t cols = std::min<int64_t>(512, tileSize(spec.width));
  b.loop(b.index(0), b.index(spec.width), cols, [&](Scalar column) {
    // Rows are counted along the tokens so that a position outside the row reads zeros.
    Value x_1C = b.load(b.buffer(x), Place{{b.x(), token, column}, 1, 2}, 1, cols);
    b.store(x_1C, b.buffer(y), Place{{b.x(), column}, -1, 1});
  });
  return b.op();
}

} // namespace oriel::kernels
