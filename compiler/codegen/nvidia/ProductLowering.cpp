// tile.dot on tensor cores: a warp walks over its 16x8 blocks of the result and over K, fully unrolled; accumulators
// are slots.
#include "compiler/codegen/nvidia/Fragment.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

/// d = a·b + c for one 16x8 block.
RegisterLowering::Slots RegisterLowering::multiply(const Slots &a, const Slots &b, const Slots &accumulator,
                                                   bool isBf16) {
  Type f32 = builder_.getF32Type();
  auto result = LLVM::LLVMStructType::getLiteral(builder_.getContext(), {f32, f32, f32, f32});
  NVVM::MMATypes type = isBf16 ? NVVM::MMATypes::bf16 : NVVM::MMATypes::tf32;
  std::array types = {type, type};
  std::array layouts = {NVVM::MMALayout::row, NVVM::MMALayout::col};
  V product = NVVM::MmaOp::create(builder_, loc_, result, a, b, accumulator, ArrayRef<int64_t>{16, 8, isBf16 ? 16 : 8},
                                  std::nullopt, std::nullopt, types, layouts);
  Slots next;
  for (int64_t i = 0; i < 4; ++i)
    next.push_back(LLVM::ExtractValueOp::create(builder_, loc_, product, i));
  return next;
}

/// The same for operands in parts: the small products first. That of both second parts is below f32's precision.
RegisterLowering::Slots RegisterLowering::multiplyParts(const Parts &a, const Parts &b, Slots accumulator,
                                                        bool isBf16) {
  for (size_t part = a.size() - 1; part > 0; --part) {
    accumulator = multiply(a[part], b[0], accumulator, isBf16);
    accumulator = multiply(a[0], b[part], accumulator, isBf16);
  }
  return multiply(a[0], b[0], accumulator, isBf16);
}

void RegisterLowering::lowerDot(tile::DotOp op) {
  if (!isMatrixProduct(op))
    return lowerVectorDot(op);
  ProductPlan plan = placement_.planOf(op);
  Operand first = plan.swapped ? Operand(op.getB(), !op.getTransposeB()) : Operand(op.getA(), op.getTransposeA());
  Operand second = plan.swapped ? Operand(op.getA(), op.getTransposeA()) : Operand(op.getB(), !op.getTransposeB());
  // From here on the product is [M, K]·[K, N], its rows along 16.
  Layout own = placement_.layoutOf(op.getResult()), layout = plan.swapped ? own.transposed() : own;
  ArrayRef<int64_t> shape = tileType(op.getResult()).getShape();
  int64_t m = shape[plan.swapped ? 1 : 0], n = shape[plan.swapped ? 0 : 1];
  int64_t k = tileType(op.getA()).getDimSize(op.getTransposeA() ? 0 : 1);
  int64_t rowSlots = layout.rows.slots(m), colSlots = layout.cols.slots(n), rowTiles = rowSlots / 2,
          colTiles = colSlots / 2;
  if (!plan.firstInRegisters)
    readResource(homeResource(viewOf(first.tile).base));
  readResource(homeResource(viewOf(second.tile).base));

  auto place2 = [&](int64_t i, int64_t j) { return plan.swapped ? j * rowSlots + i : i * colSlots + j; };
  Slots sums(rowSlots * colSlots);
  for (int64_t i = 0; i < rowSlots; ++i)
    for (int64_t j = 0; j < colSlots; ++j)
      sums[place2(i, j)] = plan.swapped ? slot(op.getAcc(), j, i) : slot(op.getAcc(), i, j);
  Coordinate rowStart{mul(warpIndex(layout.rows), i32(m / layout.rows.warps))};
  Coordinate colStart{mul(warpIndex(layout.cols), i32(n / layout.cols.warps))};
  auto parts = [&](Slots fragment) -> Parts {
    return first.isBf16 ? Parts{std::move(fragment)} : tf32Parts(fragment, op.getPrecise() ? 2 : 1);
  };
  for (int64_t step = 0; step < k / first.depth(); ++step) {
    SmallVector<Parts> rowFragments;
    for (int64_t tile = 0; tile < rowTiles; ++tile)
      rowFragments.push_back(parts(plan.firstInRegisters ? fragmentFromSlots(first, tile, step)
                                                         : firstFragment(first, shifted(rowStart, tile * 16), step)));
    for (int64_t tile = 0; tile < colTiles;) {
      int64_t tiles = tile + 1 < colTiles ? 2 : 1;
      Slots fragments = secondFragments(second, shifted(colStart, tile * 8), step, tiles);
      for (int64_t t = 0; t < tiles; ++t, ++tile) {
        Parts colFragment = parts(Slots(ArrayRef(fragments).slice(2 * t, 2)));
        for (int64_t row = 0; row < rowTiles; ++row) {
          Slots accumulator;
          int64_t places[] = {place2(2 * row, 2 * tile), place2(2 * row, 2 * tile + 1), place2(2 * row + 1, 2 * tile),
                              place2(2 * row + 1, 2 * tile + 1)};
          for (int64_t at : places)
            accumulator.push_back(sums[at]);
          Slots next = multiplyParts(rowFragments[row], colFragment, accumulator, first.isBf16);
          for (auto [at, value] : llvm::zip(places, next))
            sums[at] = value;
        }
      }
    }
  }
  define(op.getResult(), std::move(sums));
}

/// A product with a vector: each slot walks along K in f32.
void RegisterLowering::lowerVectorDot(tile::DotOp op) {
  Layout layout = placement_.layoutOf(op.getResult());
  ArrayRef<int64_t> shape = tileType(op.getResult()).getShape();
  int64_t depth = tileType(op.getA()).getDimSize(op.getTransposeA() ? 0 : 1);
  readResource(homeResource(viewOf(op.getA()).base));
  readResource(homeResource(viewOf(op.getB()).base));
  auto element = [&](V tile, bool isTransposed, Coordinate row, Coordinate col) {
    if (isTransposed != viewOf(tile).isTransposed)
      std::swap(row, col);
    V value = loadVector(homePointer(viewOf(tile).base, row, col), tileType(tile).getElementType(), 1);
    return convertFloat(value, builder_.getF32Type());
  };
  Slots sums;
  for (int64_t i = 0; i < layout.rows.slots(shape[0]); ++i)
    for (int64_t j = 0; j < layout.cols.slots(shape[1]); ++j) {
      Coordinate row = place(layout.rows, shape[0], i), col = place(layout.cols, shape[1], j);
      auto walk = scf::ForOp::create(builder_, loc_, i32(0), i32(depth), i32(1), ValueRange{slot(op.getAcc(), i, j)});
      OpBuilder::InsertionGuard guard(builder_);
      builder_.setInsertionPointToStart(walk.getBody());
      Coordinate k{walk.getInductionVar()};
      V a = element(op.getA(), op.getTransposeA(), row, k), b = element(op.getB(), op.getTransposeB(), k, col);
      V sum = math::FmaOp::create(builder_, loc_, a, b, walk.getRegionIterArg(0));
      scf::YieldOp::create(builder_, loc_, sum);
      sums.push_back(walk.getResult(0));
    }
  define(op.getResult(), std::move(sums));
}

} // namespace oriel::codegen::nvidia
