// tile.dot on tensor cores: a warp walks along K, and at each step over its 16x8 blocks of the result; accumulators are
// slots.
#include "compiler/codegen/nvidia/Fragment.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <numeric>

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

/// A product as it runs: [M, K]·[K, N], its rows along 16.
struct RegisterLowering::Product {
  ProductPlan plan;
  Operand first, second;
  Layout layout;
  int64_t m, n, k;
  bool isPrecise;

  int64_t rowSlots() const { return layout.rows.slots(m); }
  int64_t colSlots() const { return layout.cols.slots(n); }
  /// Number of the result's slot (i, j), counted in the product.
  int64_t slot(int64_t i, int64_t j) const { return plan.swapped ? j * rowSlots() + i : i * colSlots() + j; }
};

RegisterLowering::Product RegisterLowering::productOf(tile::DotOp op) {
  ProductPlan plan = placement_.planOf(op);
  Operand a(op.getA(), op.getTransposeA()), b(op.getB(), !op.getTransposeB());
  Operand aSwapped(op.getB(), !op.getTransposeB()), bSwapped(op.getA(), op.getTransposeA());
  Layout layout = placement_.layoutOf(op.getResult());
  ArrayRef<int64_t> shape = tileType(op.getResult()).getShape();
  int64_t k = tileType(op.getA()).getDimSize(op.getTransposeA() ? 0 : 1);
  if (plan.swapped)
    return {plan, aSwapped, bSwapped, layout.transposed(), shape[1], shape[0], k, op.getPrecise()};
  return {plan, a, b, layout, shape[0], shape[1], k, op.getPrecise()};
}

/// Adds the part of one instruction's depth that starts at `k`; it is step number `step` where the first operand is in
/// registers.
void RegisterLowering::multiplyStep(const Product &p, Coordinate k, int64_t step, Slots &sums) {
  Coordinate rowStart{mul(warpIndex(p.layout.rows), i32(p.m / p.layout.rows.warps))};
  Coordinate colStart{mul(warpIndex(p.layout.cols), i32(p.n / p.layout.cols.warps))};
  auto parts = [&](Slots fragment) -> Parts {
    return p.first.isBf16 ? Parts{std::move(fragment)} : tf32Parts(fragment, p.isPrecise ? 2 : 1);
  };
  int64_t rowTiles = p.rowSlots() / 2, colTiles = p.colSlots() / 2;
  SmallVector<Parts> rowFragments;
  for (int64_t tile = 0; tile < rowTiles; ++tile)
    rowFragments.push_back(parts(p.plan.firstInRegisters ? fragmentFromSlots(p.first, tile, step)
                                                         : firstFragment(p.first, shifted(rowStart, tile * 16), k)));
  for (int64_t tile = 0; tile < colTiles;) {
    int64_t tiles = tile + 1 < colTiles ? 2 : 1;
    Slots fragments = secondFragments(p.second, shifted(colStart, tile * 8), k, tiles);
    for (int64_t t = 0; t < tiles; ++t, ++tile) {
      Parts colFragment = parts(Slots(ArrayRef(fragments).slice(2 * t, 2)));
      for (int64_t row = 0; row < rowTiles; ++row) {
        int64_t slots[] = {p.slot(2 * row, 2 * tile), p.slot(2 * row, 2 * tile + 1), p.slot(2 * row + 1, 2 * tile),
                           p.slot(2 * row + 1, 2 * tile + 1)};
        Slots accumulator;
        for (int64_t at : slots)
          accumulator.push_back(sums[at]);
        Slots next = multiplyParts(rowFragments[row], colFragment, accumulator, p.first.isBf16);
        for (auto [at, value] : llvm::zip(slots, next))
          sums[at] = value;
      }
    }
  }
}

/// Keeps the code generators from undoing a loop that is there to bound the registers of fragments.
static void forbidUnrolling(scf::ForOp loop) {
  MLIRContext *context = loop.getContext();
  auto unroll = LLVM::LoopUnrollAttr::get(context, /*disable=*/BoolAttr::get(context, true), {}, {}, {}, {}, {}, {});
  loop->setAttr("loop_annotation",
                LLVM::LoopAnnotationAttr::get(context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}));
}

/// Both operands in shared memory are walked in a loop of a few steps: unrolled as a whole, ptxas would start all its
/// loads at once and have no registers for them. Operands in registers have their numbers in the code.
void RegisterLowering::lowerDot(tile::DotOp op) {
  if (!isMatrixProduct(op))
    return lowerVectorDot(op);
  if (placement_.planOf(op).isOfWarpgroups)
    return lowerWarpgroupDot(op);
  Product p = productOf(op);
  if (!p.plan.firstInRegisters)
    readResource(homeResource(viewOf(p.first.tile).base));
  readResource(homeResource(viewOf(p.second.tile).base));
  Slots sums(p.rowSlots() * p.colSlots());
  for (int64_t i = 0; i < p.rowSlots(); ++i)
    for (int64_t j = 0; j < p.colSlots(); ++j)
      sums[p.slot(i, j)] = p.plan.swapped ? slot(op.getAcc(), j, i) : slot(op.getAcc(), i, j);
  int64_t stepsAtOnce = p.first.isBf16 ? 4 : 2; // fragments of f32 have twice the registers
  int64_t depth = p.first.depth(), steps = p.k / depth, together = std::gcd(steps, stepsAtOnce);
  if (p.plan.firstInRegisters || steps <= stepsAtOnce) {
    for (int64_t step = 0; step < steps; ++step)
      multiplyStep(p, {i32(0), step * depth}, step, sums);
  } else {
    auto walk = scf::ForOp::create(builder_, loc_, i32(0), i32(p.k), i32(together * depth), sums);
    forbidUnrolling(walk);
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToStart(walk.getBody());
    Slots inner(walk.getRegionIterArgs());
    for (int64_t step = 0; step < together; ++step)
      multiplyStep(p, {walk.getInductionVar(), step * depth}, /*step=*/-1, inner);
    scf::YieldOp::create(builder_, loc_, inner);
    sums.assign(walk.result_begin(), walk.result_end());
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
