// The loss: a walk over blocks of positions, unrolled in the tape. The logits of one block exist at a time, and their
// gradient takes their place; the T x V logits never exist whole.
#include "compiler/conversion/lmToTape/LowerOps.h"
#include "dialects/lm/LmOps.h"
#include "dialects/tile/TileOps.h"
#include "kernels/elementwise/Elementwise.h"
#include "kernels/embed/Embed.h"
#include "kernels/loss/CrossEntropy.h"

using namespace mlir;

namespace oriel::conversion {
namespace {

/// Rows of one block. CPU: about 16 MiB of f32 logits, between 256 and 2048 rows, so that products are large and a block
/// stays in an outer cache. GPU: about 1 GiB, at most 8192 rows, so that its kernels have work for every
/// multiprocessor. Depends on the sizes only.
int64_t blockRows(kernels::TileTarget target, int64_t rows, int64_t vocab) {
  bool isGpu = kernels::isGpu(target);
  int64_t elements = int64_t(isGpu ? 256 : 4) << 20, mostRows = isGpu ? 8192 : 2048;
  return std::min(rows, std::clamp<int64_t>(elements / vocab, 256, mostRows) / 16 * 16);
}

/// One block of positions: its rows of x, its targets, its logits.
struct LossBlock {
  int64_t firstRow, rows;
  Value x, targets, logits;
};

struct LossShape {
  int64_t rows, width, vocab;
  double softCap;
};

template <typename Op> LossShape lossShape(Op op) {
  return {leadingRows(op.getX()), dimOf(op.getWeight(), 1), dimOf(op.getWeight(), 0),
          op.getSoftCap().convertToDouble()};
}

LossBlock makeBlock(Lowering &lowering, const LossShape &shape, int64_t firstRow, Value x, Value weight,
                    Value targets) {
  TapeBuilder &tape = lowering.tape;
  LossBlock block;
  block.firstRow = firstRow;
  block.rows = std::min(blockRows(lowering.tiles, shape.rows, shape.vocab), shape.rows - firstRow);
  auto index = cast<RankedTensorType>(targets.getType()).getElementType();
  block.x = tape.view(x, tape.f32({block.rows, shape.width}), firstRow * shape.width);
  block.targets = tape.view(targets, RankedTensorType::get({block.rows}, index), firstRow);
  block.logits = tape.matmul(block.x, weight, tape.f32({block.rows, shape.vocab}), {false, true});
  return block;
}

Value sumLosses(Lowering &lowering, ArrayRef<Value> losses, int64_t rows, Type type) {
  Value all = lowering.tape.concat(losses, lowering.tape.f32({rows}));
  kernels::SumLossesSpec spec{rows};
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildSumLosses(b, loc, name, spec); };
  return lowering.tape.call(kernels::symbol(spec), build, type, all)[0];
}

void lowerCrossEntropy(Lowering &lowering, lm::CrossEntropyOp op) {
  LossShape shape = lossShape(op);
  Value x = lowering.get(op.getX()), weight = lowering.get(op.getWeight()), targets = lowering.get(op.getTargets());
  SmallVector<Value> losses;
  for (int64_t row = 0; row < shape.rows;) {
    LossBlock block = makeBlock(lowering, shape, row, x, weight, targets);
    kernels::CrossEntropySpec spec{block.rows, shape.vocab, shape.softCap, /*gradient=*/false};
    auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildCrossEntropy(b, loc, name, spec); };
    losses.push_back(lowering.tape.call(kernels::symbol(spec), build, lowering.tape.f32({block.rows}),
                                        {block.targets, block.logits})[0]);
    row += block.rows;
  }
  lowering.set(op.getLoss(), sumLosses(lowering, losses, shape.rows, op.getLoss().getType()));
}

void lowerCrossEntropyGrad(Lowering &lowering, lm::CrossEntropyGradOp op) {
  LossShape shape = lossShape(op);
  TapeBuilder &tape = lowering.tape;
  Value x = lowering.get(op.getX()), weight = lowering.get(op.getWeight()), targets = lowering.get(op.getTargets());
  SmallVector<Value> losses, dxBlocks;
  Value dweight;
  for (int64_t row = 0; row < shape.rows;) {
    LossBlock block = makeBlock(lowering, shape, row, x, weight, targets);
    kernels::CrossEntropySpec spec{block.rows, shape.vocab, shape.softCap, /*gradient=*/true};
    auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildCrossEntropy(b, loc, name, spec); };
    SmallVector<Value> results =
        tape.call(kernels::symbol(spec), build, {block.logits.getType(), tape.f32({block.rows})},
                  {block.targets, lowering.get(op.getDloss())}, {{block.logits, 0}});
    losses.push_back(results[1]);
    dxBlocks.push_back(tape.matmul(results[0], weight, block.x.getType(), {}));
    dweight = tape.matmul(results[0], block.x, op.getDweight().getType(), {true, false}, dweight);
    row += block.rows;
  }
  lowering.set(op.getDx(), tape.concat(dxBlocks, op.getDx().getType()));
  lowering.set(op.getDweight(), dweight);
  lowering.set(op.getLoss(), sumLosses(lowering, losses, shape.rows, op.getLoss().getType()));
}

void lowerLogits(Lowering &lowering, lm::LogitsOp op) {
  TapeBuilder &tape = lowering.tape;
  kernels::SelectPositionSpec spec{dimOf(op.getX(), 0), dimOf(op.getX(), 1), dimOf(op.getX(), 2)};
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildSelectPosition(b, loc, name, spec); };
  Value rows = tape.call(kernels::symbol(spec), build, tape.f32({spec.batch, spec.width}),
                         {lowering.get(op.getX()), lowering.get(op.getPosition())})[0];
  Type type = op.getResult().getType();
  Value logits = tape.matmul(rows, lowering.get(op.getWeight()), type, {false, true});
  if (double cap = op.getSoftCap().convertToDouble(); cap > 0) {
    kernels::SoftCapSpec capSpec{tape::elementCount(type), cap};
    auto buildCap = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildSoftCap(b, loc, name, capSpec); };
    logits = tape.call(kernels::symbol(capSpec), buildCap, type, {}, {{logits, 0}})[0];
  }
  lowering.set(op.getResult(), logits);
}

} // namespace

Lowered lowerLoss(Lowering &lowering, Operation *op) {
  if (auto loss = dyn_cast<lm::CrossEntropyOp>(op))
    lowerCrossEntropy(lowering, loss);
  else if (auto grad = dyn_cast<lm::CrossEntropyGradOp>(op))
    lowerCrossEntropyGrad(lowering, grad);
  else if (auto logits = dyn_cast<lm::LogitsOp>(op))
    lowerLogits(lowering, logits);
  else
    return Lowered::NotMine;
  return Lowered::Done;
}

} // namespace oriel::conversion
