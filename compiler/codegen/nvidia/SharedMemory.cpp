// First-fit placement of tiles along one walk over the kernel in program order.
#include "compiler/codegen/nvidia/SharedMemory.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

int64_t tileBytes(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  int64_t bytes = type.getNumElements() * (type.getElementTypeBitWidth() / 8);
  return (bytes + 15) / 16 * 16;
}

SharedMemory::SharedMemory(tile::KernelOp kernel) { planBlock(kernel.getBody().front()); }

void SharedMemory::place(Value value) {
  int64_t bytes = tileBytes(value), begin = 0;
  auto *at = live_.begin();
  for (; at != live_.end() && at->begin < begin + bytes; ++at)
    begin = std::max(begin, at->end);
  live_.insert(at, Range{begin, begin + bytes});
  offsets_[value] = begin;
  highWater_ = std::max(highWater_, begin + bytes);
}

/// A carried tile keeps its place through every iteration; it is released as the loop's result.
bool SharedMemory::isCarried(Value value) const {
  while (Value from = owner_.lookup(value))
    value = from;
  return isa<BlockArgument>(value);
}

void SharedMemory::release(Value value) {
  if (isCarried(value))
    return;
  int64_t begin = offsets_.lookup(value);
  llvm::erase_if(live_, [&](const Range &range) { return range.begin == begin; });
}

/// Whether no use of `value` comes after `op` in the block that defines `value`. Uses inside nested regions count at
/// the op of that block which contains them, so that a value used in a loop lives until the loop ends.
bool SharedMemory::diesAt(Value value, Operation *op) const {
  Block *block = value.getParentBlock();
  Operation *here = block->findAncestorOpInBlock(*op);
  for (Operation *user : value.getUsers())
    if (here->isBeforeInBlock(block->findAncestorOpInBlock(*user)))
      return false;
  return true;
}

/// An elementwise result or an accumulator may take the place of an operand of its own type that dies here.
bool SharedMemory::placeInPlace(Operation *op, Value result) {
  auto mayReuse = [&](Value operand) {
    return operand.getType() == result.getType() && operand.getParentBlock() == op->getBlock() && diesAt(operand, op) &&
           llvm::none_of(op->getResults(), [&](Value other) { return owner_.lookup(other) == operand; });
  };
  Value chosen;
  if (auto dot = dyn_cast<tile::DotOp>(op)) {
    if (mayReuse(dot.getAcc()) && dot.getAcc() != dot.getA() && dot.getAcc() != dot.getB())
      chosen = dot.getAcc();
  } else if (auto map = dyn_cast<tile::MapOp>(op)) {
    auto found = llvm::find_if(map.getInputs(), mayReuse);
    if (found != map.getInputs().end())
      chosen = *found;
  }
  if (!chosen)
    return false;
  offsets_[result] = offsets_.lookup(chosen);
  owner_[result] = chosen;
  return true;
}

void SharedMemory::planLoop(Operation *op) {
  if (auto loop = dyn_cast<scf::ForOp>(op))
    for (auto [argument, result] : llvm::zip(loop.getRegionIterArgs(), loop.getResults()))
      if (isTile(argument)) {
        place(argument);
        offsets_[result] = offsets_.lookup(argument); // the carried tile is the loop's result
      }
  if (auto branch = dyn_cast<scf::IfOp>(op))
    for (Value result : branch.getResults())
      if (isTile(result))
        place(result);
  for (Region &region : op->getRegions())
    for (Block &block : region)
      planBlock(block);
}

void SharedMemory::planBlock(Block &block) {
  for (Operation &op : block) {
    llvm::SmallVector<Value> taken;
    if (isa<scf::ForOp, scf::IfOp>(op)) {
      planLoop(&op);
    } else {
      for (Value result : op.getResults())
        if (isTile(result) && !placeInPlace(&op, result))
          place(result);
    }
    for (Value result : op.getResults())
      if (owner_.count(result))
        taken.push_back(owner_.lookup(result));
    llvm::SmallDenseSet<Value> dead;
    for (Value operand : op.getOperands())
      if (isTile(operand) && operand.getParentBlock() == &block && !isa<BlockArgument>(operand) &&
          !llvm::is_contained(taken, operand) && diesAt(operand, &op))
        dead.insert(operand);
    // Values of this block that were used only inside the regions of `op`.
    op.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (isTile(operand) && operand.getParentBlock() == &block && !isa<BlockArgument>(operand) &&
            !llvm::is_contained(taken, operand) && diesAt(operand, &op))
          dead.insert(operand);
    });
    for (Value value : dead)
      release(value);
    for (Value result : op.getResults())
      if (isTile(result) && result.use_empty())
        release(result);
  }
}

} // namespace oriel::codegen::nvidia
