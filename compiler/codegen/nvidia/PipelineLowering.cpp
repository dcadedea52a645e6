// Loops whose copies run ahead. Every staged home has a place for each of `stages` iterations; iteration i works on
// stage i mod stages and starts the copies of iteration i + stages - 1:
//
//   start the copies of iterations 0 … stages-2, a group each
//   for i:   wait until at most stages-2 groups are in flight: those of iteration i have landed
//            barrier: everyone's have, and nobody reads the stage of iteration i-1 any more
//            start the copies of iteration i + stages - 1 into that stage: one group, empty past the last iteration
//            the body, which finds its loads there
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

/// One group of copies: those of the iteration whose counter is `counter`, if there is one.
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
    for (tile::LoadOp load : pipeline.loads) {
      loc_ = load.getLoc();
      copyPieces(load);
    }
    scalars_ = outside;
  }
  NVVM::CpAsyncCommitGroupOp::create(builder_, loc_);
}

LogicalResult RegisterLowering::lowerPipelined(scf::ForOp loop, const Pipeline &pipeline) {
  loc_ = loop.getLoc();
  waitForAllProducts();
  // From here on groups are counted, and a stage's place may have held something else.
  apply(hazards_.beforeAll());
  hazards_ = Hazards();
  int64_t stages = pipeline.stages;
  V lower = scalar(loop.getLowerBound()), step = scalar(loop.getStep());
  auto ahead = [&](V counter, int64_t iterations) {
    V count = arith::ConstantIndexOp::create(builder_, loc_, iterations);
    return add(counter, mul(step, count));
  };
  for (int64_t stage = 0; stage + 1 < stages; ++stage)
    startIteration(loop, pipeline, ahead(lower, stage), i32(stage));
  Slots inits = flatten(loop.getInitArgs(), loop.getRegionIterArgs());
  inits.push_back(i32(0));
  auto lowered = scf::ForOp::create(builder_, loc_, lower, scalar(loop.getUpperBound()), step, inits);
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(lowered.getBody());
  V stage = lowered.getRegionIterArgs().back();
  auto isStage = [&](int64_t number) { return compare(arith::CmpIPredicate::eq, stage, i32(number)); };
  V before = arith::SelectOp::create(builder_, loc_, isStage(0), i32(stages - 1), add(stage, i32(-1)));
  V next = arith::SelectOp::create(builder_, loc_, isStage(stages - 1), i32(0), add(stage, i32(1)));
  apply({/*barrier=*/true, /*waitGroups=*/static_cast<int>(stages - 2)});
  startIteration(loop, pipeline, ahead(lowered.getInductionVar(), stages - 1), before);
  enterStage(pipeline, stage);
  scalars_.map(loop.getInductionVar(), lowered.getInductionVar());
  unflatten(loop.getRegionIterArgs(), ValueRange(lowered.getRegionIterArgs()).drop_back());
  if (failed(lowerBlock(*loop.getBody())))
    return failure();
  waitForAllProducts();
  Slots yielded = flatten(loop.getBody()->getTerminator()->getOperands(), loop.getRegionIterArgs());
  yielded.push_back(next);
  scf::YieldOp::create(builder_, loc_, yielded);
  builder_.setInsertionPointAfter(lowered);
  unflatten(loop.getResults(), ValueRange(lowered.getResults()).drop_back());
  return success();
}

} // namespace oriel::codegen::nvidia
