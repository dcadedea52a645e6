// Elementwise ops slot by slot; reductions inside a thread, then among lanes by shuffles, then among warps through
// shared memory.
#include "compiler/codegen/nvidia/RegisterLowering.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

/// A fill has no slots: whoever reads it takes the value. Only products need it in memory.
void RegisterLowering::lowerFill(tile::FillOp op) {
  if (!placement_.homeOf(op.getTile()))
    return;
  ArrayRef<int64_t> shape = tileType(op.getTile()).getShape();
  V value = scalar(op.getValue());
  fillHome(op.getTile(), rowLayout(shape[0], shape[1], placement_.warps()), [&](int64_t, int64_t) { return value; });
}

void RegisterLowering::lowerMap(tile::MapOp op) {
  Block &body = op.getBody().front();
  Layout layout = placement_.layoutOf(op.getResult(0));
  ArrayRef<int64_t> shape = tileType(op.getResult(0)).getShape();
  for (V input : op.getInputs())
    prepareRead(input, layout);
  SmallVector<Slots> results(op.getNumResults());
  IRMapping inside(scalars_);
  for (int64_t i = 0; i < layout.rows.slots(shape[0]); ++i)
    for (int64_t j = 0; j < layout.cols.slots(shape[1]); ++j) {
      for (auto [input, argument] : llvm::zip(op.getInputs(), body.getArguments()))
        inside.map(argument, read(input, layout, shape, i, j));
      for (Operation &inner : body.without_terminator()) {
        if (isa<tile::RowOp>(inner))
          inside.map(inner.getResult(0), number(place(layout.rows, shape[0], i)));
        else if (isa<tile::ColOp>(inner))
          inside.map(inner.getResult(0), number(place(layout.cols, shape[1], j)));
        else
          builder_.clone(inner, inside);
      }
      for (auto [value, slots] : llvm::zip(body.getTerminator()->getOperands(), results))
        slots.push_back(inside.lookupOrDefault(value));
    }
  for (auto [result, slots] : llvm::zip(op.getResults(), results))
    define(result, std::move(slots));
}

void RegisterLowering::lowerCast(tile::CastOp op) {
  Layout layout = placement_.layoutOf(op.getResult());
  Type wanted = tileType(op.getResult()).getElementType();
  Slots from, to;
  appendSlots(op.getTile(), layout, from);
  for (V value : from)
    to.push_back(isa<IntegerType>(value.getType()) ? arith::SIToFPOp::create(builder_, loc_, wanted, value).getResult()
                                                   : convertFloat(value, wanted));
  define(op.getResult(), std::move(to));
}

// ---- Reductions -----------------------------------------------------------------------------------------------------

V RegisterLowering::combine(tile::ReduceKind kind, V a, V b) {
  bool isReal = isa<FloatType>(a.getType());
  switch (kind) {
  case tile::ReduceKind::Sum:
    return isReal ? arith::AddFOp::create(builder_, loc_, a, b).getResult() : add(a, b);
  case tile::ReduceKind::Max:
    return isReal ? arith::MaxNumFOp::create(builder_, loc_, a, b).getResult()
                  : arith::MaxSIOp::create(builder_, loc_, a, b).getResult();
  case tile::ReduceKind::Min:
    return isReal ? arith::MinNumFOp::create(builder_, loc_, a, b).getResult()
                  : arith::MinSIOp::create(builder_, loc_, a, b).getResult();
  }
  llvm_unreachable("all kinds of reduction are handled");
}

static constexpr int64_t wholeWarp = 0x1f;

V RegisterLowering::shuffle(V value, int64_t laneMask) {
  return NVVM::ShflOp::create(builder_, loc_, value.getType(), i32(-1), value, i32(laneMask), i32(wholeWarp),
                              NVVM::ShflKind::bfly, UnitAttr());
}

V RegisterLowering::uniform(V value) {
  return NVVM::ShflOp::create(builder_, loc_, value.getType(), i32(-1), value, i32(0), i32(wholeWarp),
                              NVVM::ShflKind::idx, UnitAttr());
}

LogicalResult RegisterLowering::lowerReduce(tile::ReduceOp op) {
  Layout layout = placement_.layoutOf(op.getTile()), result = placement_.layoutOf(op.getResult());
  ArrayRef<int64_t> shape = tileType(op.getTile()).getShape(), reduced = tileType(op.getResult()).getShape();
  if (tileType(op.getTile()).getElementTypeBitWidth() != 32)
    return op.emitOpError("reduces elements of 16 bits, which have no lowering to NVIDIA GPUs; cast to f32 first");
  bool alongRows = op.getAxis() == 0;
  const LayoutDim &along = alongRows ? layout.rows : layout.cols, &across = alongRows ? layout.cols : layout.rows;
  int64_t size = shape[alongRows ? 0 : 1], others = shape[alongRows ? 1 : 0];
  Slots partial;
  for (int64_t o = 0; o < across.slots(others); ++o) {
    auto at = [&](int64_t k) { return alongRows ? slot(op.getTile(), k, o) : slot(op.getTile(), o, k); };
    V value = at(0);
    for (int64_t k = 1; k < along.slots(size); ++k)
      value = combine(op.getKind(), value, at(k));
    for (int64_t lanes = 1; lanes < along.lanes && size > 1; lanes *= 2)
      value = combine(op.getKind(), value, shuffle(value, lanes * along.laneStep));
    partial.push_back(value);
  }
  if (along.warps > 1 && size > 1)
    exchangeAcrossWarps(op, along, across, others, partial);
  if (isReadableIn(layout, reduced[0], reduced[1], result)) {
    define(op.getResult(), std::move(partial));
    return success();
  }
  fillHome(op.getResult(), layout, [&](int64_t i, int64_t j) { return partial[alongRows ? j : i]; });
  readResource(homeResource(op.getResult()));
  Slots moved;
  for (int64_t i = 0; i < result.rows.slots(reduced[0]); ++i)
    for (int64_t j = 0; j < result.cols.slots(reduced[1]); ++j)
      moved.push_back(
          loadVector(homePointer(op.getResult(), place(result.rows, reduced[0], i), place(result.cols, reduced[1], j)),
                     tileType(op.getResult()).getElementType(), 1));
  registers_[op.getResult()] = std::move(moved);
  return success();
}

/// One row of shared memory for each warp along the reduced dimension; all add them up in the same order.
void RegisterLowering::exchangeAcrossWarps(tile::ReduceOp op, const LayoutDim &along, const LayoutDim &across,
                                           int64_t acrossSize, Slots &partial) {
  Type element = partial[0].getType();
  Resource rows{0, placement_.exchangeOffset(), placement_.exchangeOffset() + along.warps * acrossSize * 4};
  auto pointer = [&](V warp, size_t o) {
    Coordinate at = place(across, acrossSize, o);
    V first = sharedPointer(mul(add(mul(warp, i32(acrossSize)), at.dynamic), i32(4)));
    return gep(builder_.getI8Type(), first, i32(rows.begin + at.constant * 4));
  };
  beginWrite(rows);
  {
    V isFirst = compare(arith::CmpIPredicate::eq, laneIndex(along), i32(0));
    V owner = isOwner(placement_.layoutOf(op.getTile()), tileType(op.getTile()).getShape());
    auto branch = scf::IfOp::create(builder_, loc_, owner ? both(isFirst, owner) : isFirst, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToStart(&branch.getThenRegion().front());
    for (size_t o = 0; o < partial.size(); ++o)
      LLVM::StoreOp::create(builder_, loc_, partial[o], pointer(warpIndex(along), o));
  }
  hazards_.addWrite(rows);
  readResource(rows);
  for (size_t o = 0; o < partial.size(); ++o) {
    partial[o] = loadVector(pointer(i32(0), o), element, 1);
    for (int64_t warp = 1; warp < along.warps; ++warp)
      partial[o] = combine(op.getKind(), partial[o], loadVector(pointer(i32(warp), o), element, 1));
  }
}

} // namespace oriel::codegen::nvidia
