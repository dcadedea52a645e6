// Control flow, and how the slots of tiles pass through it.
#include "compiler/codegen/nvidia/RegisterLowering.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

RegisterLowering::RegisterLowering(tile::KernelOp kernel, ModuleOp into, const TilePlacement &placement)
    : ThreadBuilder(kernel, into, placement.warps() * 32), placement_(placement) {}

LogicalResult RegisterLowering::run() {
  openFunction(placement_.tensorMaps().size());
  initMbarriers();
  if (failed(lowerBlock(kernel_.getBody().front())))
    return failure();
  waitForAllProducts();
  apply({.mbarriers = hazards_.beforeAll().mbarriers}); // shared memory will be another block's
  closeFunction();
  return success();
}

LogicalResult RegisterLowering::lowerBlock(Block &block) {
  for (Operation &op : block)
    if (failed(lowerOp(op)))
      return failure();
  return success();
}

LogicalResult RegisterLowering::lowerOp(Operation &op) {
  loc_ = op.getLoc();
  readsOfOp_.clear();
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](scf::ForOp o) { return lowerFor(o); })
      .Case([&](scf::IfOp o) { return lowerIf(o); })
      .Case([&](memref::LoadOp o) {
        readResource(bufferResource(o.getMemRef()));
        return lowerScalarLoad(o), success();
      })
      .Case([&](tile::LoadOp o) { return lowerLoad(o), success(); })
      .Case([&](tile::StoreOp o) { return lowerStore(o), success(); })
      .Case([&](tile::GatherOp o) { return lowerGather(o), success(); })
      .Case([&](tile::ScatterAddOp o) { return lowerScatterAdd(o), success(); })
      .Case([&](tile::FillOp o) { return lowerFill(o), success(); })
      .Case([&](tile::MapOp o) { return lowerMap(o), success(); })
      .Case([&](tile::CastOp o) { return lowerCast(o), success(); })
      .Case([&](tile::ReduceOp o) { return lowerReduce(o); })
      .Case([&](tile::DotOp o) { return lowerDot(o), success(); })
      .Case<tile::TransposeOp, tile::ReturnOp, scf::YieldOp>([](Operation *) { return success(); })
      .Default([&](Operation *other) -> LogicalResult {
        if (llvm::any_of(other->getResults(), isTile))
          return other->emitOpError("gives a tile but has no lowering to NVIDIA GPUs");
        builder_.clone(*other, scalars_);
        return success();
      });
}

// ---- Slots ----------------------------------------------------------------------------------------------------------

V RegisterLowering::slot(V tile, int64_t i, int64_t j) {
  TileView view = viewOf(tile);
  if (auto fill = view.base.getDefiningOp<tile::FillOp>())
    return scalar(fill.getValue());
  if (view.isTransposed)
    std::swap(i, j);
  waitForProduct(view.base);
  int64_t columns = placement_.layoutOf(view.base).cols.slots(shapeOf(view.base)[1]);
  return registers_.find(view.base)->second[i * columns + j];
}

void RegisterLowering::prepareRead(V tile, const Layout &layout) {
  V base = viewOf(tile).base;
  bool isHere = base.getDefiningOp<tile::FillOp>() ||
                isReadableIn(placement_.layoutOf(tile), shapeOf(tile)[0], shapeOf(tile)[1], layout);
  if (!isHere)
    readResource(homeResource(base));
}

V RegisterLowering::read(V tile, const Layout &layout, ArrayRef<int64_t> shape, int64_t i, int64_t j) {
  TileView view = viewOf(tile);
  ArrayRef<int64_t> own = shapeOf(tile);
  if (view.base.getDefiningOp<tile::FillOp>() || isReadableIn(placement_.layoutOf(tile), own[0], own[1], layout))
    return slot(tile, own[0] == 1 ? 0 : i, own[1] == 1 ? 0 : j);
  Coordinate row = own[0] == 1 ? Coordinate{i32(0)} : place(layout.rows, shape[0], i);
  Coordinate col = own[1] == 1 ? Coordinate{i32(0)} : place(layout.cols, shape[1], j);
  if (view.isTransposed)
    std::swap(row, col);
  Type element = cast<RankedTensorType>(tile.getType()).getElementType();
  return LLVM::LoadOp::create(builder_, loc_, element, homePointer(view.base, row, col));
}

void RegisterLowering::define(V tile, Slots slots) {
  Slots &own = registers_[tile] = std::move(slots);
  if (!placement_.homeOf(tile))
    return;
  Layout layout = placement_.layoutOf(tile);
  int64_t columns = layout.cols.slots(shapeOf(tile)[1]);
  fillHome(tile, layout, [&](int64_t i, int64_t j) { return own[i * columns + j]; });
}

void RegisterLowering::appendSlots(V tile, const Layout &layout, Slots &into) {
  ArrayRef<int64_t> shape = shapeOf(tile);
  for (int64_t i = 0; i < layout.rows.slots(shape[0]); ++i)
    for (int64_t j = 0; j < layout.cols.slots(shape[1]); ++j)
      into.push_back(slot(tile, i, j));
}

/// The lowered values of `values`; a tile becomes its slots, in the layout of its counterpart in `layouts`.
RegisterLowering::Slots RegisterLowering::flatten(ValueRange values, ValueRange layouts) {
  Slots flat;
  for (auto [value, counterpart] : llvm::zip(values, layouts))
    if (isTile(value))
      appendSlots(value, placement_.layoutOf(counterpart), flat);
    else
      flat.push_back(scalar(value));
  return flat;
}

void RegisterLowering::unflatten(ValueRange values, ValueRange flat) {
  size_t next = 0;
  for (V value : values) {
    if (!isTile(value)) {
      scalars_.map(value, flat[next++]);
      continue;
    }
    size_t count = placement_.layoutOf(value).slots(shapeOf(value)[0], shapeOf(value)[1]);
    define(value, Slots(flat.slice(next, count)));
    next += count;
  }
}

// ---- Control flow ---------------------------------------------------------------------------------------------------

/// The next iteration may touch what this one did, so an iteration ends ordered with everything.
LogicalResult RegisterLowering::lowerFor(scf::ForOp loop) {
  waitForAllProducts(); // a wait inside would not be known outside
  if (const Pipeline *pipeline = placement_.pipelineOf(loop))
    return lowerPipelined(loop, *pipeline);
  Slots inits = flatten(loop.getInitArgs(), loop.getRegionIterArgs());
  auto lowered = scf::ForOp::create(builder_, loop.getLoc(), scalar(loop.getLowerBound()), scalar(loop.getUpperBound()),
                                    scalar(loop.getStep()), inits);
  Hazards before = hazards_;
  {
    OpBuilder::InsertionGuard guard(builder_);
    Block *body = lowered.getBody();
    if (inits.empty())
      body->getTerminator()->erase();
    builder_.setInsertionPointToEnd(body);
    scalars_.map(loop.getInductionVar(), lowered.getInductionVar());
    unflatten(loop.getRegionIterArgs(), lowered.getRegionIterArgs());
    if (failed(lowerBlock(*loop.getBody())))
      return failure();
    waitForAllProducts();
    Slots yielded = flatten(loop.getBody()->getTerminator()->getOperands(), loop.getRegionIterArgs());
    apply(hazards_.beforeAll());
    scf::YieldOp::create(builder_, loop.getLoc(), yielded);
  }
  hazards_ = before; // the loop may have run no iteration
  unflatten(loop.getResults(), lowered.getResults());
  return success();
}

LogicalResult RegisterLowering::lowerIf(scf::IfOp branch) {
  waitForAllProducts();
  SmallVector<Type> types;
  for (V result : branch.getResults()) {
    auto tile = dyn_cast<RankedTensorType>(result.getType());
    size_t count = tile ? placement_.layoutOf(result).slots(tile.getDimSize(0), tile.getDimSize(1)) : 1;
    types.append(count, tile ? tile.getElementType() : result.getType());
  }
  bool hasElse = !branch.getElseRegion().empty();
  auto lowered =
      scf::IfOp::create(builder_, branch.getLoc(), types, scalar(branch.getCondition()), /*addThenBlock=*/true,
                        /*addElseBlock=*/hasElse);
  Hazards before = hazards_, after = hazards_;
  for (unsigned side = 0; side < (hasElse ? 2u : 1u); ++side) {
    OpBuilder::InsertionGuard guard(builder_);
    Region &from = side ? branch.getElseRegion() : branch.getThenRegion();
    builder_.setInsertionPointToEnd(&(side ? lowered.getElseRegion() : lowered.getThenRegion()).front());
    hazards_ = before;
    if (failed(lowerBlock(from.front())))
      return failure();
    waitForAllProducts();
    Slots yielded = flatten(from.front().getTerminator()->getOperands(), branch.getResults());
    apply(hazards_.beforeLeavingBranch(before));
    scf::YieldOp::create(builder_, branch.getLoc(), yielded);
    after.mergeWith(hazards_);
  }
  hazards_ = after;
  unflatten(branch.getResults(), lowered.getResults());
  return success();
}

} // namespace oriel::codegen::nvidia
