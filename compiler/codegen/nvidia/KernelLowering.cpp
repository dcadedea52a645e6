// Function frame, control flow and scalars of the lowering. Tile ops are in TileOpLowering.cpp and DotLowering.cpp.
#include "compiler/codegen/nvidia/KernelLowering.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

KernelLowering::KernelLowering(tile::KernelOp kernel, ModuleOp into)
    : ThreadBuilder(kernel, into, threadsPerBlock), shared_(kernel) {}

LogicalResult KernelLowering::run() {
  openFunction();
  if (failed(lowerBlock(kernel_.getBody().front())))
    return failure();
  closeFunction();
  return success();
}

LogicalResult KernelLowering::lowerBlock(Block &block) {
  for (Operation &op : block)
    if (failed(lowerOp(op)))
      return failure();
  return success();
}

LogicalResult KernelLowering::lowerOp(Operation &op) {
  loc_ = op.getLoc();
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](scf::ForOp loop) { return lowerFor(loop); })
      .Case([&](scf::IfOp branch) { return lowerIf(branch); })
      .Case([&](tile::DotOp dot) { return lowerDot(dot); })
      .Case([&](memref::LoadOp load) { return lowerScalarLoad(load), success(); })
      .Case([&](tile::LoadOp o) { return lowerLoad(o), success(); })
      .Case([&](tile::StoreOp o) { return lowerStore(o), success(); })
      .Case([&](tile::GatherOp o) { return lowerGather(o), success(); })
      .Case([&](tile::ScatterAddOp o) { return lowerScatterAdd(o), success(); })
      .Case([&](tile::FillOp o) { return lowerFill(o), success(); })
      .Case([&](tile::MapOp o) { return lowerMap(o), success(); })
      .Case([&](tile::ReduceOp o) { return lowerReduce(o), success(); })
      .Case([&](tile::TransposeOp o) { return lowerTranspose(o), success(); })
      .Case([&](tile::CastOp o) { return lowerCast(o), success(); })
      .Case<tile::ReturnOp, scf::YieldOp>([](Operation *) { return success(); })
      .Default([&](Operation *other) -> LogicalResult {
        if (llvm::any_of(other->getResults(), isTile))
          return other->emitOpError("gives a tile but has no lowering to NVIDIA GPUs");
        builder_.clone(*other, scalars_);
        return success();
      });
}

/// Yielded tiles go to the carried places; a tile that was updated in place is there already.
LogicalResult KernelLowering::lowerYield(ValueRange values, ValueRange targets) {
  for (auto [value, target] : llvm::zip(values, targets)) {
    if (!isTile(value) || shared_.offsetOf(value) == shared_.offsetOf(target))
      continue;
    for (mlir::Value other : values)
      if (other != value && isTile(other) && shared_.offsetOf(other) == shared_.offsetOf(target))
        return emitError(loc_, "tiles that trade places in a loop have no lowering to NVIDIA GPUs");
    copyTile(value, target);
  }
  return success();
}

LogicalResult KernelLowering::lowerFor(scf::ForOp loop) {
  SmallVector<mlir::Value> scalarInits;
  for (auto [init, argument] : llvm::zip(loop.getInitArgs(), loop.getRegionIterArgs()))
    isTile(argument) ? copyTile(init, argument) : scalarInits.push_back(scalar(init));
  auto lowered = scf::ForOp::create(builder_, loop.getLoc(), scalar(loop.getLowerBound()), scalar(loop.getUpperBound()),
                                    scalar(loop.getStep()), scalarInits);
  scalars_.map(loop.getInductionVar(), lowered.getInductionVar());
  unsigned next = 0;
  for (auto [argument, result] : llvm::zip(loop.getRegionIterArgs(), loop.getResults()))
    if (!isTile(argument)) {
      scalars_.map(argument, lowered.getRegionIterArg(next));
      scalars_.map(result, lowered.getResult(next++));
    }
  OpBuilder::InsertionGuard guard(builder_);
  Block *body = lowered.getBody();
  if (scalarInits.empty())
    body->getTerminator()->erase();
  builder_.setInsertionPointToEnd(body);
  auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
  if (failed(lowerBlock(*loop.getBody())) || failed(lowerYield(yield.getResults(), loop.getRegionIterArgs())))
    return failure();
  SmallVector<mlir::Value> scalarResults;
  for (mlir::Value value : yield.getResults())
    if (!isTile(value))
      scalarResults.push_back(scalar(value));
  scf::YieldOp::create(builder_, loop.getLoc(), scalarResults);
  return success();
}

LogicalResult KernelLowering::lowerIf(scf::IfOp branch) {
  SmallVector<Type> types;
  for (mlir::Value result : branch.getResults())
    if (!isTile(result))
      types.push_back(result.getType());
  auto lowered = scf::IfOp::create(builder_, branch.getLoc(), types, scalar(branch.getCondition()),
                                   /*addThenBlock=*/true, /*addElseBlock=*/!branch.getElseRegion().empty());
  unsigned next = 0;
  for (mlir::Value result : branch.getResults())
    if (!isTile(result))
      scalars_.map(result, lowered.getResult(next++));
  for (unsigned side = 0; side < 2; ++side) {
    Region &from = side ? branch.getElseRegion() : branch.getThenRegion();
    if (from.empty())
      continue;
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToEnd(&(side ? lowered.getElseRegion() : lowered.getThenRegion()).front());
    ValueRange yielded = from.front().getTerminator()->getOperands();
    if (failed(lowerBlock(from.front())) || failed(lowerYield(yielded, branch.getResults())))
      return failure();
    SmallVector<mlir::Value> scalarResults;
    for (mlir::Value value : yielded)
      if (!isTile(value))
        scalarResults.push_back(scalar(value));
    scf::YieldOp::create(builder_, branch.getLoc(), scalarResults);
  }
  return success();
}

void KernelLowering::copyTile(mlir::Value from, mlir::Value to) {
  forEachElement(cast<RankedTensorType>(from.getType()), [&](mlir::Value linear, mlir::Value, mlir::Value) {
    storeElement(loadElement(from, linear), to, linear);
  });
  barrier();
}

} // namespace oriel::codegen::nvidia
