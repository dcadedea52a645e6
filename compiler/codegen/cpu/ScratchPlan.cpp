// Liveness of tiles as one bit per program point, places shared where the bits allow it, then first fit.
//
// Op number i reads its operands at point 2i and writes its results at 2i+1. A structured op (scf.for, scf.if) has one
// number at its entry and one at its exit. A tile is live at every point where its bytes must be intact. Operands count
// as live at the point where the results are written, so that nothing overlaps by accident; sharing a place with a
// result is an explicit choice for a pair that hands on its bytes there.
#include "compiler/codegen/cpu/ScratchPlan.h"

#include "compiler/codegen/cpu/InPlace.h"

#include <map>

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace oriel::codegen {

int64_t tileBytes(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

bool transposesB(tile::DotOp dot) {
  if (!dot.getTransposeB())
    return false;
  ArrayRef<int64_t> b = dot.getB().getType().getShape(), acc = dot.getAcc().getType().getShape();
  return b[0] != 1 && b[1] != 1 && acc[0] != 1; // vectors lie the same way both times; one row takes dot products
}

bool packsPairs(tile::DotOp dot) {
  auto isMatrix = [](RankedTensorType tile) { return tile.getDimSize(0) > 1 && tile.getDimSize(1) > 1; };
  return dot.getA().getType().getElementType().isBF16() && isMatrix(dot.getA().getType()) &&
         isMatrix(dot.getB().getType());
}

bool isTransposedAccess(MemRefType buffer, RankedTensorType tile, int64_t rowDim, int64_t colDim) {
  return rowDim == buffer.getRank() - 1 && colDim >= 0 && tile.getDimSize(0) > 1 && tile.getDimSize(1) > 1;
}

/// Carried tiles that the yield of a loop moves to other places of the same loop must go through a temporary.
static bool isCarried(scf::YieldOp yield, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  return argument && argument.getOwner() == yield->getBlock() && isa<scf::ForOp>(yield->getParentOp());
}

int64_t temporaryBytes(Operation *op) {
  if (auto dot = dyn_cast<tile::DotOp>(op); dot && packsPairs(dot))
    return llvm::alignTo(tileBytes(dot.getB()), 64) + (dot.getTransposeA() ? tileBytes(dot.getA()) : 0);
  if (auto dot = dyn_cast<tile::DotOp>(op))
    return transposesB(dot) ? tileBytes(dot.getB()) : 0;
  if (auto load = dyn_cast<tile::LoadOp>(op))
    return isTransposedAccess(load.getBuffer().getType(), load.getTile().getType(), load.getRowDim(), load.getColDim())
               ? tileBytes(load.getTile())
               : 0;
  if (auto store = dyn_cast<tile::StoreOp>(op))
    return isTransposedAccess(store.getBuffer().getType(), store.getTile().getType(), store.getRowDim(),
                              store.getColDim())
               ? tileBytes(store.getTile())
               : 0;
  int64_t bytes = 0;
  if (auto yield = dyn_cast<scf::YieldOp>(op))
    for (auto [index, value] : llvm::enumerate(yield.getOperands()))
      if (tile::hasTileShape(value.getType()) && isCarried(yield, value) &&
          cast<BlockArgument>(value).getArgNumber() != index + 1)
        bytes += llvm::alignTo(tileBytes(value), 64);
  return bytes;
}

namespace {

struct Item { // a tile value or an op's temporary
  int64_t bytes = 0;
  llvm::BitVector live;
};

class Planner {
public:
  explicit Planner(tile::KernelOp kernel) : kernel_(kernel) {}

  void run() {
    kernel_->walk<WalkOrder::PreOrder>([&](Operation *op) { numberAndCollect(op); });
    for (Item &item : items_)
      item.live.resize(2 * points_);
    scanBlock(kernel_.getBody().front(), {});
    share();
    place();
  }

  llvm::DenseMap<Value, int> itemOf;
  llvm::DenseMap<Operation *, int> temporaryOf;
  int64_t offset(int item) { return offsets_[leader(item)]; }
  int64_t bytes() const { return bytes_; }

private:
  using Live = llvm::SmallSetVector<Value, 16>;

  static bool isTile(Value value) { return tile::hasTileShape(value.getType()); }

  void numberAndCollect(Operation *op);
  int number(Operation *op) { return entry_.lookup(op); }
  int exitNumber(Operation *op) { return exit_.lookup(op); }
  void mark(Value value, int point) { items_[itemOf.lookup(value)].live.set(point); }
  void mark(const Live &live, int point) {
    for (Value value : live)
      mark(value, point);
  }

  Live scanBlock(Block &block, Live after);
  void scanOp(Operation &op, Live &live);
  void scanFor(scf::ForOp loop, Live &live);
  void scanIf(scf::IfOp branch, Live &live);

  int leader(int item) { return leader_[item]; }
  void allow(Value from, Value to, int point);
  bool conflict(int a, int b);
  void tryShare(int a, int b);
  void collectCandidates();
  void share();
  void place();

  tile::KernelOp kernel_;
  std::vector<Item> items_;
  std::vector<int> leader_; // of those that share one place
  std::vector<llvm::SmallVector<int>> members_;
  std::vector<std::pair<int, int>> candidates_;
  std::map<std::pair<int, int>, llvm::SmallVector<int>> allowed_; // points where being live together is a hand-on
  std::vector<int64_t> offsets_;
  llvm::DenseMap<Operation *, int> entry_, exit_;
  llvm::DenseSet<std::pair<Value, Operation *>> dying_; // last uses
  int points_ = 0;
  int64_t bytes_ = 0;
};

void Planner::numberAndCollect(Operation *op) {
  if (isa<tile::YieldOp>(op) || op->getParentOfType<tile::MapOp>())
    return; // bodies of maps hold no tiles
  entry_[op] = points_++;
  auto add = [&](Value value) {
    if (!isTile(value))
      return;
    itemOf[value] = items_.size();
    items_.push_back({tileBytes(value), {}});
  };
  for (Value result : op->getResults())
    add(result);
  if (auto loop = dyn_cast<scf::ForOp>(op))
    for (Value argument : loop.getRegionIterArgs())
      add(argument);
  if (int64_t bytes = temporaryBytes(op)) {
    temporaryOf[op] = items_.size();
    items_.push_back({bytes, {}});
  }
  // The exit of a structured op follows its last op: it is numbered when that op, a yield, has been.
  if (isa<scf::YieldOp>(op)) {
    Operation *parent = op->getParentOp();
    if (op->getParentRegion() == &parent->getRegions().back() || parent->getRegions().back().empty())
      exit_[parent] = points_++;
  }
}

/// Marks what is live inside `block`, given what is live after it; returns what is live before it.
Planner::Live Planner::scanBlock(Block &block, Live after) {
  for (Operation &op : llvm::reverse(block))
    scanOp(op, after);
  return after;
}

/// What an op reads. A map that is folded into a reduction is made where that is.
static SmallVector<Value> operandsOf(Operation &op) {
  SmallVector<Value> operands(op.getOperands());
  if (auto reduce = dyn_cast<tile::ReduceOp>(op))
    if (auto map = reduce.getTile().getDefiningOp<tile::MapOp>(); map && isFoldedIntoReduce(map))
      operands.append(map.getInputs().begin(), map.getInputs().end());
  return operands;
}

void Planner::scanOp(Operation &op, Live &live) {
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return scanFor(loop, live);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return scanIf(branch, live);
  int read = 2 * number(&op), write = read + 1;
  if (auto temporary = temporaryOf.find(&op); temporary != temporaryOf.end())
    items_[temporary->second].live.set(read, write + 1);
  mark(live, write);
  for (Value result : op.getResults())
    if (isTile(result)) {
      mark(result, write);
      live.remove(result);
    }
  SmallVector<Value> operands = operandsOf(op);
  for (Value operand : operands)
    if (isTile(operand) && !live.contains(operand))
      dying_.insert({operand, &op});
  for (Value operand : operands)
    if (isTile(operand)) {
      live.insert(operand);
      mark(operand, write);
    }
  mark(live, read);
}

void Planner::scanFor(scf::ForOp loop, Live &live) {
  auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
  int entry = 2 * number(loop), exit = 2 * exitNumber(loop), back = 2 * number(yield) + 1;
  mark(live, exit + 1);
  for (Value result : loop.getResults())
    if (isTile(result)) {
      mark(result, exit);
      mark(result, exit + 1);
      live.remove(result);
    }
  // What the body takes from outside must survive every iteration.
  loop->walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (op != loop.getOperation() && isTile(operand) && !loop->isAncestor(operand.getParentBlock()->getParentOp()))
        live.insert(operand);
  });
  mark(live, exit);
  // The place of a carried tile is written at the entry and at every end of the body.
  for (Value argument : loop.getRegionIterArgs())
    if (isTile(argument)) {
      mark(argument, entry + 1);
      mark(argument, back);
      mark(argument, exit);
    }
  Live inside = scanBlock(*loop.getBody(), live);
  mark(live, back);
  mark(live, entry + 1);
  for (Value value : inside)
    mark(value, entry + 1);
  for (Value init : loop.getInitArgs())
    if (isTile(init)) {
      live.insert(init);
      mark(init, entry + 1);
    }
  mark(live, entry);
}

void Planner::scanIf(scf::IfOp branch, Live &live) {
  int exit = 2 * exitNumber(branch);
  mark(live, exit);
  mark(live, exit + 1);
  for (Value result : branch.getResults())
    if (isTile(result)) {
      mark(result, exit);
      mark(result, exit + 1);
      mark(result, 2 * number(branch.thenYield()) + 1);
      mark(result, 2 * number(branch.elseYield()) + 1);
      live.remove(result);
    }
  Live before = scanBlock(*branch.thenBlock(), live);
  Live other = branch.elseBlock() ? scanBlock(*branch.elseBlock(), live) : live;
  before.insert(other.begin(), other.end());
  live = before;
  mark(live, 2 * number(branch));
  mark(live, 2 * number(branch) + 1);
}

/// Notes that `from` hands its bytes on to `to` at `point`: being live together there is no obstacle to sharing.
void Planner::allow(Value from, Value to, int point) {
  if (!isTile(from) || !isTile(to))
    return;
  candidates_.push_back({itemOf.lookup(from), itemOf.lookup(to)});
  allowed_[candidates_.back()].push_back(point);
}

bool Planner::conflict(int a, int b) {
  if (items_[a].bytes != items_[b].bytes)
    return true;
  llvm::BitVector common = items_[a].live;
  common &= items_[b].live;
  for (auto pair : {std::pair(a, b), std::pair(b, a)})
    if (auto points = allowed_.find(pair); points != allowed_.end())
      for (int point : points->second)
        common.reset(point);
  return common.any();
}

/// Gives two items one place, with all that share it already, if no two of them conflict.
void Planner::tryShare(int a, int b) {
  int first = leader(a), second = leader(b);
  if (first == second)
    return;
  for (int x : members_[first])
    for (int y : members_[second])
      if (conflict(x, y))
        return;
  for (int y : members_[second])
    leader_[y] = first;
  members_[first].append(members_[second]);
}

/// True if the tile's elements may lie in scratch as the buffer has them, which is not how the tile does: a vector of
/// it does not lie where that of another tile does.
static bool liesAsInBuffer(Value tile) {
  Value buffer;
  if (auto load = tile.getDefiningOp<tile::LoadOp>(); load && isReadInPlace(load))
    buffer = load.getBuffer();
  else if (tile.getDefiningOp<tile::MapOp>())
    if (tile::StoreOp store = storeInPlace(cast<OpResult>(tile)))
      buffer = store.getBuffer();
  return buffer && getElementTypeOrSelf(buffer) != getElementTypeOrSelf(tile);
}

/// Collects who may hand on to whom, the most valuable first: a copy inside a loop costs most.
void Planner::collectCandidates() {
  kernel_->walk([&](scf::ForOp loop) { // a loop's result is its carried tile
    for (auto [argument, result] : llvm::zip(loop.getRegionIterArgs(), loop.getResults()))
      allow(argument, result, 2 * exitNumber(loop));
  });
  kernel_->walk([&](scf::ForOp loop) {
    int back = 2 * number(loop.getBody()->getTerminator()) + 1;
    for (auto [argument, next] : llvm::zip(loop.getRegionIterArgs(), loop.getYieldedValues()))
      allow(next, argument, back);
  });
  kernel_->walk([&](tile::DotOp dot) { // adds in place if nothing else reads the accumulator
    Value acc = dot.getAcc();
    if (dying_.contains({acc, dot}) && acc != dot.getA() && acc != dot.getB())
      allow(acc, dot.getResult(), 2 * number(dot) + 1);
  });
  kernel_->walk([&](scf::IfOp branch) {
    for (auto [index, result] : llvm::enumerate(branch.getResults()))
      for (scf::YieldOp yield : {branch.thenYield(), branch.elseYield()})
        allow(yield.getOperand(index), result, 2 * number(yield) + 1);
  });
  kernel_->walk([&](scf::ForOp loop) {
    for (auto [argument, init] : llvm::zip(loop.getRegionIterArgs(), loop.getInitArgs()))
      allow(init, argument, 2 * number(loop) + 1);
  });
  kernel_->walk([&](tile::MapOp map) { // reads each element before it writes it
    auto shape = cast<RankedTensorType>(map.getResult(0).getType()).getShape();
    for (Value result : map.getResults())
      for (Value input : map.getInputs())
        if (cast<RankedTensorType>(input.getType()).getShape() == shape && dying_.contains({input, map}) &&
            !liesAsInBuffer(input) && !liesAsInBuffer(result))
          allow(input, result, 2 * number(map) + 1);
  });
}

/// All exceptions are collected before the first choice: a chain of hand-ons (carried tile, map, dot, yield) is legal
/// only as a whole.
void Planner::share() {
  for (size_t i = 0; i < items_.size(); ++i) {
    leader_.push_back(i);
    members_.push_back({static_cast<int>(i)});
  }
  collectCandidates();
  for (auto [from, to] : candidates_)
    tryShare(from, to);
  for (size_t i = 0; i < items_.size(); ++i)
    if (leader(i) != static_cast<int>(i))
      items_[leader(i)].live |= items_[i].live;
}

/// First fit, large places first.
void Planner::place() {
  offsets_.assign(items_.size(), 0);
  std::vector<int> order;
  for (size_t i = 0; i < items_.size(); ++i)
    if (leader(i) == static_cast<int>(i))
      order.push_back(i);
  llvm::stable_sort(order, [&](int a, int b) { return items_[a].bytes > items_[b].bytes; });
  std::vector<int> placed;
  for (int item : order) {
    SmallVector<std::pair<int64_t, int64_t>> taken;
    for (int other : placed)
      if (items_[other].live.anyCommon(items_[item].live))
        taken.push_back({offsets_[other], offsets_[other] + items_[other].bytes});
    llvm::sort(taken);
    int64_t offset = 0;
    for (auto [begin, end] : taken) {
      if (offset + items_[item].bytes <= begin)
        break;
      offset = std::max<int64_t>(offset, llvm::alignTo(end, 64));
    }
    offsets_[item] = offset;
    bytes_ = std::max<int64_t>(bytes_, llvm::alignTo(offset + items_[item].bytes, 64));
    placed.push_back(item);
  }
}

} // namespace

ScratchPlan ScratchPlan::compute(tile::KernelOp kernel) {
  Planner planner(kernel);
  planner.run();
  ScratchPlan plan;
  for (auto [value, item] : planner.itemOf)
    plan.offsets_[value] = planner.offset(item);
  for (auto [op, item] : planner.temporaryOf)
    plan.temporaries_[op] = planner.offset(item);
  plan.bytes_ = planner.bytes();
  return plan;
}

} // namespace oriel::codegen
