// tile.dot on tensor cores: warps share out the 16x8 blocks of the result; each is a walk of mma.sync m16n8k16 along K.
//
// Which elements a lane holds (PTX ISA, "Matrix fragments for mma.m16n8k16"), with g = lane / 4 and t = lane mod 4:
//   A  four registers of two bf16: rows g, g+8, g, g+8; columns 2t..2t+1 for the first two, 2t+8..2t+9 for the others
//   B  two registers of two bf16: rows 2t..2t+1 and 2t+8..2t+9 of column g
//   C  four f32: (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1)
#include "compiler/codegen/nvidia/KernelLowering.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

static constexpr int64_t blockM = 16, blockN = 8, blockK = 16, warps = threadsPerBlock / 32;

/// Element (outer, inner) of op(tile) as bf16.
V KernelLowering::dotOperand(V tile, bool transposed, V outer, V inner) {
  V value = transposed ? loadBroadcast(tile, inner, outer) : loadBroadcast(tile, outer, inner);
  if (value.getType().isBF16())
    return value;
  return arith::TruncFOp::create(builder_, loc_, builder_.getBF16Type(), value);
}

V KernelLowering::packBf16(V first, V second) {
  auto pair = VectorType::get(2, builder_.getBF16Type());
  V packed = LLVM::PoisonOp::create(builder_, loc_, pair);
  packed = LLVM::InsertElementOp::create(builder_, loc_, packed, first, i32(0));
  packed = LLVM::InsertElementOp::create(builder_, loc_, packed, second, i32(1));
  return LLVM::BitcastOp::create(builder_, loc_, builder_.getI32Type(), packed);
}

void KernelLowering::emitDotTile(tile::DotOp op, V rowBase, V colBase) {
  auto accType = cast<RankedTensorType>(op.getAcc().getType());
  auto aType = cast<RankedTensorType>(op.getA().getType());
  int64_t depth = aType.getDimSize(op.getTransposeA() ? 0 : 1);
  V group = arith::DivUIOp::create(builder_, loc_, lane_, i32(4));
  V pair = mul(arith::RemUIOp::create(builder_, loc_, lane_, i32(4)), i32(2));
  V rowLow = add(rowBase, group), rowHigh = add(rowLow, i32(8));
  V col = add(colBase, pair), column = add(colBase, group);

  SmallVector<V> linear;
  for (V row : {rowLow, rowHigh})
    for (int64_t step : {0, 1})
      linear.push_back(add(mul(row, i32(accType.getDimSize(1))), add(col, i32(step))));
  SmallVector<V> acc;
  for (V at : linear)
    acc.push_back(loadElement(op.getAcc(), at));

  auto walk = scf::ForOp::create(builder_, loc_, i32(0), i32(depth), i32(blockK), acc);
  {
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToStart(walk.getBody());
    V low = add(walk.getInductionVar(), pair), high = add(low, i32(8));
    auto a = [&](V row, V k) {
      return packBf16(dotOperand(op.getA(), op.getTransposeA(), row, k), dotOperand(op.getA(), op.getTransposeA(), row, add(k, i32(1))));
    };
    auto b = [&](V k) {
      return packBf16(dotOperand(op.getB(), op.getTransposeB(), k, column), dotOperand(op.getB(), op.getTransposeB(), add(k, i32(1)), column));
    };
    SmallVector<V> aRegisters = {a(rowLow, low), a(rowHigh, low), a(rowLow, high), a(rowHigh, high)};
    SmallVector<V> bRegisters = {b(low), b(high)};
    Type f32 = builder_.getF32Type();
    auto result = LLVM::LLVMStructType::getLiteral(builder_.getContext(), {f32, f32, f32, f32});
    std::array types = {NVVM::MMATypes::bf16, NVVM::MMATypes::bf16};
    std::array layouts = {NVVM::MMALayout::row, NVVM::MMALayout::col};
    V product = NVVM::MmaOp::create(builder_, loc_, result, aRegisters, bRegisters, walk.getRegionIterArgs(),
                                    ArrayRef<int64_t>{blockM, blockN, blockK}, std::nullopt, std::nullopt, types, layouts);
    SmallVector<V> next;
    for (int64_t i = 0; i < 4; ++i)
      next.push_back(LLVM::ExtractValueOp::create(builder_, loc_, product, i));
    scf::YieldOp::create(builder_, loc_, next);
  }
  for (auto [value, at] : llvm::zip(walk.getResults(), linear))
    storeElement(value, op.getResult(), at);
}

LogicalResult KernelLowering::lowerDot(tile::DotOp op) {
  auto type = cast<RankedTensorType>(op.getAcc().getType());
  auto aType = cast<RankedTensorType>(op.getA().getType());
  int64_t depth = aType.getDimSize(op.getTransposeA() ? 0 : 1);
  if (type.getDimSize(0) % blockM || type.getDimSize(1) % blockN || depth % blockK)
    return op.emitOpError("has sizes ") << type.getDimSize(0) << "x" << type.getDimSize(1) << "x" << depth
                                        << "; tensor cores take multiples of 16x8x16: use tile.map and tile.reduce for vectors";
  int64_t columns = type.getDimSize(1) / blockN, blocks = type.getDimSize(0) / blockM * columns;
  auto share = scf::ForOp::create(builder_, loc_, warp_, i32(blocks), i32(warps));
  {
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToStart(share.getBody());
    V block = share.getInductionVar();
    V row = mul(arith::DivUIOp::create(builder_, loc_, block, i32(columns)), i32(blockM));
    V col = mul(arith::RemUIOp::create(builder_, loc_, block, i32(columns)), i32(blockN));
    emitDotTile(op, row, col);
  }
  barrier();
  return success();
}

} // namespace oriel::codegen::nvidia
