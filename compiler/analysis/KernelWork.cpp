// A small interpreter of index arithmetic. What does not steer a loop or a branch is never evaluated, and what the
// steering does not depend on (grid dimensions, loop counters) is multiplied instead of walked.
#include "compiler/analysis/KernelWork.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace oriel::analysis {
namespace {

KernelWork &operator+=(KernelWork &a, const KernelWork &b) {
  a.dotFlops += b.dotFlops;
  a.pointwiseFlops += b.pointwiseFlops;
  a.transcendentals += b.transcendentals;
  a.bytesRead += b.bytesRead;
  a.bytesWritten += b.bytesWritten;
  return a;
}

KernelWork operator*(double times, const KernelWork &work) {
  return {times * work.dotFlops, times * work.pointwiseFlops, times * work.transcendentals, times * work.bytesRead,
          times * work.bytesWritten};
}

double elementsOf(Value tile) { return static_cast<double>(cast<ShapedType>(tile.getType()).getNumElements()); }

/// Bytes of the elements of `tile` as they lie in `buffer`.
double bytesOf(Value tile, Value buffer) {
  return elementsOf(tile) * cast<ShapedType>(buffer.getType()).getElementTypeBitWidth() / 8.0;
}

KernelWork workOfMap(tile::MapOp map) {
  KernelWork perElement;
  for (Operation &op : map.getBody().front().without_terminator()) {
    bool isFloat = op.getNumResults() == 1 && isa<FloatType>(op.getResult(0).getType());
    if (isa<math::MathDialect>(op.getDialect()) && !isa<math::SqrtOp, math::RsqrtOp, math::AbsFOp, math::FmaOp>(op))
      perElement.transcendentals += 1;
    else if (isFloat && !isa<arith::ConstantOp, arith::SelectOp>(op))
      perElement.pointwiseFlops += 1;
  }
  return elementsOf(map.getResult(0)) * perElement;
}

/// Work of one op that holds no others.
KernelWork workOfLeaf(Operation *op) {
  KernelWork work;
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](tile::DotOp dot) {
        ArrayRef<int64_t> a = dot.getA().getType().getShape();
        work.dotFlops = 2.0 * elementsOf(dot.getAcc()) * static_cast<double>(a[dot.getTransposeA() ? 0 : 1]);
      })
      .Case([&](tile::MapOp map) { work = workOfMap(map); })
      .Case([&](tile::ReduceOp reduce) { work.pointwiseFlops = elementsOf(reduce.getTile()); })
      .Case([&](tile::LoadOp load) { work.bytesRead = bytesOf(load.getTile(), load.getBuffer()); })
      .Case([&](tile::GatherOp gather) { work.bytesRead = bytesOf(gather.getTile(), gather.getBuffer()); })
      .Case([&](tile::ScatterAddOp scatter) {
        work.pointwiseFlops = elementsOf(scatter.getTile());
        work.bytesRead = work.bytesWritten = bytesOf(scatter.getTile(), scatter.getBuffer());
      })
      .Case([&](tile::StoreOp store) {
        work.bytesWritten = bytesOf(store.getTile(), store.getBuffer());
        if (store.getAccumulate()) {
          work.bytesRead = work.bytesWritten;
          work.pointwiseFlops = elementsOf(store.getTile());
        }
      });
  return work;
}

class Counter {
public:
  explicit Counter(tile::KernelOp kernel) : kernel_(kernel) { findSteering(); }

  KernelWork run() { return overGrid(0); }

private:
  void findSteering();
  void steer(Value value);
  bool steers(Value value) const { return steering_.contains(value); }

  std::optional<int64_t> valueOf(Value value);
  void evaluate(Operation &op);
  KernelWork overGrid(unsigned dim);
  KernelWork workOfBlock(Block &block);
  KernelWork workOfLoop(scf::ForOp loop);
  KernelWork workOfBranch(scf::IfOp branch);
  void passOn(ValueRange from, ValueRange to);

  tile::KernelOp kernel_;
  llvm::DenseSet<Value> steering_; // what loop bounds and conditions are computed from
  llvm::DenseMap<Value, std::optional<int64_t>> values_;
};

void Counter::steer(Value value) {
  if (!steering_.insert(value).second)
    return;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    if (loop && argument != loop.getInductionVar()) {
      steer(loop.getTiedLoopInit(argument)->get());
      steer(loop.getTiedLoopYieldedValue(argument)->get());
    }
    return;
  }
  Operation *op = value.getDefiningOp();
  unsigned number = cast<OpResult>(value).getResultNumber();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return steer(loop.getRegionIterArg(number));
  if (auto branch = dyn_cast<scf::IfOp>(op)) {
    steer(branch.thenYield().getOperand(number));
    return steer(branch.elseYield().getOperand(number));
  }
  for (Value operand : op->getOperands())
    if (operand.getType().isIntOrIndexOrFloat())
      steer(operand);
}

void Counter::findSteering() {
  kernel_.walk([&](Operation *op) {
    if (auto loop = dyn_cast<scf::ForOp>(op))
      for (Value bound : {loop.getLowerBound(), loop.getUpperBound(), loop.getStep()})
        steer(bound);
    if (auto branch = dyn_cast<scf::IfOp>(op))
      steer(branch.getCondition());
  });
}

std::optional<int64_t> Counter::valueOf(Value value) {
  IntegerAttr constant;
  if (matchPattern(value, m_Constant(&constant)))
    return constant.getValue().getSExtValue();
  return values_.lookup(value);
}

/// Evaluates an op of scalars by folding it with what is known.
void Counter::evaluate(Operation &op) {
  if (op.getNumResults() != 1 || !steers(op.getResult(0)))
    return;
  std::optional<int64_t> &result = values_[op.getResult(0)];
  result.reset();
  if (isa<memref::LoadOp>(op)) {
    if (op.getResult(0).getType().isIntOrIndex())
      result = 0;
    return;
  }
  SmallVector<Attribute> operands;
  for (Value operand : op.getOperands()) {
    std::optional<int64_t> known = operand.getType().isIntOrIndex() ? valueOf(operand) : std::nullopt;
    operands.push_back(known ? IntegerAttr::get(operand.getType(), *known) : IntegerAttr());
  }
  SmallVector<OpFoldResult> folded;
  if (failed(op.fold(operands, folded)) || folded.empty())
    return;
  if (auto same = dyn_cast<Value>(folded.front()))
    result = valueOf(same);
  else if (auto number = dyn_cast_or_null<IntegerAttr>(cast<Attribute>(folded.front())))
    result = number.getValue().getSExtValue();
}

void Counter::passOn(ValueRange from, ValueRange to) {
  SmallVector<std::optional<int64_t>> known;
  for (Value value : from)
    known.push_back(steers(value) ? valueOf(value) : std::nullopt);
  for (auto [target, value] : llvm::zip(to, known))
    values_[target] = value;
}

KernelWork Counter::workOfLoop(scf::ForOp loop) {
  std::optional<int64_t> begin = valueOf(loop.getLowerBound()), end = valueOf(loop.getUpperBound()),
                         step = valueOf(loop.getStep());
  KernelWork work;
  int64_t trips = begin && end && step && *step > 0 ? std::max<int64_t>(0, llvm::divideCeil(*end - *begin, *step)) : 1;
  passOn(loop.getInitArgs(), loop.getRegionIterArgs());
  bool alike =
      !steers(loop.getInductionVar()) && llvm::none_of(loop.getRegionIterArgs(), [&](Value v) { return steers(v); });
  for (int64_t trip = 0; trip < (alike ? std::min<int64_t>(trips, 1) : trips); ++trip) {
    values_[loop.getInductionVar()] = begin ? std::optional(*begin + trip * step.value_or(0)) : std::nullopt;
    work += workOfBlock(*loop.getBody());
    passOn(loop.getBody()->getTerminator()->getOperands(), loop.getRegionIterArgs());
  }
  passOn(loop.getRegionIterArgs(), loop.getResults());
  return alike ? static_cast<double>(trips) * work : work;
}

KernelWork Counter::workOfBranch(scf::IfOp branch) {
  std::optional<int64_t> condition = valueOf(branch.getCondition());
  auto side = [&](Block *block) {
    KernelWork work = block ? workOfBlock(*block) : KernelWork();
    if (block)
      passOn(block->getTerminator()->getOperands(), branch.getResults());
    return work;
  };
  if (condition)
    return side(*condition ? branch.thenBlock() : branch.elseBlock());
  KernelWork otherwise = side(branch.elseBlock()), then = side(branch.thenBlock());
  return then.flops() >= otherwise.flops() ? then : otherwise;
}

KernelWork Counter::workOfBlock(Block &block) {
  KernelWork work;
  for (Operation &op : block) {
    if (auto loop = dyn_cast<scf::ForOp>(op))
      work += workOfLoop(loop);
    else if (auto branch = dyn_cast<scf::IfOp>(op))
      work += workOfBranch(branch);
    else if (isa<tile::TileDialect>(op.getDialect()))
      work += workOfLeaf(&op);
    else
      evaluate(op);
  }
  return work;
}

/// Walks the grid dimensions that steer something; the others multiply.
KernelWork Counter::overGrid(unsigned dim) {
  if (dim == 3)
    return workOfBlock(kernel_.getBody().front());
  Value place = kernel_.getGridIndex(dim);
  int64_t size = kernel_.getGrid()[dim];
  if (!steers(place))
    return static_cast<double>(size) * overGrid(dim + 1);
  KernelWork work;
  for (int64_t at = 0; at < size; ++at) {
    values_[place] = at;
    work += overGrid(dim + 1);
  }
  return work;
}

} // namespace

KernelWork workOf(tile::KernelOp kernel) { return Counter(kernel).run(); }

} // namespace oriel::analysis
