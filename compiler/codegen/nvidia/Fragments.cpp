// Fragments of mma.sync, from the slots of a tile or from its home in shared memory.
//
// Which elements a lane holds (PTX ISA, "Matrix fragments for mma.m16n8k16" and "… mma.m16n8k8"), with g = lane / 4 and
// t = lane mod 4:
//   bf16  first   four registers of two: rows g, g+8, g, g+8; k = 2t, 2t+1 for two of them, 2t+8, 2t+9 for the others
//         second  two registers of two: k = 2t, 2t+1 and 2t+8, 2t+9 of column g
//   tf32  first   four: rows g, g+8, g, g+8; k = t, t, t+4, t+4             second  two: k = t, t+4 of column g
// In tf32 the order of K is ours to choose, as long as both operands agree: k = t stands for element 2t and k = t+4 for
// element 2t+1, so that a lane's elements lie side by side and are those that it holds of an accumulator.
#include "compiler/codegen/nvidia/Fragment.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

/// Two values that were rounded one by one are rounded by one instruction.
V RegisterLowering::packBf16(V first, V second) {
  auto low = first.getDefiningOp<arith::TruncFOp>(), high = second.getDefiningOp<arith::TruncFOp>();
  bool areRounded = low && high && low.getIn().getType().isF32() && high.getIn().getType().isF32();
  Type element = areRounded ? builder_.getF32Type() : builder_.getBF16Type();
  V pair = LLVM::PoisonOp::create(builder_, loc_, VectorType::get(2, element));
  pair = LLVM::InsertElementOp::create(builder_, loc_, pair, areRounded ? low.getIn() : first, i32(0));
  pair = LLVM::InsertElementOp::create(builder_, loc_, pair, areRounded ? high.getIn() : second, i32(1));
  if (areRounded)
    pair = arith::TruncFOp::create(builder_, loc_, VectorType::get(2, builder_.getBF16Type()), pair);
  return LLVM::BitcastOp::create(builder_, loc_, builder_.getI32Type(), pair);
}

/// Elements of f32 as tf32, to the nearest, as the tensor core alone would not do. Of two parts the second is what the
/// first has lost; together they have 22 bits.
RegisterLowering::Parts RegisterLowering::tf32Parts(const Slots &values, int count) {
  auto rounded = [&](V value) -> V {
    return NVVM::ConvertFloatToTF32Op::create(builder_, loc_, builder_.getI32Type(), value, NVVM::FPRoundingMode::RNA,
                                              NVVM::SaturationMode::NONE, false);
  };
  Parts result(count);
  for (V value : values) {
    result[0].push_back(rounded(value));
    if (count == 1)
      continue;
    V first = LLVM::BitcastOp::create(builder_, loc_, builder_.getF32Type(), result[0].back());
    result[1].push_back(rounded(arith::SubFOp::create(builder_, loc_, value, first)));
  }
  return result;
}

/// Accumulators of one product, as they stand, are the first operand of the next.
RegisterLowering::Slots RegisterLowering::fragmentFromSlots(const Operand &operand, int64_t rowTile, int64_t step) {
  auto at = [&](int64_t row, int64_t k) {
    return operand.isKFirst ? slot(operand.tile, k, 2 * rowTile + row) : slot(operand.tile, 2 * rowTile + row, k);
  };
  if (!operand.isBf16)
    return {at(0, 2 * step), at(1, 2 * step), at(0, 2 * step + 1), at(1, 2 * step + 1)};
  int64_t k = 4 * step;
  return {packBf16(at(0, k), at(0, k + 1)), packBf16(at(1, k), at(1, k + 1)), packBf16(at(0, k + 2), at(0, k + 3)),
          packBf16(at(1, k + 2), at(1, k + 3))};
}

/// 8x8 matrices of bf16: lane l gives the address of row l mod 8 of matrix l / 8, which starts at (outer, inner).
/// Matrices whose rows lie along K in memory are transposed on the way.
RegisterLowering::Slots RegisterLowering::loadMatrices(const Operand &operand, Coordinate outer, Coordinate inner,
                                                       int64_t count) {
  TileView view = viewOf(operand.tile);
  V row = arith::RemUIOp::create(builder_, loc_, lane_, i32(8));
  bool isStoredByK = (operand.isKFirst != view.isTransposed) != placement_.homeOf(view.base)->isTransposed;
  V &along = isStoredByK ? inner.dynamic : outer.dynamic;
  along = add(along, row);
  bool swap = operand.isKFirst != view.isTransposed;
  V pointer = homePointer(view.base, swap ? inner : outer, swap ? outer : inner);
  Type i32Type = builder_.getI32Type();
  Type type = LLVM::LLVMStructType::getLiteral(builder_.getContext(), SmallVector<Type>(count, i32Type));
  auto shape = NVVM::LdStMatrixShapeAttr::get(builder_.getContext(), 8, 8);
  V loaded = NVVM::LdMatrixOp::create(builder_, loc_, type, pointer, count,
                                      isStoredByK ? NVVM::MMALayout::col : NVVM::MMALayout::row, shape,
                                      NVVM::LdStMatrixEltType::B16);
  Slots registers;
  for (int64_t i = 0; i < count; ++i)
    registers.push_back(LLVM::ExtractValueOp::create(builder_, loc_, loaded, i));
  return registers;
}

/// Elements k and k + 1 of one row or column.
V RegisterLowering::loadPair(const Operand &operand, Coordinate outer, Coordinate inner, V &second) {
  TileView view = viewOf(operand.tile);
  bool swap = operand.isKFirst != view.isTransposed;
  Type f32 = builder_.getF32Type();
  auto pointer = [&](Coordinate k) { return homePointer(view.base, swap ? k : outer, swap ? outer : k); };
  if (swap == placement_.homeOf(view.base)->isTransposed) {
    V pair = loadVector(pointer(inner), f32, 2);
    second = LLVM::ExtractElementOp::create(builder_, loc_, pair, i32(1));
    return LLVM::ExtractElementOp::create(builder_, loc_, pair, i32(0));
  }
  second = loadVector(pointer(shifted(inner, 1)), f32, 1);
  return loadVector(pointer(inner), f32, 1);
}

/// The first operand's rows [row, row + 16) at one step of K, which starts at `k`.
RegisterLowering::Slots RegisterLowering::firstFragment(const Operand &operand, Coordinate row, Coordinate k) {
  if (operand.isBf16) {
    V matrix = arith::DivUIOp::create(builder_, loc_, lane_, i32(8));
    V low = arith::RemUIOp::create(builder_, loc_, matrix, i32(2)),
      high = arith::DivUIOp::create(builder_, loc_, matrix, i32(2));
    row.dynamic = add(row.dynamic, mul(low, i32(8)));
    k.dynamic = add(k.dynamic, mul(high, i32(8)));
    return loadMatrices(operand, row, k, 4);
  }
  V group = arith::DivUIOp::create(builder_, loc_, lane_, i32(4)),
    pair = arith::RemUIOp::create(builder_, loc_, lane_, i32(4));
  k.dynamic = add(k.dynamic, mul(pair, i32(2)));
  row.dynamic = add(row.dynamic, group);
  V second[2], first[2];
  for (int64_t half : {0, 1})
    first[half] = loadPair(operand, shifted(row, half * 8), k, second[half]);
  return {first[0], first[1], second[0], second[1]};
}

/// The second operand's columns [col, col + 8·tiles) at one step of K, which starts at `k`: two registers for each 8.
RegisterLowering::Slots RegisterLowering::secondFragments(const Operand &operand, Coordinate col, Coordinate k,
                                                          int64_t tiles) {
  if (operand.isBf16) {
    V matrix = arith::DivUIOp::create(builder_, loc_, lane_, i32(8));
    V low = arith::RemUIOp::create(builder_, loc_, matrix, i32(2));
    V high = arith::RemUIOp::create(builder_, loc_, arith::DivUIOp::create(builder_, loc_, matrix, i32(2)), i32(tiles));
    col.dynamic = add(col.dynamic, mul(high, i32(8)));
    k.dynamic = add(k.dynamic, mul(low, i32(8)));
    return loadMatrices(operand, col, k, 2 * tiles);
  }
  V group = arith::DivUIOp::create(builder_, loc_, lane_, i32(4)),
    pair = arith::RemUIOp::create(builder_, loc_, lane_, i32(4));
  k.dynamic = add(k.dynamic, mul(pair, i32(2)));
  col.dynamic = add(col.dynamic, group);
  Slots registers;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    V second, first = loadPair(operand, shifted(col, tile * 8), k, second);
    registers.append({first, second});
  }
  return registers;
}

} // namespace oriel::codegen::nvidia
