// The rules; nothing is remembered, since a kernel has few loads and stores.
#include "compiler/codegen/cpu/InPlace.h"

#include "compiler/codegen/cpu/Lowering.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace oriel::codegen {

namespace {

unsigned numberOf(Value buffer) { return cast<BlockArgument>(buffer).getArgNumber(); }

/// True if a write to `written` may change what lies in `read`.
bool mayOverlap(tile::KernelOp kernel, Value written, Value read) {
  return written == read || llvm::is_contained(kernel.getReplaceable(numberOf(written)), int64_t(numberOf(read)));
}

/// True if `op`, or an op inside it, may change what lies in `buffer`.
bool mayChange(Operation *op, Value buffer) {
  auto kernel = op->getParentOfType<tile::KernelOp>();
  return op
      ->walk([&](Operation *inner) {
        Value written;
        if (auto store = dyn_cast<tile::StoreOp>(inner))
          written = store.getBuffer();
        else if (auto scatter = dyn_cast<tile::ScatterAddOp>(inner))
          written = scatter.getBuffer();
        return written && mayOverlap(kernel, written, buffer) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Rows of vectors, contiguous in memory.
bool hasContiguousRows(Value buffer, RankedTensorType tile, int64_t colDim, int64_t colStride) {
  return tile.getDimSize(1) > 1 && colStride == 1 && colDim == cast<MemRefType>(buffer.getType()).getRank() - 1;
}

/// True if the dot reads the tile once, to pack it. A b that it transposes is read by words of two elements.
bool packs(tile::DotOp dot, tile::LoadOp load) {
  bool isB = load.getTile() == dot.getB(), isPacked = isB || dot.getTransposeA();
  auto evenWords = [&] {
    return load.getBuffer().getType().getShape().back() % 2 == 0 &&
           isConstantIntValue(load.getIndices()[load.getColDim()], 0);
  };
  return packsPairs(dot) && isPacked && (!isB || !dot.getTransposeB() || evenWords());
}

bool isSamePlace(tile::LoadOp load, tile::StoreOp store) {
  return load.getTile().getType().getShape() == store.getTile().getType().getShape() &&
         load.getIndices() == store.getIndices();
}

/// True if the two lie in the same rows, in columns that do not meet.
bool isBesidePlace(tile::LoadOp load, tile::StoreOp store) {
  auto read = load.getIndices(), written = store.getIndices();
  if (load.getColDim() != store.getColDim() || load.getRowDim() != store.getRowDim() ||
      !llvm::equal(read.drop_back(), written.drop_back()))
    return false;
  auto width = [](auto op) {
    int64_t columns = op.getTile().getType().getDimSize(1);
    return op.getColLimit() ? std::min(columns, static_cast<int64_t>(*op.getColLimit())) : columns;
  };
  std::optional<int64_t> from = getConstantIntValue(read.back()), to = getConstantIntValue(written.back());
  return from && to && (*from + width(load) <= *to || *to + width(store) <= *from);
}

bool isScalar(Operation &op) {
  return op.getNumRegions() == 0 && isMemoryEffectFree(&op) &&
         llvm::none_of(op.getOperandTypes(), tile::hasTileShape) &&
         llvm::none_of(op.getResultTypes(), tile::hasTileShape);
}

} // namespace

bool isReadInPlace(tile::LoadOp load) {
  Value tile = load.getTile();
  if (!hasContiguousRows(load.getBuffer(), load.getTile().getType(), load.getColDim(), load.getColStride()))
    return false;
  Operation *last = nullptr;
  for (Operation *user : tile.getUsers()) {
    auto dot = dyn_cast<tile::DotOp>(user);
    if (user->getBlock() != load->getBlock() ||
        !(isa<tile::MapOp, tile::CastOp, tile::ReduceOp>(user) || (dot && tile.hasOneUse() && packs(dot, load))))
      return false;
    last = !last || last->isBeforeInBlock(user) ? user : last;
  }
  for (Operation *op = load->getNextNode(); last && op != last; op = op->getNextNode())
    if (mayChange(op, load.getBuffer()))
      return false;
  return last != nullptr;
}

/// The store that alone takes `result`, if its maker could write the buffer: the place is known before the maker, and
/// between the two there are but scalars and stores of the maker's other results.
static tile::StoreOp storeBehind(OpResult result) {
  Operation *maker = result.getOwner();
  auto store = result.hasOneUse() ? dyn_cast<tile::StoreOp>(*result.user_begin()) : tile::StoreOp();
  if (!store || store->getBlock() != maker->getBlock() ||
      !hasContiguousRows(store.getBuffer(), store.getTile().getType(), store.getColDim(), store.getColStride()))
    return {};
  for (Value operand : store->getOperands())
    if (Operation *definition = operand.getDefiningOp(); definition && operand != result &&
                                                         definition->getBlock() == maker->getBlock() &&
                                                         !definition->isBeforeInBlock(maker))
      return {};
  for (Operation *op = maker->getNextNode(); op != store; op = op->getNextNode()) {
    auto other = dyn_cast<tile::StoreOp>(op);
    if (!isScalar(*op) && !(other && other.getTile().getDefiningOp() == maker))
      return {};
  }
  return store;
}

tile::StoreOp storeInPlace(OpResult result) {
  auto map = cast<tile::MapOp>(result.getOwner());
  tile::StoreOp store = storeBehind(result);
  if (!store || store.getAccumulate())
    return {};
  // A map reads a vector of each operand before it writes that vector of its results: it may read the place it writes,
  // or one that nothing writes, but not a place that it writes with another vector.
  auto kernel = map->getParentOfType<tile::KernelOp>();
  for (Value input : map.getInputs())
    if (auto load = input.getDefiningOp<tile::LoadOp>(); load && isReadInPlace(load))
      if (mayOverlap(kernel, store.getBuffer(), load.getBuffer()) && !isSamePlace(load, store) &&
          !isBesidePlace(load, store))
        return {};
  return store;
}

bool isFoldedIntoReduce(tile::MapOp map) {
  Value tile = map.getResult(0);
  auto reduce = map->getNumResults() == 1 && tile.hasOneUse() ? dyn_cast<tile::ReduceOp>(*tile.user_begin()) : nullptr;
  ArrayRef<int64_t> shape = cast<RankedTensorType>(tile.getType()).getShape();
  if (!reduce || reduce->getBlock() != map->getBlock() || shape[1] == 1 || shape[reduce.getAxis()] == 1)
    return false;
  for (Operation *op = map->getNextNode(); op != reduce; op = op->getNextNode())
    if (!isScalar(*op))
      return false;
  return true;
}

tile::StoreOp accumulateInPlace(tile::DotOp dot) {
  tile::StoreOp store = storeBehind(cast<OpResult>(dot.getResult()));
  auto fill = dot.getAcc().getDefiningOp<tile::FillOp>();
  bool startsFromZero = fill && isFoldedIntoDot(fill) && matchPattern(fill.getValue(), m_AnyZeroFloat());
  bool isMatrix = dot.getResult().getType().getDimSize(0) > 1; // its columns are those of contiguous rows
  bool isF32 = store && store.getBuffer().getType().getElementType().isF32();
  return isF32 && store.getAccumulate() && startsFromZero && isMatrix ? store : tile::StoreOp();
}

} // namespace oriel::codegen
