// tile.dot on tensor cores: warps share out the 16x8 blocks of the result; each is a walk of mma.sync along K, m16n8k16
// for bf16 operands and m16n8k8 tf32 for f32. Which elements a lane holds, and why the order of K in tf32 is ours to
// choose: Fragments.cpp.
#include "compiler/codegen/nvidia/KernelLowering.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

static constexpr int64_t blockM = 16, blockN = 8, warps = threadsPerBlock / 32;

/// Elements (outer, inner) and (outer, inner + 1) of op(tile) side by side: one register of bf16, or two of tf32.
SmallVector<V> KernelLowering::dotOperand(V tile, bool isInnerFirst, V outer, V inner) {
  V next = add(inner, i32(1));
  V first = isInnerFirst ? loadBroadcast(tile, inner, outer) : loadBroadcast(tile, outer, inner);
  V second = isInnerFirst ? loadBroadcast(tile, next, outer) : loadBroadcast(tile, outer, next);
  if (first.getType().isBF16())
    return {packBf16(first, second)};
  auto rounded = [&](V value) -> V {
    return NVVM::ConvertFloatToTF32Op::create(builder_, loc_, builder_.getI32Type(), value, NVVM::FPRoundingMode::RNA,
                                              NVVM::SaturationMode::NONE, false);
  };
  return {rounded(first), rounded(second)};
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
  bool isBf16 = aType.getElementType().isBF16();
  int64_t blockK = isBf16 ? 16 : 8;
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
    V low = add(walk.getInductionVar(), pair);
    auto a = [&](V row, V k) { return dotOperand(op.getA(), op.getTransposeA(), row, k); };
    auto b = [&](V k) { return dotOperand(op.getB(), !op.getTransposeB(), column, k); };
    SmallVector<V> above = a(rowLow, low), below = a(rowHigh, low), aRegisters, bRegisters = b(low);
    for (auto [first, second] : llvm::zip(above, below))
      aRegisters.append({first, second});
    if (isBf16) {
      V high = add(low, i32(8));
      aRegisters.append({a(rowLow, high)[0], a(rowHigh, high)[0]});
      bRegisters.append(b(high));
    }
    Type f32 = builder_.getF32Type();
    auto result = LLVM::LLVMStructType::getLiteral(builder_.getContext(), {f32, f32, f32, f32});
    NVVM::MMATypes type = isBf16 ? NVVM::MMATypes::bf16 : NVVM::MMATypes::tf32;
    std::array types = {type, type};
    std::array layouts = {NVVM::MMALayout::row, NVVM::MMALayout::col};
    V product =
        NVVM::MmaOp::create(builder_, loc_, result, aRegisters, bRegisters, walk.getRegionIterArgs(),
                            ArrayRef<int64_t>{blockM, blockN, blockK}, std::nullopt, std::nullopt, types, layouts);
    SmallVector<V> next;
    for (int64_t i = 0; i < 4; ++i)
      next.push_back(LLVM::ExtractValueOp::create(builder_, loc_, product, i));
    scf::YieldOp::create(builder_, loc_, next);
  }
  for (auto [value, at] : llvm::zip(walk.getResults(), linear))
    storeElement(value, op.getResult(), at);
}

/// A product with a vector: an element of the result belongs to one thread, which walks along K in f32.
void KernelLowering::lowerVectorDot(tile::DotOp op, int64_t depth) {
  Type f32 = builder_.getF32Type();
  auto element = [&](V tile, bool transposed, V outer, V inner) -> V {
    V value = transposed ? loadBroadcast(tile, inner, outer) : loadBroadcast(tile, outer, inner);
    return value.getType() == f32 ? value : arith::ExtFOp::create(builder_, loc_, f32, value).getResult();
  };
  forEachElement(cast<RankedTensorType>(op.getAcc().getType()), [&](V linear, V row, V col) {
    auto walk =
        scf::ForOp::create(builder_, loc_, i32(0), i32(depth), i32(1), ValueRange{loadElement(op.getAcc(), linear)});
    {
      OpBuilder::InsertionGuard guard(builder_);
      builder_.setInsertionPointToStart(walk.getBody());
      V k = walk.getInductionVar();
      V a = element(op.getA(), op.getTransposeA(), row, k), b = element(op.getB(), op.getTransposeB(), k, col);
      V sum = math::FmaOp::create(builder_, loc_, a, b, walk.getRegionIterArg(0));
      scf::YieldOp::create(builder_, loc_, sum);
    }
    storeElement(walk.getResult(0), op.getResult(), linear);
  });
  barrier();
}

LogicalResult KernelLowering::lowerDot(tile::DotOp op) {
  auto type = cast<RankedTensorType>(op.getAcc().getType());
  auto aType = cast<RankedTensorType>(op.getA().getType());
  int64_t depth = aType.getDimSize(op.getTransposeA() ? 0 : 1);
  // Sizes are 1 or multiples of 16: what tensor cores do not take is a product with a vector, or
  // one that tf32 would not do.
  bool isPrecise = op.getPrecise() && aType.getElementType().isF32();
  if (type.getDimSize(0) == 1 || type.getDimSize(1) == 1 || depth == 1 || isPrecise)
    return lowerVectorDot(op, depth), success();
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
