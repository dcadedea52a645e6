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

std::string totalNormSymbol(const NormSpec &spec) {
  SymbolName name = SymbolName("total_norm").add("e", spec.elements);
  return spec.ranks == 1 ? name.str() : name.add("r", spec.ranks).add("b", spec.bucketElements).str();
}

/// Adds the sums of the blocks in flat order, in double: of each bucket the shares of all ranks.
class NormSum {
public:
  NormSum(TileBuilder &b, Location loc, unsigned sums, const NormSpec &spec)
      : b_(b), loc_(loc), sums_(sums), ranks_(spec.ranks), blocksOfRank_(spec.elements / spec.ranks / normBlock) {}

  Value zero() { return arith::ConstantOp::create(b_.builder(), loc_, b_.builder().getF64FloatAttr(0.0)); }

  /// Of `count` buckets of `elements` that begin with element `start`.
  Value addBuckets(int64_t start, int64_t count, int64_t elements, Value total) {
    int64_t share = elements / ranks_ / normBlock, first = start / ranks_ / normBlock;
    auto addRanks = [&](Scalar bucket, ValueRange carried) {
      return b_.loop(b_.index(0), b_.index(ranks_), 1, carried, [&](Scalar rank, ValueRange inner) {
        return addBlocks(rank * blocksOfRank_ + bucket * share + first, share, inner);
      });
    };
    return b_.loop(b_.index(0), b_.index(count), 1, total, addRanks)[0];
  }
  /// Of all blocks, in the order in which they lie.
  Value addAll(Value total) { return addBlocks(b_.index(0), blocksOfRank_ * ranks_, total)[0]; }

private:
  TileBuilder::Values addBlocks(Scalar first, int64_t count, ValueRange carried) {
    return b_.loop(first, first + count, 1, carried, [&](Scalar i, ValueRange inner) -> TileBuilder::Values {
      Value sum = b_.loadScalar(b_.buffer(sums_), {i}).value();
      Value term = arith::ExtFOp::create(b_.builder(), loc_, b_.builder().getF64Type(), sum);
      return {arith::AddFOp::create(b_.builder(), loc_, inner[0], term)};
    });
  }

  TileBuilder &b_;
  Location loc_;
  unsigned sums_;
  int64_t ranks_, blocksOfRank_;
};

tile::KernelOp buildTotalNorm(OpBuilder &builder, Location loc, StringRef symbol, const NormSpec &spec) {
  Signature signature(builder);
  unsigned sums = signature.inputF32({spec.elements / normBlock});
  unsigned norm = signature.outputF32({1});
  TileBuilder b = signature.open(loc, symbol, {1, 1, 1}, "global norm from block sums");
  NormSum sum(b, loc, sums, spec);
  Value total = sum.zero();
  if (spec.ranks == 1) {
    total = sum.addAll(total);
  } else {
    int64_t rest = spec.elements % spec.bucketElements;
    if (rest > 0)
      total = sum.addBuckets(0, 1, rest, total);
    total = sum.addBuckets(rest, spec.elements / spec.bucketElements, spec.bucketElements, total);
  }
  Scalar rounded = b.scalar(arith::TruncFOp::create(b.builder(), loc, b.builder().getF32Type(), total));
  b.store(b.map({b.fill(rounded, 1, 1)}, [](Scalar sum) { return sqrt(sum); }), b.buffer(norm),
          Place{{b.index(0)}, -1, 0});
  return b.op();
}

} // namespace oriel::kernels
