// Tile ops as loops over elements: element i of a tile belongs to thread i mod 128.
#include "compiler/codegen/nvidia/KernelLowering.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

// ---- Small emitters -------------------------------------------------------------------------------------------------

void KernelLowering::forEachElement(RankedTensorType type, PerElement body) {
  V count = i32(type.getNumElements()), columns = i32(type.getDimSize(1));
  auto loop = scf::ForOp::create(builder_, loc_, thread_, count, i32(threadsPerBlock));
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToStart(loop.getBody());
  V linear = loop.getInductionVar();
  body(linear, arith::DivUIOp::create(builder_, loc_, linear, columns),
       arith::RemUIOp::create(builder_, loc_, linear, columns));
}

V KernelLowering::elementPointer(V tile, V linear) {
  Type element = tileType(tile).getElementType();
  auto type = LLVM::LLVMPointerType::get(builder_.getContext(), 3);
  V base = LLVM::GEPOp::create(builder_, loc_, type, builder_.getI8Type(), sharedBase_,
                               ArrayRef<LLVM::GEPArg>{int32_t(shared_.offsetOf(tile))});
  return LLVM::GEPOp::create(builder_, loc_, type, element, base, ValueRange{linear});
}

V KernelLowering::loadElement(V tile, V linear) {
  return LLVM::LoadOp::create(builder_, loc_, tileType(tile).getElementType(), elementPointer(tile, linear));
}

/// The element that (row, col) of a larger shape sees: sizes of 1 stretch.
V KernelLowering::loadBroadcast(V tile, V row, V col) {
  RankedTensorType type = tileType(tile);
  V linear = type.getDimSize(0) == 1 ? i32(0) : mul(row, i32(type.getDimSize(1)));
  return loadElement(tile, type.getDimSize(1) == 1 ? linear : add(linear, col));
}

void KernelLowering::storeElement(V value, V tile, V linear) {
  LLVM::StoreOp::create(builder_, loc_, value, elementPointer(tile, linear));
}

std::pair<V, V> KernelLowering::bufferElement(V buffer, OperandRange indices, V rowBegin, V rowEnd, int64_t rowDim,
                                              int64_t colDim, std::optional<uint64_t> colLimit, int64_t colStride,
                                              V row, V col) {
  auto type = cast<MemRefType>(buffer.getType());
  V inside = arith::ConstantIntOp::create(builder_, loc_, 1, 1), linear = i64(0);
  auto require = [&](arith::CmpIPredicate predicate, V a, V b) {
    V holds = arith::CmpIOp::create(builder_, loc_, predicate, a, b);
    inside = arith::AndIOp::create(builder_, loc_, inside, holds);
  };
  for (auto [dim, size] : llvm::enumerate(type.getShape())) {
    V at = toI64(scalar(indices[dim]));
    if (int64_t(dim) == rowDim)
      at = add(at, toI64(row));
    if (int64_t(dim) == colDim)
      at = add(at, mul(toI64(col), i64(colStride)));
    if (int64_t(dim) == rowDim || int64_t(dim) == colDim) {
      require(arith::CmpIPredicate::sge, at, i64(0));
      require(arith::CmpIPredicate::slt, at, i64(size));
    }
    if (int64_t(dim) == rowDim && rowBegin)
      require(arith::CmpIPredicate::sge, at, toI64(scalar(rowBegin)));
    if (int64_t(dim) == rowDim && rowEnd)
      require(arith::CmpIPredicate::slt, at, toI64(scalar(rowEnd)));
    linear = add(mul(linear, i64(size)), at);
  }
  if (colLimit)
    require(arith::CmpIPredicate::slt, toI64(col), i64(*colLimit));
  V base = scalar(buffer);
  V pointer = LLVM::GEPOp::create(builder_, loc_, base.getType(), type.getElementType(), base, ValueRange{linear});
  return {pointer, inside};
}

// ---- Memory ---------------------------------------------------------------------------------------------------------

void KernelLowering::lowerLoad(tile::LoadOp op) {
  RankedTensorType type = tileType(op.getTile());
  Type memory = cast<MemRefType>(op.getBuffer().getType()).getElementType();
  forEachElement(type, [&](V linear, V row, V col) {
    auto [pointer, inside] =
        bufferElement(op.getBuffer(), op.getIndices(), op.getRowBegin(), op.getRowEnd(), op.getRowDim(), op.getColDim(),
                      op.getColLimit(), op.getColStride(), row, col);
    storeElement(loadIf(inside, pointer, memory, type.getElementType()), op.getTile(), linear);
  });
  barrier();
}

void KernelLowering::lowerStore(tile::StoreOp op) {
  Type memory = cast<MemRefType>(op.getBuffer().getType()).getElementType();
  forEachElement(tileType(op.getTile()), [&](V linear, V row, V col) {
    auto [pointer, inside] =
        bufferElement(op.getBuffer(), op.getIndices(), op.getRowBegin(), op.getRowEnd(), op.getRowDim(), op.getColDim(),
                      op.getColLimit(), op.getColStride(), row, col);
    storeIf(inside, loadElement(op.getTile(), linear), pointer, memory, op.getAccumulate());
  });
  barrier(); // a later load of the same place by another thread sees the store
}

void KernelLowering::lowerGather(tile::GatherOp op) {
  RankedTensorType type = tileType(op.getTile());
  Type memory = cast<MemRefType>(op.getBuffer().getType()).getElementType();
  forEachElement(type, [&](V linear, V row, V col) {
    auto [pointer, inside] =
        matrixElement(op.getBuffer(), loadElement(op.getIds(), row), scalar(op.getColumn()), op.getColLimit(), col);
    storeElement(loadIf(inside, pointer, memory, type.getElementType()), op.getTile(), linear);
  });
  barrier();
}

/// A column belongs to one thread, which walks down the rows: the order of the sums is that of the rows.
void KernelLowering::lowerScatterAdd(tile::ScatterAddOp op) {
  RankedTensorType type = tileType(op.getTile());
  Type memory = cast<MemRefType>(op.getBuffer().getType()).getElementType();
  auto columns = RankedTensorType::get({1, type.getDimSize(1)}, type.getElementType());
  forEachElement(columns, [&](V col, V, V) {
    auto rows = scf::ForOp::create(builder_, loc_, i32(0), i32(type.getDimSize(0)), i32(1));
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToStart(rows.getBody());
    V row = rows.getInductionVar();
    auto [pointer, inside] =
        matrixElement(op.getBuffer(), loadElement(op.getIds(), row), scalar(op.getColumn()), op.getColLimit(), col);
    storeIf(inside, loadBroadcast(op.getTile(), row, col), pointer, memory, /*accumulate=*/true);
  });
  barrier();
}

// ---- Elementwise and reductions -------------------------------------------------------------------------------------

void KernelLowering::lowerFill(tile::FillOp op) {
  forEachElement(tileType(op.getTile()),
                 [&](V linear, V, V) { storeElement(scalar(op.getValue()), op.getTile(), linear); });
  barrier();
}

void KernelLowering::lowerMap(tile::MapOp op) {
  Block &body = op.getBody().front();
  forEachElement(tileType(op.getResult(0)), [&](V linear, V row, V col) {
    IRMapping inside(scalars_);
    for (auto [input, argument] : llvm::zip(op.getInputs(), body.getArguments()))
      inside.map(argument, loadBroadcast(input, row, col));
    for (Operation &inner : body.without_terminator()) {
      if (isa<tile::RowOp, tile::ColOp>(inner))
        inside.map(inner.getResult(0), isa<tile::RowOp>(inner) ? row : col);
      else
        builder_.clone(inner, inside);
    }
    for (auto [value, result] : llvm::zip(body.getTerminator()->getOperands(), op.getResults()))
      storeElement(inside.lookup(value), result, linear);
  });
  barrier();
}

/// A reduced row or column belongs to one thread, which walks along it in order.
void KernelLowering::lowerReduce(tile::ReduceOp op) {
  RankedTensorType from = tileType(op.getTile());
  int64_t length = from.getDimSize(op.getAxis());
  Type element = from.getElementType();
  auto combine = [&](V a, V b) -> V {
    bool real = isa<FloatType>(element);
    switch (op.getKind()) {
    case tile::ReduceKind::Sum:
      return real ? arith::AddFOp::create(builder_, loc_, a, b).getResult() : add(a, b);
    case tile::ReduceKind::Max:
      return real ? arith::MaxNumFOp::create(builder_, loc_, a, b).getResult()
                  : arith::MaxSIOp::create(builder_, loc_, a, b).getResult();
    case tile::ReduceKind::Min:
      return real ? arith::MinNumFOp::create(builder_, loc_, a, b).getResult()
                  : arith::MinSIOp::create(builder_, loc_, a, b).getResult();
    }
    llvm_unreachable("all kinds of reduction are handled");
  };
  forEachElement(tileType(op.getResult()), [&](V linear, V, V) {
    auto at = [&](V step) {
      return op.getAxis() == 1 ? loadBroadcast(op.getTile(), linear, step) : loadBroadcast(op.getTile(), step, linear);
    };
    V first = at(i32(0));
    auto walk = scf::ForOp::create(builder_, loc_, i32(1), i32(length), i32(1), ValueRange{first});
    {
      OpBuilder::InsertionGuard guard(builder_);
      builder_.setInsertionPointToStart(walk.getBody());
      scf::YieldOp::create(builder_, loc_, combine(walk.getRegionIterArg(0), at(walk.getInductionVar())));
    }
    storeElement(walk.getResult(0), op.getResult(), linear);
  });
  barrier();
}

void KernelLowering::lowerTranspose(tile::TransposeOp op) {
  forEachElement(tileType(op.getResult()), [&](V linear, V row, V col) {
    storeElement(loadBroadcast(op.getTile(), col, row), op.getResult(), linear);
  });
  barrier();
}

void KernelLowering::lowerCast(tile::CastOp op) {
  Type from = tileType(op.getTile()).getElementType(), to = tileType(op.getResult()).getElementType();
  forEachElement(tileType(op.getResult()), [&](V linear, V, V) {
    V value = loadElement(op.getTile(), linear);
    if (isa<IntegerType>(from))
      value = arith::SIToFPOp::create(builder_, loc_, to, value);
    else if (from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
      value = arith::ExtFOp::create(builder_, loc_, to, value);
    else
      value = arith::TruncFOp::create(builder_, loc_, to, value);
    storeElement(value, op.getResult(), linear);
  });
  barrier();
}

} // namespace oriel::codegen::nvidia
