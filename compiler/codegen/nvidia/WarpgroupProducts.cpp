// tile.dot on wgmma: a warpgroup multiplies 64 rows at a time, the second operand and perhaps the first from shared
// memory. Which products fit, how homes lie for them, and the code.
//
// The accumulators of m64n8 are those of mma.m16n8 in each of the four warps, and so are the registers of the first
// operand (PTX ISA, "Register fragments for wgmma.mma_async.m64nNk16"): slots serve as they stand.
#include "compiler/codegen/nvidia/Fragment.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "compiler/codegen/nvidia/WarpgroupInstruction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"
#include <numeric>

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

static constexpr int64_t warpsOfGroup = 4, bf16Bytes = 2, leastSwizzleBytes = 32;

// ---- Planning -------------------------------------------------------------------------------------------------------

/// Whether rows of a home are steps along K.
static bool isStoredByK(const Home &home, TileView view, bool isKFirst) {
  return (isKFirst != view.isTransposed) != home.isTransposed;
}

static bool isBf16(V tile) { return tileType(tile).getElementType().isBF16(); }

/// Bytes of a row of the second operand that one group of columns takes, where the groups share rows out: there a group
/// begins where a panel does. 0: they do not.
int64_t TilePlacement::sharedOutBytes(tile::DotOp dot, const ProductPlan &plan) const {
  Layout layout = plan.swapped ? layoutOf(dot.getResult()).transposed() : layoutOf(dot.getResult());
  int64_t columns = shapeOf(dot.getResult())[plan.swapped ? 0 : 1];
  TileView second = viewOf(plan.swapped ? dot.getA() : dot.getB());
  bool isByK = isStoredByK(plannedHome(second.base), second, plan.swapped ? dot.getTransposeA() : !dot.getTransposeB());
  return isByK && layout.cols.warps > 1 ? columns / layout.cols.warps * bf16Bytes : 0;
}

/// tf32 stays with mma.sync: wgmma would read f32 from shared memory without rounding it, and never by K.
bool TilePlacement::fitsWarpgroups(tile::DotOp dot, const ProductPlan &plan) const {
  Layout layout = plan.swapped ? layoutOf(dot.getResult()).transposed() : layoutOf(dot.getResult());
  ArrayRef<int64_t> shape = shapeOf(dot.getResult());
  int64_t m = shape[plan.swapped ? 1 : 0], n = shape[plan.swapped ? 0 : 1];
  int64_t rowsOfWarp = m / layout.rows.warps, colsOfGroup = n / layout.cols.warps;
  if (!isBf16(dot.getA()) || !isBf16(dot.getB()) || layout.rows.warps % warpsOfGroup != 0 || colsOfGroup > 256)
    return false;
  // The groups of 8 rows of a descriptor are equally far apart, those of warps with more than 16 rows are not.
  if (!plan.firstInRegisters && rowsOfWarp != WarpgroupInstruction::rows / warpsOfGroup)
    return false;
  return sharedOutBytes(dot, plan) % leastSwizzleBytes == 0;
}

/// What any wgmma reads is swizzled; all other readers find it there by homePointer. The panels are those of the reader
/// that wants the narrowest.
void TilePlacement::swizzleHomes() {
  for (auto &[op, plan] : products_) {
    if (!plan.isOfWarpgroups)
      continue;
    auto dot = cast<tile::DotOp>(op);
    for (V operand : {dot.getA(), dot.getB()})
      if (auto found = homes_.find(viewOf(operand).base); found != homes_.end()) {
        Home &home = found->second;
        home.rowBytes = home.cols * bf16Bytes;
        bool isSecond = operand == (plan.swapped ? dot.getA() : dot.getB());
        int64_t panel = swizzleFor(std::gcd(home.rowBytes, isSecond ? sharedOutBytes(dot, plan) : 0));
        home.swizzleBytes = home.swizzleBytes ? std::min(home.swizzleBytes, panel) : panel;
      }
  }
}

// ---- Operands in shared memory --------------------------------------------------------------------------------------

/// The descriptor of rows or columns [part·partSize, …) of an operand at the first step of K.
V RegisterLowering::matrixDescriptor(const Operand &operand, V part, int64_t partSize) {
  TileView view = viewOf(operand.tile);
  const Home &home = *placement_.homeOf(view.base);
  bool isByK = isStoredByK(home, view, operand.isKFirst);
  int64_t partBytes =
      isByK ? partSize * bf16Bytes / home.swizzleBytes * home.panelBytes() : partSize * home.swizzleBytes;
  MatrixDescriptor descriptor{home.swizzleBytes, isByK ? home.panelBytes() : 16, 8 * home.swizzleBytes};
  V bytes = add(mul(part, i32(partBytes)), i32(home.offset));
  if (V stage = stageOffsets_.lookup(view.base))
    bytes = add(bytes, stage);
  V start = sharedPointer(bytes);
  V address = LLVM::PtrToIntOp::create(builder_, loc_, builder_.getI64Type(), start);
  address = arith::AndIOp::create(builder_, loc_, address, i64(MatrixDescriptor::addressMask));
  address = arith::TruncIOp::create(builder_, loc_, builder_.getI32Type(), address);
  address = uniform(arith::ShRUIOp::create(builder_, loc_, address, i32(4)));
  address = arith::ExtUIOp::create(builder_, loc_, builder_.getI64Type(), address);
  return arith::OrIOp::create(builder_, loc_, address, i64(static_cast<int64_t>(descriptor.bits())));
}

/// What a step along K adds to a descriptor. Swizzles are of addresses, so that a step inside a row is an addition.
int64_t RegisterLowering::descriptorStep(const Operand &operand, int64_t step) {
  TileView view = viewOf(operand.tile);
  const Home &home = *placement_.homeOf(view.base);
  int64_t k = step * WarpgroupInstruction::depth, bytes = k * bf16Bytes;
  if (isStoredByK(home, view, operand.isKFirst))
    return k * home.swizzleBytes >> 4;
  return (bytes / home.swizzleBytes * home.panelBytes() + bytes % home.swizzleBytes) >> 4;
}

// ---- Products -------------------------------------------------------------------------------------------------------

struct RegisterLowering::WarpgroupProduct {
  Operand first, second; // [M, K] and [K, N], rows of M in the dimension of 64
  int64_t rows, cols;    // slots of the result's dimensions
  int64_t steps = 0;     // K / 16
  WarpgroupInstruction instruction = {};
  V firstDescriptor = {}, secondDescriptor = {};
  SmallVector<Resource, 2> operands = {}; // in shared memory

  /// Calls `visit(i, j)` for the slots of one block of 64 rows in the order of the instruction's registers: of each 8
  /// columns two of row g, two of g+8.
  void visitBlock(int64_t block, llvm::function_ref<void(int64_t, int64_t)> visit) const {
    for (int64_t j = 0; j < cols; j += 2)
      for (int64_t i : {2 * block, 2 * block + 1})
        visit(i, j), visit(i, j + 1);
  }
};

/// One block of 64 rows.
struct RegisterLowering::WarpgroupRows {
  SmallVector<Slots> fragments; // of each step, where the first operand is in registers
  Slots sums;                   // in the instruction's order; none: they start at zero
};

/// Operands are there to be read, and described.
RegisterLowering::WarpgroupProduct RegisterLowering::openWarpgroupProduct(tile::DotOp op) {
  ProductPlan plan = placement_.planOf(op);
  Operand a(op.getA(), op.getTransposeA()), b(op.getB(), !op.getTransposeB());
  Layout own = placement_.layoutOf(op.getResult()), layout = plan.swapped ? own.transposed() : own;
  ArrayRef<int64_t> shape = shapeOf(op.getResult());
  int64_t m = shape[plan.swapped ? 1 : 0], n = shape[plan.swapped ? 0 : 1], colsOfGroup = n / layout.cols.warps;
  WarpgroupProduct product{plan.swapped ? b : a, plan.swapped ? a : b, layout.rows.slots(m), layout.cols.slots(n)};
  product.steps = shapeOf(op.getA())[op.getTransposeA() ? 0 : 1] / WarpgroupInstruction::depth;
  product.instruction = {.n = colsOfGroup, .isFirstInRegisters = plan.firstInRegisters};
  auto open = [&](const Operand &operand, V part, int64_t partSize, bool &isByK, V &descriptor) {
    TileView view = viewOf(operand.tile);
    product.operands.push_back(homeResource(view.base));
    apply(hazards_.beforeRead(product.operands.back()));
    isByK = isStoredByK(*placement_.homeOf(view.base), view, operand.isKFirst);
    descriptor = matrixDescriptor(operand, part, partSize);
  };
  if (!plan.firstInRegisters) {
    V group = arith::DivUIOp::create(builder_, loc_, warpIndex(layout.rows), i32(warpsOfGroup));
    open(product.first, group, WarpgroupInstruction::rows, product.instruction.isFirstByK, product.firstDescriptor);
  }
  open(product.second, warpIndex(layout.cols), colsOfGroup, product.instruction.isSecondByK, product.secondDescriptor);
  return product;
}

/// Starts the steps along K of 64 rows; `sums` become the results, in flight.
void RegisterLowering::multiplyRows(WarpgroupProduct &product, WarpgroupRows &rows) {
  auto type = LLVM::LLVMStructType::getLiteral(
      builder_.getContext(), SmallVector<Type>(product.instruction.registers(), builder_.getF32Type()));
  auto advanced = [&](V descriptor, const Operand &operand, int64_t step) {
    return add(descriptor, i64(descriptorStep(operand, step)));
  };
  for (int64_t step = 0; step < product.steps; ++step) {
    product.instruction.accumulates = !rows.sums.empty();
    Slots operands = std::move(rows.sums);
    if (product.instruction.isFirstInRegisters)
      operands.append(rows.fragments[step]);
    else
      operands.push_back(advanced(product.firstDescriptor, product.first, step));
    operands.push_back(advanced(product.secondDescriptor, product.second, step));
    rows.sums = emitAssembly(type, operands, product.instruction.text(), product.instruction.constraints());
  }
}

RegisterLowering::Slots RegisterLowering::emitAssembly(Type type, ValueRange operands, StringRef text,
                                                       StringRef constraints) {
  V result = LLVM::InlineAsmOp::create(builder_, loc_, type, operands, text, constraints, /*has_side_effects=*/true,
                                       /*is_align_stack=*/false, LLVM::TailCallKind::None, nullptr, nullptr)
                 .getRes();
  Slots results;
  for (size_t i = 0; i < cast<LLVM::LLVMStructType>(type).getBody().size(); ++i)
    results.push_back(LLVM::ExtractValueOp::create(builder_, loc_, result, i));
  return results;
}

/// Everything that the instructions take of registers is made before the first of them, and only waits lie after.
void RegisterLowering::lowerWarpgroupDot(tile::DotOp op) {
  WarpgroupProduct product = openWarpgroupProduct(op);
  bool isSwapped = placement_.planOf(op).swapped;
  auto place = [&](int64_t i, int64_t j) { return isSwapped ? j * product.rows + i : i * product.cols + j; };
  auto fill = viewOf(op.getAcc()).base.getDefiningOp<tile::FillOp>();
  bool startsAtZero = fill && matchPattern(fill.getValue(), m_PosZeroFloat());
  Slots goingOn = takeInFlight(op.getAcc());
  SmallVector<WarpgroupRows> blocks(product.rows / 2);
  for (auto [block, rows] : llvm::enumerate(blocks)) {
    for (int64_t step = 0; step < product.steps && product.instruction.isFirstInRegisters; ++step)
      rows.fragments.push_back(fragmentFromSlots(product.first, block, step));
    if (!startsAtZero)
      product.visitBlock(block, [&](int64_t i, int64_t j) {
        rows.sums.push_back(!goingOn.empty() ? goingOn[place(i, j)]
                            : isSwapped      ? slot(op.getAcc(), j, i)
                                             : slot(op.getAcc(), i, j));
      });
  }
  NVVM::WgmmaFenceAlignedOp::create(builder_, loc_); // for the registers written so far
  Slots slots(product.rows * product.cols);
  for (auto [block, rows] : llvm::enumerate(blocks)) {
    multiplyRows(product, rows);
    size_t next = 0;
    product.visitBlock(block, [&](int64_t i, int64_t j) { slots[place(i, j)] = rows.sums[next++]; });
  }
  NVVM::WgmmaGroupSyncAlignedOp::create(builder_, loc_);
  registers_[op.getResult()] = std::move(slots);
  inFlight_.push_back(op.getResult());
  hazards_.startProduct(product.operands);
  if (placement_.homeOf(op.getResult())) {
    waitForProduct(op.getResult());
    define(op.getResult(), registers_[op.getResult()]);
  }
}

/// The registers of a product in flight that no one but the caller wants: it may add to them without a wait. Empty:
/// they are not in flight, or wanted.
RegisterLowering::Slots RegisterLowering::takeInFlight(V tile) {
  auto found = llvm::find(inFlight_, tile);
  if (found == inFlight_.end() || !tile.hasOneUse())
    return {};
  *found = V();
  return std::move(registers_[tile]);
}

// ---- Waits ----------------------------------------------------------------------------------------------------------

void RegisterLowering::waitForProduct(V tile) {
  auto found = llvm::find(inFlight_, tile);
  if (found == inFlight_.end())
    return;
  size_t count = found - inFlight_.begin() + 1;
  hazards_.finishProducts(count);
  landProducts(count);
}

void RegisterLowering::waitForAllProducts() {
  if (!inFlight_.empty())
    waitForProduct(inFlight_.back());
}

void RegisterLowering::landProducts(size_t count) {
  SmallVector<V> landing(inFlight_.begin(), inFlight_.begin() + count);
  inFlight_.erase(inFlight_.begin(), inFlight_.begin() + count);
  Slots flat;
  for (V tile : llvm::make_filter_range(landing, [](V tile) { return bool(tile); }))
    flat.append(registers_[tile]);
  if (flat.empty()) {
    NVVM::WgmmaWaitGroupSyncOp::create(builder_, loc_, inFlight_.size());
    return;
  }
  WarpgroupWait wait{static_cast<int64_t>(inFlight_.size()), static_cast<int64_t>(flat.size())};
  auto type =
      LLVM::LLVMStructType::getLiteral(builder_.getContext(), SmallVector<Type>(flat.size(), builder_.getF32Type()));
  Slots landed = emitAssembly(type, flat, wait.text(), wait.constraints());
  size_t next = 0;
  for (V tile : llvm::make_filter_range(landing, [](V tile) { return bool(tile); }))
    for (V &slot : registers_[tile])
      slot = landed[next++];
}

} // namespace oriel::codegen::nvidia
