// Classes of tiles and their layouts. Products, homes and the plan of shared memory are in TileHomes.cpp.
#include "compiler/codegen/nvidia/TilePlacement.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

TileView viewOf(Value tile) {
  TileView view{tile};
  while (auto transpose = view.base.getDefiningOp<tile::TransposeOp>())
    view = {transpose.getTile(), !view.isTransposed};
  return view;
}

bool isMatrixProduct(tile::DotOp dot) {
  auto isMatrix = [](Value tile) {
    return llvm::all_of(cast<RankedTensorType>(tile.getType()).getShape(), [](int64_t size) { return size > 1; });
  };
  return isMatrix(dot.getA()) && isMatrix(dot.getB());
}

TilePlacement::TilePlacement(tile::KernelOp kernel, int64_t warps, int64_t stages, bool hasWgmma)
    : kernel_(kernel), warps_(warps), hasWgmma_(hasWgmma) {
  kernel_.walk([&](tile::DotOp dot) { hasProducts_ |= isMatrixProduct(dot); });
  formClasses();
  voteByUse();
  chooseLayouts();
  planProducts();
  requireHomes();
  planPipelines(stages);
  planTensorCopies();
  placeHomes();
  countRegisters();
}

// ---- Classes --------------------------------------------------------------------------------------------------------

TilePlacement::Member TilePlacement::find(Value value) const {
  TileView view = viewOf(value);
  Member member = members_.lookup(view.base);
  return {member.number, member.isTransposed != view.isTransposed};
}

/// Two tiles of one shape get one layout. With `mayMove`, a tile that meets its own transpose is moved by its reader.
void TilePlacement::join(Value a, Value b, bool mayMove) {
  TileView left = viewOf(a), right = viewOf(b);
  if (isFill(left.base) || isFill(right.base))
    return;
  Member x = find(left.base), y = find(right.base);
  bool isTransposed = (left.isTransposed != right.isTransposed) != (x.isTransposed != y.isTransposed);
  if (x.number == y.number) {
    isConsistent_ &= !isTransposed || mayMove;
    return;
  }
  for (auto &[value, member] : members_)
    if (member.number == y.number)
      member = {x.number, member.isTransposed != isTransposed};
}

void TilePlacement::joinResults(Operation &op) {
  if (auto map = dyn_cast<tile::MapOp>(op)) {
    for (Value other : llvm::concat<Value>(SmallVector<Value>(map.getInputs()), SmallVector<Value>(map.getResults())))
      if (tileType(other).getShape() == tileType(map.getResult(0)).getShape())
        join(map.getResult(0), other, /*mayMove=*/llvm::is_contained(map.getInputs(), other));
  } else if (auto cast = dyn_cast<tile::CastOp>(op)) {
    join(cast.getResult(), cast.getTile());
  } else if (auto dot = dyn_cast<tile::DotOp>(op)) {
    join(dot.getResult(), dot.getAcc());
  } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
    auto yielded = loop.getBody()->getTerminator()->getOperands();
    for (auto [init, argument, next, result] :
         llvm::zip(loop.getInitArgs(), loop.getRegionIterArgs(), yielded, loop.getResults()))
      if (isTile(result))
        join(argument, init), join(argument, next), join(argument, result);
  } else if (auto branch = dyn_cast<scf::IfOp>(op)) {
    for (Region &region : branch->getRegions())
      if (!region.empty())
        for (auto [result, value] : llvm::zip(branch.getResults(), region.front().getTerminator()->getOperands()))
          if (isTile(result))
            join(result, value);
  }
}

void TilePlacement::formClasses() {
  auto add = [&](Value value) {
    if (!isTile(value) || isFill(value) || viewOf(value).base != value)
      return;
    values_.push_back(value);
    members_[value] = {unsigned(classes_.size()), false};
    Class &added = classes_.emplace_back();
    added.rows = tileType(value).getDimSize(0);
    added.cols = tileType(value).getDimSize(1);
  };
  kernel_.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (isa<tile::MapOp>(op->getParentOp()))
      return;
    llvm::for_each(op->getResults(), add);
    if (!isa<tile::MapOp, tile::KernelOp>(op))
      for (Region &region : op->getRegions())
        for (Block &block : region)
          llvm::for_each(block.getArguments(), add);
  });
  kernel_.walk<WalkOrder::PreOrder>([&](Operation *op) { joinResults(*op); });
}

// ---- Orientation ----------------------------------------------------------------------------------------------------

void TilePlacement::vote(Value value, bool majorIsCols, int weight) {
  if (isFill(viewOf(value).base))
    return;
  Member member = find(value);
  classes_[member.number].columnVotes += majorIsCols != member.isTransposed ? weight : -weight;
}

/// The first operands of products want their rows along 16; a reduction is cheapest along the other dimension. When the
/// accumulators have their orientation, so do the operands that stand for 16 rows in the product as it will run.
void TilePlacement::voteByUse() {
  constexpr int ofReduction = 1, ofOperand = 2;
  kernel_.walk([&](Operation *op) {
    if (auto reduce = dyn_cast<tile::ReduceOp>(op))
      vote(reduce.getTile(), reduce.getAxis() == 0, ofReduction);
    auto dot = dyn_cast<tile::DotOp>(op);
    if (!dot || !isMatrixProduct(dot))
      return;
    classes_[find(dot.getResult()).number].isAccumulator = true;
    if (!viewOf(dot.getA()).base.getDefiningOp<tile::LoadOp>())
      vote(dot.getA(), dot.getTransposeA(), ofOperand);
  });
  SmallVector<int> decided(llvm::map_range(classes_, [](const Class &c) { return c.columnVotes; }));
  kernel_.walk([&](tile::DotOp dot) {
    if (!isMatrixProduct(dot))
      return;
    Member result = find(dot.getResult());
    bool isSwapped = (decided[result.number] > 0) != result.isTransposed;
    Value first = isSwapped ? dot.getB() : dot.getA();
    if (isFill(viewOf(first).base) || classes_[find(first).number].isAccumulator)
      return;
    vote(first, isSwapped ? !dot.getTransposeB() : dot.getTransposeA(), ofOperand);
  });
}

// ---- Layouts --------------------------------------------------------------------------------------------------------

void TilePlacement::chooseLayouts() {
  for (Class &c : classes_)
    if (c.rows > 1 && c.cols > 1)
      c.layout =
          hasProducts_ ? mmaLayout(c.rows, c.cols, c.columnVotes > 0, warps_) : rowLayout(c.rows, c.cols, warps_);
  adoptNeighbours();
  for (Class &c : classes_)
    if (!c.layout)
      c.layout = rowLayout(c.rows, c.cols, warps_);
}

bool TilePlacement::adopt(Value vector, const Layout &layout) {
  if (isFill(viewOf(vector).base))
    return false;
  Member member = find(vector);
  Class &c = classes_[member.number];
  if (c.layout)
    return false;
  c.layout = member.isTransposed ? layout.transposed() : layout;
  return true;
}

/// A row or column gets the layout of the tile that it was reduced from, or else of one that it broadcasts to.
void TilePlacement::adoptNeighbours() {
  kernel_.walk([&](tile::ReduceOp reduce) {
    Member source = find(reduce.getTile());
    if (classes_[source.number].layout)
      adopt(reduce.getResult(), layoutOf(reduce.getTile()));
  });
  bool isChanged = true;
  while (isChanged) {
    isChanged = false;
    kernel_.walk([&](Operation *op) {
      if (auto reduce = dyn_cast<tile::ReduceOp>(op)) {
        if (classes_[find(reduce.getTile()).number].layout)
          isChanged |= adopt(reduce.getResult(), layoutOf(reduce.getTile()));
      } else if (auto map = dyn_cast<tile::MapOp>(op)) {
        if (classes_[find(map.getResult(0)).number].layout)
          for (Value input : map.getInputs())
            isChanged |= adopt(input, layoutOf(map.getResult(0)));
      } else if (auto gather = dyn_cast<tile::GatherOp>(op)) {
        if (classes_[find(gather.getTile()).number].layout)
          isChanged |= adopt(gather.getIds(), layoutOf(gather.getTile()));
      }
    });
  }
}

Layout TilePlacement::layoutOf(Value tile) const {
  Member member = find(tile);
  const Layout &layout = *classes_[member.number].layout;
  return member.isTransposed ? layout.transposed() : layout;
}

} // namespace oriel::codegen::nvidia
