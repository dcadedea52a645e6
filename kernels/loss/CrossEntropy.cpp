// Builders of the cross entropy. One cell is 16 rows of logits: one walk over the vocabulary finds the logarithm of the
// sum of exponentials with a running maximum (Milakov & Gimelshein, arXiv 1805.02867), a second one writes the
// gradient.
#include "kernels/loss/CrossEntropy.h"

#include "kernels/common/Signature.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace oriel::kernels {

static constexpr int64_t rowTile = 16;
/// Stands for minus infinity: its exponential is 0, and it stays finite in differences.
static constexpr double veryNegative = -1e30;

std::string symbol(const CrossEntropySpec &spec) {
  return SymbolName(spec.gradient ? "cross_entropy_grad" : "cross_entropy")
      .add("r", spec.rows)
      .add("v", spec.vocab)
      .add("c", spec.softCap)
      .str();
}

namespace {
/// The state of one cell's program.
class CrossEntropyProgram {
public:
  CrossEntropyProgram(TileBuilder &b, const CrossEntropySpec &spec, Value logits, Value targets_R1)
      : b_(b), spec_(spec), logits_(logits), targets_(targets_R1), row_(b.x() * rowTile),
        cols_(std::min<int64_t>(256, tileSize(spec.vocab))) {}

  /// logsumexp(z) and z[target], both [R,1].
  std::pair<Value, Value> forward();
  void writeGradient(Value lse_R1, Scalar lossScale);

private:
  Place place(Scalar column) { return Place{{row_, column}, 0, 1}; }
  Value loadCapped(Scalar column);

  TileBuilder &b_;
  const CrossEntropySpec &spec_;
  Value logits_, targets_;
  Scalar row_;
  int64_t cols_;
};
} // namespace

Value CrossEntropyProgram::loadCapped(Scalar column) {
  Value x_RC = b_.load(logits_, place(column), rowTile, cols_);
  if (spec_.softCap > 0)
    return b_.map({x_RC}, [&](Scalar x) { return tanh(x * (1.0 / spec_.softCap)) * spec_.softCap; });
  return x_RC;
}

std::pair<Value, Value> CrossEntropyProgram::forward() {
  auto step = [&](Scalar column, ValueRange carried) -> TileBuilder::Values {
    Value z_RC = loadCapped(column);
    Scalar first = toI32(column);
    if (spec_.vocab % cols_)
      z_RC = b_.map({z_RC}, [&](Scalar z) { return select(first + b_.col() < spec_.vocab, z, veryNegative); });
    Value max_R1 = b_.map({carried[0], b_.reduceMax(z_RC, 1)}, [](Scalar m, Scalar z) { return max(m, z); });
    Value exps_R1 = b_.reduceSum(b_.map({z_RC, max_R1}, [](Scalar z, Scalar m) { return exp(z - m); }), 1);
    Value sum_R1 = b_.map({carried[1], carried[0], max_R1, exps_R1},
                          [](Scalar s, Scalar before, Scalar m, Scalar e) { return s * exp(before - m) + e; });
    Value hit_RC =
        b_.map({z_RC, targets_}, [&](Scalar z, Scalar target) { return select(first + b_.col() == target, z, 0.0); });
    Value picked_R1 = b_.map({carried[2], b_.reduceSum(hit_RC, 1)}, [](Scalar a, Scalar c) { return a + c; });
    return {max_R1, sum_R1, picked_R1};
  };
  Value start[] = {b_.fill(veryNegative, rowTile, 1), b_.zeros(rowTile, 1), b_.zeros(rowTile, 1)};
  TileBuilder::Values ends = b_.loop(b_.index(0), b_.index(spec_.vocab), cols_, start, step);
  return {b_.map({ends[0], ends[1]}, [](Scalar m, Scalar s) { return m + log(s); }), ends[2]};
}

void CrossEntropyProgram::writeGradient(Value lse_R1, Scalar lossScale) {
  // Rows without a target get the factor 0.
  Value factor_R1 = b_.map({targets_}, [&](Scalar target) { return select(target >= 0, lossScale, 0.0); });
  b_.loop(b_.index(0), b_.index(spec_.vocab), cols_, [&](Scalar column) {
    Value z_RC = loadCapped(column);
    Scalar first = toI32(column);
    Value d_RC = b_.map({z_RC, lse_R1, targets_, factor_R1}, [&](Scalar z, Scalar lse, Scalar target, Scalar factor) {
      Scalar d = (exp(z - lse) - toF32(first + b_.col() == target)) * factor;
      if (spec_.softCap == 0)
        return d;
      Scalar t = z * (1.0 / spec_.softCap);
      return d * (1.0 - t * t);
    });
    b_.store(d_RC, logits_, place(column));
  });
}

tile::KernelOp buildCrossEntropy(OpBuilder &builder, Location loc, StringRef symbol, const CrossEntropySpec &spec) {
  Signature signature(builder);
  unsigned targets = signature.inputI32({spec.rows});
  unsigned lossScale = spec.gradient ? signature.inputF32({1}) : 0;
  unsigned logits =
      spec.gradient ? signature.output({spec.rows, spec.vocab}) : signature.input({spec.rows, spec.vocab});
  unsigned losses = signature.outputF32({spec.rows});
  TileBuilder b =
      signature.open(loc, symbol, {ceilDiv(spec.rows, rowTile), 1, 1}, "cross entropy of one block of logits");
  Place rows{{b.x() * rowTile}, 0, -1};
  Value targets_R1 = b.load(b.buffer(targets), rows, rowTile, 1);
  CrossEntropyProgram program(b, spec, b.buffer(logits), targets_R1);
  auto [lse_R1, picked_R1] = program.forward();
  Value losses_R1 = b.map({lse_R1, picked_R1, targets_R1}, [](Scalar lse, Scalar picked, Scalar target) {
    return select(target >= 0, lse - picked, 0.0);
  });
  b.store(losses_R1, b.buffer(losses), rows);
  if (spec.gradient)
    program.writeGradient(lse_R1, b.loadScalar(b.buffer(lossScale), {b.index(0)}));
  return b.op();
}

std::string symbol(const SumLossesSpec &spec) { return SymbolName("sum_losses").add("r", spec.rows).str(); }

tile::KernelOp buildSumLosses(OpBuilder &builder, Location loc, StringRef symbol, const SumLossesSpec &spec) {
  Signature signature(builder);
  unsigned losses = signature.inputF32({spec.rows});
  unsigned loss = signature.outputF32({1});
  TileBuilder b = signature.open(loc, symbol, {1, 1, 1}, "sum of the losses of all rows");
  Type f64 = b.builder().getF64Type();
  Value zero = arith::ConstantOp::create(b.builder(), loc, b.builder().getF64FloatAttr(0.0));
  Value sum =
      b.loop(b.index(0), b.index(spec.rows), 1, zero, [&](Scalar row, ValueRange carried) -> TileBuilder::Values {
        Value term = arith::ExtFOp::create(b.builder(), loc, f64, b.loadScalar(b.buffer(losses), {row}).value());
        return {arith::AddFOp::create(b.builder(), loc, carried[0], term)};
      })[0];
  Value rounded = arith::TruncFOp::create(b.builder(), loc, b.builder().getF32Type(), sum);
  b.store(b.fill(b.scalar(rounded), 1, 1), b.buffer(loss), Place{{b.index(0)}, -1, 0});
  return b.op();
}

} // namespace oriel::kernels
