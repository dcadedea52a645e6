// Builders of the global gradient norm: sums of squares of blocks, then one sum of all blocks in order.
#include "kernels/common/Signature.h"
#include "kernels/optim/Optim.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace oriel::kernels {

static constexpr int64_t normBlock = 4096, width = 256, rows = normBlock / width;

std::string sumSquaresSymbol(const FlatSpec &spec) { return SymbolName("sum_squares").add("e", spec.elements).str(); }

tile::KernelOp buildSumSquares(OpBuilder &builder, Location loc, StringRef symbol, const FlatSpec &spec) {
  Signature signature(builder);
  unsigned grads = signature.inputF32({spec.elements / width, width});
  unsigned sums = signature.outputF32({spec.elements / normBlock});
  TileBuilder b = signature.open(loc, symbol, {spec.elements / normBlock, 1, 1}, "sums of squares of blocks of 4096");
  Value g_RC = b.load(b.buffer(grads), Place{{b.x() * rows, b.index(0)}, 0, 1}, rows, width);
  Value sum_R1 = b.reduceSum(b.map({g_RC}, [](Scalar g) { return g * g; }), 1);
  b.store(b.reduceSum(sum_R1, 0), b.buffer(sums), Place{{b.x()}, -1, 0});
  return b.op();
}

std::string totalNormSymbol(const FlatSpec &spec) { return SymbolName("total_norm").add("e", spec.elements).str(); }

tile::KernelOp buildTotalNorm(OpBuilder &builder, Location loc, StringRef symbol, const FlatSpec &spec) {
  int64_t blocks = spec.elements / normBlock;
  Signature signature(builder);
  unsigned sums = signature.inputF32({blocks});
  unsigned norm = signature.outputF32({1});
  TileBuilder b = signature.open(loc, symbol, {1, 1, 1}, "global norm from block sums");
  Type f64 = b.builder().getF64Type();
  Value zero = arith::ConstantOp::create(b.builder(), loc, b.builder().getF64FloatAttr(0.0));
  Value total = b.loop(b.index(0), b.index(blocks), 1, zero, [&](Scalar i, ValueRange carried) -> TileBuilder::Values {
    Value term = arith::ExtFOp::create(b.builder(), loc, f64, b.loadScalar(b.buffer(sums), {i}).value());
    return {arith::AddFOp::create(b.builder(), loc, carried[0], term)};
  })[0];
  Scalar rounded = b.scalar(arith::TruncFOp::create(b.builder(), loc, b.builder().getF32Type(), total));
  b.store(b.map({b.fill(rounded, 1, 1)}, [](Scalar sum) { return sqrt(sum); }), b.buffer(norm),
          Place{{b.index(0)}, -1, 0});
  return b.op();
}

} // namespace oriel::kernels
