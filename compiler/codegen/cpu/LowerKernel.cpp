// tile.kernel → one function. Walks the body in order: scalars are cloned, control flow is built anew without tiles
// (they live in scratch; what a loop or branch hands on is in place or copied), tile ops go to their lowerings.
#include "compiler/codegen/cpu/Lowering.h"
#include "compiler/codegen/cpu/VectorMath.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace oriel::codegen {

namespace {

class KernelLowering {
public:
  KernelLowering(Lowering &low) : low_(low), v_(low.v) {}

  LogicalResult lowerBlock(Block &block) {
    for (Operation &op : block.without_terminator())
      if (failed(lowerOp(op)))
        return failure();
    return success();
  }

private:
  static bool isTile(Value value) { return tile::hasTileShape(value.getType()); }

  LogicalResult lowerOp(Operation &op);
  LogicalResult lowerScalarOp(Operation &op);
  LogicalResult lowerFor(scf::ForOp loop);
  LogicalResult lowerIf(scf::IfOp branch);
  SmallVector<Value> scalarsOf(ValueRange values);
  void handOn(Operation *from, ValueRange sources, ValueRange targets);

  Lowering &low_;
  VectorBuilder &v_;
};

LogicalResult KernelLowering::lowerOp(Operation &op) {
  v_.setLoc(op.getLoc());
  return TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](tile::LoadOp load) { return lowerLoad(low_, load), success(); })
      .Case([&](tile::StoreOp store) { return lowerStore(low_, store), success(); })
      .Case([&](tile::GatherOp gather) { return lowerGather(low_, gather), success(); })
      .Case([&](tile::ScatterAddOp scatter) { return lowerScatterAdd(low_, scatter), success(); })
      .Case([&](tile::DotOp dot) { return lowerDot(low_, dot), success(); })
      .Case([&](tile::MapOp map) { return lowerMap(low_, map); })
      .Case([&](tile::FillOp fill) { return lowerFill(low_, fill), success(); })
      .Case([&](tile::CastOp cast) { return lowerCast(low_, cast), success(); })
      .Case([&](tile::ReduceOp reduce) { return lowerReduce(low_, reduce); })
      .Case([&](tile::TransposeOp transpose) {
        transposeTile(low_, low_.tile(transpose.getTile()), low_.tile(transpose.getResult()));
        return success();
      })
      .Case([&](memref::LoadOp load) { return lowerScalarLoad(low_, load), success(); })
      .Case([&](scf::ForOp loop) { return lowerFor(loop); })
      .Case([&](scf::IfOp branch) { return lowerIf(branch); })
      .Default([&](Operation *other) { return lowerScalarOp(*other); });
}

/// arith is cloned; math on one f32 takes the vector form, so that nothing calls a library.
LogicalResult KernelLowering::lowerScalarOp(Operation &op) {
  StringRef dialect = op.getName().getDialectNamespace();
  if (dialect == "arith" && op.getNumRegions() == 0) {
    v_.builder().clone(op, low_.scalars);
    return success();
  }
  if (dialect == "math" && op.getNumOperands() == 1 && op.getResult(0).getType().isF32()) {
    Value x = v_.splat(low_.scalar(op.getOperand(0)), 1);
    if (Value y = emitMath(v_, op.getName().getStringRef(), x)) {
      low_.scalars.map(op.getResult(0), v_.extract(y, 0));
      return success();
    }
  }
  return op.emitError() << "the CPU code generator does not know " << op.getName() << " here";
}

/// The values of the non-tile ones among `values`.
SmallVector<Value> KernelLowering::scalarsOf(ValueRange values) {
  SmallVector<Value> scalars;
  for (Value value : values)
    if (!isTile(value))
      scalars.push_back(low_.scalar(value));
  return scalars;
}

/// Moves each tile of `sources` to the place of its target, unless it is there already. Tiles that change places among
/// each other go through the temporary of `from`.
void KernelLowering::handOn(Operation *from, ValueRange sources, ValueRange targets) {
  struct Move {
    Tile source, target;
  };
  SmallVector<Move> moves;
  int64_t used = 0;
  bool throughTemporary = temporaryBytes(from) > 0;
  for (auto [source, target] : llvm::zip(sources, targets)) {
    if (!isTile(source) || low_.plan().sharePlace(source, target))
      continue;
    Tile tile = low_.tile(source);
    if (throughTemporary && isa<BlockArgument>(source) && source.getParentBlock() == from->getBlock()) {
      Tile saved = low_.scratchTile(low_.plan().temporary(from) + used, tile.rows, tile.cols, tile.at.element);
      used += llvm::alignTo(tileBytes(source), 64);
      copyTile(low_, tile, saved);
      tile = saved;
    }
    moves.push_back({tile, low_.tile(target)});
  }
  for (const Move &move : moves)
    copyTile(low_, move.source, move.target);
}

LogicalResult KernelLowering::lowerFor(scf::ForOp loop) {
  OpBuilder &b = v_.builder();
  handOn(loop, loop.getInitArgs(), loop.getRegionIterArgs());
  auto lowered =
      scf::ForOp::create(b, loop.getLoc(), low_.scalar(loop.getLowerBound()), low_.scalar(loop.getUpperBound()),
                         low_.scalar(loop.getStep()), scalarsOf(loop.getInitArgs()));
  auto mapScalars = [&](ValueRange from, ValueRange to) {
    size_t next = 0;
    for (Value value : from)
      if (!isTile(value))
        low_.scalars.map(value, to[next++]);
  };
  low_.scalars.map(loop.getInductionVar(), lowered.getInductionVar());
  mapScalars(loop.getRegionIterArgs(), lowered.getRegionIterArgs());

  OpBuilder::InsertionGuard guard(b);
  if (!lowered.getBody()->empty())
    lowered.getBody()->back().erase();
  b.setInsertionPointToEnd(lowered.getBody());
  if (failed(lowerBlock(*loop.getBody())))
    return failure();
  Operation *yield = loop.getBody()->getTerminator();
  handOn(yield, yield->getOperands(), loop.getRegionIterArgs());
  scf::YieldOp::create(b, loop.getLoc(), scalarsOf(yield->getOperands()));
  mapScalars(loop.getResults(), lowered.getResults());
  return success();
}

LogicalResult KernelLowering::lowerIf(scf::IfOp branch) {
  OpBuilder &b = v_.builder();
  SmallVector<Type> types;
  for (Value result : branch.getResults())
    if (!isTile(result))
      types.push_back(result.getType());
  bool hasElse = branch.elseBlock() != nullptr;
  auto lowered = scf::IfOp::create(b, branch.getLoc(), types, low_.scalar(branch.getCondition()),
                                   /*addThenBlock=*/true, /*addElseBlock=*/hasElse);
  auto lowerSide = [&](Block &from, Block &to) -> LogicalResult {
    OpBuilder::InsertionGuard guard(b);
    to.clear();
    b.setInsertionPointToEnd(&to);
    if (failed(lowerBlock(from)))
      return failure();
    Operation *yield = from.getTerminator();
    handOn(yield, yield->getOperands(), branch.getResults());
    scf::YieldOp::create(b, branch.getLoc(), scalarsOf(yield->getOperands()));
    return success();
  };
  if (failed(lowerSide(*branch.thenBlock(), *lowered.thenBlock())) ||
      (hasElse && failed(lowerSide(*branch.elseBlock(), *lowered.elseBlock()))))
    return failure();
  size_t next = 0;
  for (Value result : branch.getResults())
    if (!isTile(result))
      low_.scalars.map(result, lowered.getResult(next++));
  return success();
}

/// void symbol(void *const *args, int64_t x, int64_t y, int64_t z, void *scratch)
LLVM::LLVMFuncOp createFunction(tile::KernelOp kernel, OpBuilder &b) {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Type i64 = b.getI64Type();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {pointer, i64, i64, i64, pointer});
  auto function = LLVM::LLVMFuncOp::create(b, kernel.getLoc(), kernel.getSymName(), type);
  function.setArgAttr(0, LLVM::LLVMDialect::getReadonlyAttrName(), b.getUnitAttr());
  function.setArgAttr(4, LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr());
  return function;
}

} // namespace

LogicalResult lowerKernel(tile::KernelOp kernel, const ScratchPlan &plan, const CpuTarget &target, OpBuilder &builder) {
  LLVM::LLVMFuncOp function = createFunction(kernel, builder);
  OpBuilder::InsertionGuard guard(builder);
  Block *entry = function.addEntryBlock(builder);
  builder.setInsertionPointToStart(entry);
  Lowering low(VectorBuilder(builder, kernel.getLoc(), target), plan, entry->getArgument(4));
  Pointer arguments{entry->getArgument(0), entry->getArgument(0).getType(), 0};
  for (auto [number, buffer] : llvm::enumerate(kernel.getBuffers())) {
    Pointer slot = low.v.advance(arguments, static_cast<int64_t>(number));
    low.scalars.map(buffer, LLVM::LoadOp::create(builder, kernel.getLoc(), slot.element, slot.base, 8).getResult());
  }
  for (int dim = 0; dim < 3; ++dim)
    low.scalars.map(kernel.getGridIndex(dim), low.v.toIndex(entry->getArgument(1 + dim)));
  if (failed(KernelLowering(low).lowerBlock(kernel.getBody().front())))
    return failure();
  LLVM::ReturnOp::create(builder, kernel.getLoc(), ValueRange());
  return success();
}

} // namespace oriel::codegen
