// Loops whose copies run ahead. Every staged home has a place for each of `stages` iterations; iteration i works on
// stage i mod stages and starts the copies of iteration i + stages - 1:
//
//   start the copies of iterations 0 … stages-2, a group each
//   for i:   wait until at most stages-2 groups are in flight: those of iteration i have landed
//            barrier: everyone's have, and nobody reads the stage of iteration i-1 any more
//            start the copies of iteration i + stages - 1 into that stage: one group, empty past the last iteration
//            the body, which finds its loads there
//
// Copies by TMA are no groups: a stage has an mbarrier, each use of the stage is a phase of it, and iteration i waits for
// the phase of its stage, whose parity turns over when the stages have gone round. Where the loop runs many times, it
// goes on with the stage and the parity where it ended.
#include "compiler/codegen/nvidia/Pipelining.h"
#include "compiler/codegen/nvidia/RegisterLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

/// Makes the homes of `pipeline` stand for stage number `stage`, i32.
void RegisterLowering::enterStage(const Pipeline &pipeline, V stage) {
  for (tile::LoadOp load : pipeline.loads)
    stageOffsets_[load.getTile()] = mul(stage, i32(placement_.homeOf(load.getTile())->stageBytes()));
}

static bool isCopiedByTma(const TilePlacement &placement, tile::LoadOp load) {
  return placement.tensorCopyOf(load.getTile()) != nullptr;
}

static bool hasTensorCopies(const TilePlacement &placement, const Pipeline &pipeline) {
  return llvm::any_of(pipeline.loads, [&](tile::LoadOp load) { return isCopiedByTma(placement, load); });
}

static bool hasGroups(const TilePlacement &placement, const Pipeline &pipeline) {
  return llvm::any_of(pipeline.loads, [&](tile::LoadOp load) { return !isCopiedByTma(placement, load); });
}

RegisterLowering::StageCursor RegisterLowering::next(const Pipeline &pipeline, StageCursor cursor) {
  auto isLast = [&] { return compare(arith::CmpIPredicate::eq, cursor.stage, i32(pipeline.stages - 1)); };
  StageCursor after{arith::SelectOp::create(builder_, loc_, isLast(), i32(0), add(cursor.stage, i32(1))), V()};
  if (cursor.parity) {
    V turned = arith::XOrIOp::create(builder_, loc_, cursor.parity, i32(1));
    after.parity = arith::SelectOp::create(builder_, loc_, isLast(), turned, cursor.parity);
  }
  return after;
}

/// What a loop carries from iteration to iteration beside its own values.
static void carry(RegisterLowering::StageCursor cursor, SmallVectorImpl<V> &values) {
  values.push_back(cursor.stage);
  if (cursor.parity)
    values.push_back(cursor.parity);
}

static RegisterLowering::StageCursor carried(ValueRange values, bool hasParity) {
  return hasParity ? RegisterLowering::StageCursor{values[values.size() - 2], values.back()}
                   : RegisterLowering::StageCursor{values.back(), V()};
}

/// Where the loop begins: at the first stage, or where it ended the last time, if its mbarriers remember that.
RegisterLowering::StageCursor RegisterLowering::openCursor(const Pipeline &pipeline) {
  if (!hasTensorCopies(placement_, pipeline))
    return {i32(0), V()};
  StageCursor &kept = cursors_[&pipeline];
  kept = {variable(0), variable(0)};
  auto read = [&](V kept) -> V { return LLVM::LoadOp::create(builder_, loc_, builder_.getI32Type(), kept); };
  return {read(kept.stage), read(kept.parity)};
}

void RegisterLowering::closeCursor(const Pipeline &pipeline, StageCursor cursor) {
  auto kept = cursors_.find(&pipeline);
  if (kept == cursors_.end())
    return;
  LLVM::StoreOp::create(builder_, loc_, cursor.stage, kept->second.stage);
  LLVM::StoreOp::create(builder_, loc_, cursor.parity, kept->second.parity);
}

/// What iteration `cursor` reads has landed, for this thread.
void RegisterLowering::waitForIteration(const Pipeline &pipeline, StageCursor cursor) {
  if (cursor.parity)
    waitForPhase(mbarrierPointer(pipeline.firstMbarrier, cursor.stage), cursor.parity);
}

/// The copies of the iteration whose counter is `counter`, if there is one; those by cp.async are one group.
void RegisterLowering::startIteration(scf::ForOp loop, const Pipeline &pipeline, V counter, V stage) {
  {
    OpBuilder::InsertionGuard guard(builder_);
    V exists = compare(arith::CmpIPredicate::slt, counter, scalar(loop.getUpperBound()));
    auto branch = scf::IfOp::create(builder_, loc_, exists, /*withElseRegion=*/false);
    builder_.setInsertionPointToStart(&branch.getThenRegion().front());
    IRMapping outside = scalars_;
    scalars_.map(loop.getInductionVar(), counter);
    for (Operation *op : makersOfPlaces(loop, pipeline.loads))
      builder_.clone(*op, scalars_);
    enterStage(pipeline, stage);
    SmallVector<tile::LoadOp> tensorCopies;
    for (tile::LoadOp load : pipeline.loads) {
      loc_ = load.getLoc();
      isCopiedByTma(placement_, load) ? tensorCopies.push_back(load) : copyPieces(load);
    }
    if (!tensorCopies.empty())
      startTensorCopies(tensorCopies, mbarrierPointer(pipeline.firstMbarrier, stage));
    scalars_ = outside;
  }
  if (hasGroups(placement_, pipeline))
    NVVM::CpAsyncCommitGroupOp::create(builder_, loc_);
}

LogicalResult RegisterLowering::lowerPipelined(scf::ForOp loop, const Pipeline &pipeline) {
  loc_ = loop.getLoc();
  waitForAllProducts();
  // From here on groups are counted, and a stage's place may have held something else. Single copies by TMA go on.
  Ordering before = hazards_.beforeAll();
  apply({before.barrier, before.waitGroups});
  hazards_ = Hazards();
  int64_t stages = pipeline.stages;
  V lower = scalar(loop.getLowerBound()), step = scalar(loop.getStep());
  auto ahead = [&](V counter, int64_t iterations) {
    V count = arith::ConstantIndexOp::create(builder_, loc_, iterations);
    return add(counter, mul(step, count));
  };
  StageCursor first = openCursor(pipeline), start = first;
  for (int64_t iteration = 0; iteration + 1 < stages; ++iteration, start = next(pipeline, start))
    startIteration(loop, pipeline, ahead(lower, iteration), start.stage);
  apply({.mbarriers = before.mbarriers});
  Slots inits = flatten(loop.getInitArgs(), loop.getRegionIterArgs());
  carry(first, inits);
  auto lowered = scf::ForOp::create(builder_, loc_, lower, scalar(loop.getUpperBound()), step, inits);
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(lowered.getBody());
  ValueRange arguments(lowered.getRegionIterArgs());
  bool hasParity = first.parity != nullptr;
  StageCursor cursor = carried(arguments, hasParity);
  auto isFirst = [&] { return compare(arith::CmpIPredicate::eq, cursor.stage, i32(0)); };
  V last = arith::SelectOp::create(builder_, loc_, isFirst(), i32(stages - 1), add(cursor.stage, i32(-1)));
  StageCursor after = next(pipeline, cursor);
  waitForIteration(pipeline, cursor);
  apply({/*barrier=*/true, /*waitGroups=*/hasGroups(placement_, pipeline) ? static_cast<int>(stages - 2) : -1});
  startIteration(loop, pipeline, ahead(lowered.getInductionVar(), stages - 1), last);
  enterStage(pipeline, cursor.stage);
  scalars_.map(loop.getInductionVar(), lowered.getInductionVar());
  unflatten(loop.getRegionIterArgs(), arguments.drop_back(hasParity ? 2 : 1));
  if (failed(lowerBlock(*loop.getBody())))
    return failure();
  waitForAllProducts();
  Slots yielded = flatten(loop.getBody()->getTerminator()->getOperands(), loop.getRegionIterArgs());
  carry(after, yielded);
  scf::YieldOp::create(builder_, loc_, yielded);
  builder_.setInsertionPointAfter(lowered);
  ValueRange results(lowered.getResults());
  closeCursor(pipeline, carried(results, hasParity));
  unflatten(loop.getResults(), results.drop_back(hasParity ? 2 : 1));
  return success();
}

} // namespace oriel::codegen::nvidia
