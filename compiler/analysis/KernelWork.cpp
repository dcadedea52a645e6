// A small interpreter of index arithmetic. What does not steer a loop or a branch is never evaluated, and what the
// steering does not depend on (grid dimensions, loop counters) is multiplied instead of walked. The kernel first
// becomes a tree of steps over numbered values; of a loop that changes steadily only the trips are walked where a decision changes.
#include "compiler/analysis/KernelWork.h"

#include "compiler/analysis/IndexArithmetic.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"

#include <memory>
#include <variant>

using namespace mlir;

namespace oriel::analysis {
namespace {

KernelWork &operator+=(KernelWork &a, const KernelWork &b) {
  a.dotFlops += b.dotFlops;
  a.pointwiseFlops += b.pointwiseFlops;
  a.transcendentals += b.transcendentals;
  a.bytesRead += b.bytesRead;
  a.bytesWritten += b.bytesWritten;
  a.rounds += b.rounds;
  return a;
}

KernelWork operator*(double times, const KernelWork &work) {
  return {times * work.dotFlops, times * work.pointwiseFlops, times * work.transcendentals, times * work.bytesRead,
          times * work.bytesWritten, times * work.rounds};
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

/// What a block does each time it runs: the work of its own ops, then steps in their order.
struct Region;

struct Loop {
  unsigned begin, end, step, counter;
  std::vector<std::pair<unsigned, unsigned>> first, next, last; // carried values: from, to
  bool alike;                                                   // every trip does the same work
  std::unique_ptr<Region> body;
  // Trips between two that decide alike do the same work, where this is so: a causal kernel's loop has a long part
  // without a mask and a short one with it.
  bool changesSteadily;
  std::vector<const IndexExpression *> decisions; // in the body
};

struct Branch {
  unsigned condition;
  std::unique_ptr<Region> then, otherwise;
  std::vector<std::pair<unsigned, unsigned>> fromThen, fromOtherwise;
};

struct Region {
  KernelWork own;
  std::vector<std::variant<IndexExpression, Loop, Branch>> steps;
};

class Counter {
public:
  explicit Counter(tile::KernelOp kernel) : kernel_(kernel) {
    findSteering();
    body_ = regionOf(kernel.getBody().front());
  }

  KernelWork run() { return overGrid(0); }

private:
  using Moves = std::vector<std::pair<unsigned, unsigned>>;

  void findSteering();
  void steer(Value value);
  bool steers(Value value) const { return steering_.contains(value); }

  unsigned numberOf(Value value);
  Moves movesOf(ValueRange from, ValueRange to);
  std::unique_ptr<Region> regionOf(Block &block);
  Loop loopOf(scf::ForOp op);
  static bool changesSteadily(const Region &region, llvm::DenseMap<unsigned, Change> &changes,
                              std::vector<const IndexExpression *> &decisions);
  Branch branchOf(scf::IfOp op);

  void move(const Moves &moves);
  KernelWork overGrid(unsigned dim);
  KernelWork workOf(const Region &region);
  KernelWork workOf(const Loop &loop);
  KernelWork workOf(const Branch &branch);
  KernelWork workOfTrip(const Loop &loop, int64_t counter);
  KernelWork workBetween(const Loop &loop, int64_t begin, int64_t step, int64_t trips);

  tile::KernelOp kernel_;
  llvm::DenseSet<Value> steering_; // what loop bounds and conditions are computed from
  llvm::DenseMap<Value, unsigned> numbers_;
  std::vector<Known> values_; // by number
  std::unique_ptr<Region> body_;
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

unsigned Counter::numberOf(Value value) {
  auto [found, isNew] = numbers_.try_emplace(value, values_.size());
  if (isNew) {
    IntegerAttr constant;
    values_.push_back(matchPattern(value, m_Constant(&constant)) ? Known(constant.getValue().getSExtValue()) : Known());
  }
  return found->second;
}

Counter::Moves Counter::movesOf(ValueRange from, ValueRange to) {
  Moves moves;
  for (auto [source, target] : llvm::zip(from, to))
    if (steers(target))
      moves.emplace_back(numberOf(source), numberOf(target));
  return moves;
}

Loop Counter::loopOf(scf::ForOp op) {
  ValueRange carried = op.getRegionIterArgs();
  bool carriesNothing = llvm::none_of(carried, [&](Value value) { return steers(value); });
  Loop loop{numberOf(op.getLowerBound()),
          numberOf(op.getUpperBound()),
          numberOf(op.getStep()),
          numberOf(op.getInductionVar()),
          movesOf(op.getInitArgs(), carried),
          movesOf(op.getBody()->getTerminator()->getOperands(), carried),
          movesOf(carried, op.getResults()),
            !steers(op.getInductionVar()) && carriesNothing,
            regionOf(*op.getBody()),
            false,
            {}};
  llvm::DenseMap<unsigned, Change> changes = {{loop.counter, Change::Steady}};
  loop.changesSteadily = carriesNothing && changesSteadily(*loop.body, changes, loop.decisions);
  return loop;
}

/// Of a loop's body or a branch in it. What is not in `changes` comes from outside and does not change.
bool Counter::changesSteadily(const Region &region, llvm::DenseMap<unsigned, Change> &changes,
                              std::vector<const IndexExpression *> &decisions) {
  for (const auto &step : region.steps) {
    if (const auto *expression = std::get_if<IndexExpression>(&step)) {
      SmallVector<Change> operands;
      for (unsigned operand : expression->operands())
        operands.push_back(changes.lookup(operand));
      Change change = changes[expression->result()] = expression->changeOf(operands);
      if (change == Change::Any)
        return false;
      if (change == Change::Steady)
        decisions.push_back(expression);
    } else if (const auto *branch = std::get_if<Branch>(&step)) {
      if (!branch->fromThen.empty() || !branch->fromOtherwise.empty() ||
          !changesSteadily(*branch->then, changes, decisions) || !changesSteadily(*branch->otherwise, changes, decisions))
        return false;
    } else {
      const Loop &loop = std::get<Loop>(step);
      if (!loop.alike || changes.contains(loop.begin) || changes.contains(loop.end) || changes.contains(loop.step))
        return false;
    }
  }
  return true;
}

Branch Counter::branchOf(scf::IfOp op) {
  Branch branch{numberOf(op.getCondition()), regionOf(*op.thenBlock()), std::make_unique<Region>(), {}, {}};
  branch.fromThen = movesOf(op.thenBlock()->getTerminator()->getOperands(), op.getResults());
  if (Block *block = op.elseBlock()) {
    branch.otherwise = regionOf(*block);
    branch.fromOtherwise = movesOf(block->getTerminator()->getOperands(), op.getResults());
  }
  return branch;
}

std::unique_ptr<Region> Counter::regionOf(Block &block) {
  auto region = std::make_unique<Region>();
  for (Operation &op : block) {
    if (auto loop = dyn_cast<scf::ForOp>(op))
      region->steps.emplace_back(loopOf(loop));
    else if (auto branch = dyn_cast<scf::IfOp>(op))
      region->steps.emplace_back(branchOf(branch));
    else if (isa<tile::TileDialect>(op.getDialect()))
      region->own += workOfLeaf(&op);
    else if (op.getNumResults() == 1 && steers(op.getResult(0)) && !op.hasTrait<OpTrait::ConstantLike>())
      region->steps.emplace_back(IndexExpression(&op, [&](Value value) { return numberOf(value); }));
  }
  region->own.rounds = region->own.bytesRead > 0 ? 1 : 0;
  return region;
}

void Counter::move(const Moves &moves) {
  SmallVector<Known> known; // all are read before any is written: a loop may swap what it carries
  for (auto [from, to] : moves)
    known.push_back(values_[from]);
  for (auto [move, value] : llvm::zip(moves, known))
    values_[move.second] = value;
}

KernelWork Counter::workOf(const Loop &loop) {
  Known begin = values_[loop.begin], end = values_[loop.end], step = values_[loop.step];
  int64_t trips = begin && end && step && *step > 0 ? std::max<int64_t>(0, llvm::divideCeil(*end - *begin, *step)) : 1;
  if (loop.changesSteadily && begin && step && trips > 2)
    return workBetween(loop, *begin, *step, trips);
  KernelWork work;
  move(loop.first);
  for (int64_t trip = 0; trip < (loop.alike ? std::min<int64_t>(trips, 1) : trips); ++trip) {
    values_[loop.counter] = begin ? Known(*begin + trip * step.value_or(0)) : std::nullopt;
    work += workOf(*loop.body);
    move(loop.next);
  }
  move(loop.last);
  return loop.alike ? static_cast<double>(trips) * work : work;
}

KernelWork Counter::workOfTrip(const Loop &loop, int64_t counter) {
  values_[loop.counter] = counter;
  return workOf(*loop.body);
}

/// Halves the trips until both ends of each part decide alike. A decision of a branch that did not run is an old one:
/// it may part what is alike, no more.
KernelWork Counter::workBetween(const Loop &loop, int64_t begin, int64_t step, int64_t trips) {
  auto decided = [&] {
    SmallVector<Known> decisions;
    for (const IndexExpression *expression : loop.decisions)
      decisions.push_back(expression->decision(values_));
    return decisions;
  };
  KernelWork first = workOfTrip(loop, begin);
  if (trips == 1)
    return first;
  SmallVector<Known> atFirst = decided();
  KernelWork last = workOfTrip(loop, begin + (trips - 1) * step);
  if (trips == 2)
    return first += last;
  if (atFirst == decided())
    return static_cast<double>(trips) * first;
  int64_t half = trips / 2;
  KernelWork work = workBetween(loop, begin, step, half);
  return work += workBetween(loop, begin + half * step, step, trips - half);
}

KernelWork Counter::workOf(const Branch &branch) {
  auto side = [&](bool isThen) {
    KernelWork work = workOf(isThen ? *branch.then : *branch.otherwise);
    move(isThen ? branch.fromThen : branch.fromOtherwise);
    return work;
  };
  if (Known condition = values_[branch.condition])
    return side(*condition != 0);
  KernelWork otherwise = side(false), then = side(true);
  return then.flops() >= otherwise.flops() ? then : otherwise;
}

KernelWork Counter::workOf(const Region &region) {
  KernelWork work = region.own;
  for (const auto &step : region.steps) {
    if (const auto *expression = std::get_if<IndexExpression>(&step))
      expression->evaluate(values_);
    else if (const auto *loop = std::get_if<Loop>(&step))
      work += workOf(*loop);
    else
      work += workOf(std::get<Branch>(step));
  }
  return work;
}

/// Walks the grid dimensions that steer something; the others multiply.
KernelWork Counter::overGrid(unsigned dim) {
  if (dim == 3)
    return workOf(*body_);
  Value place = kernel_.getGridIndex(dim);
  int64_t size = kernel_.getGrid()[dim];
  if (!steers(place))
    return static_cast<double>(size) * overGrid(dim + 1);
  KernelWork work;
  for (int64_t at = 0; at < size; ++at) {
    values_[numberOf(place)] = at;
    work += overGrid(dim + 1);
  }
  return work;
}

} // namespace

KernelWork workOf(tile::KernelOp kernel) { return Counter(kernel).run(); }

} // namespace oriel::analysis
