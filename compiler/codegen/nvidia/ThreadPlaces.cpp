// Where a thread stands in a layout, and tiles in shared memory.
#include "compiler/codegen/nvidia/RegisterLowering.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

// ---- Layouts --------------------------------------------------------------------------------------------------------

V RegisterLowering::warpIndex(const LayoutDim &dim) {
  if (dim.warps == 1)
    return i32(0);
  V index = arith::DivUIOp::create(builder_, loc_, warp_, i32(dim.warpStep));
  return arith::RemUIOp::create(builder_, loc_, index, i32(dim.warps));
}

V RegisterLowering::laneIndex(const LayoutDim &dim) {
  if (dim.lanes == 1)
    return i32(0);
  V index = arith::DivUIOp::create(builder_, loc_, lane_, i32(dim.laneStep));
  return arith::RemUIOp::create(builder_, loc_, index, i32(dim.lanes));
}

RegisterLowering::Coordinate RegisterLowering::place(const LayoutDim &dim, int64_t size, int64_t slot) {
  if (size == 1)
    return {i32(0)};
  V first = add(mul(warpIndex(dim), i32(size / dim.warps)), mul(laneIndex(dim), i32(dim.vector)));
  return {first, slot / dim.vector * dim.lanes * dim.vector + slot % dim.vector};
}

V RegisterLowering::isOwner(const Layout &layout, ArrayRef<int64_t> shape) {
  V owner;
  auto require = [&](V index) {
    V holds = compare(arith::CmpIPredicate::eq, index, i32(0));
    owner = owner ? both(owner, holds) : holds;
  };
  int64_t warps = 1, lanes = 1;
  for (auto [dim, size] : {std::pair(layout.rows, shape[0]), std::pair(layout.cols, shape[1])}) {
    warps *= dim.warps, lanes *= dim.lanes;
    if (size == 1 && dim.warps > 1)
      require(warpIndex(dim));
    if (size == 1 && dim.lanes > 1)
      require(laneIndex(dim));
  }
  if (warps < placement_.warps())
    require(arith::DivUIOp::create(builder_, loc_, warp_, i32(warps)));
  if (lanes < 32)
    require(arith::DivUIOp::create(builder_, loc_, lane_, i32(lanes)));
  return owner;
}

// ---- Order ----------------------------------------------------------------------------------------------------------

/// What was written before a barrier can be read by wgmma after it, which sees shared memory another way than loads and
/// stores do (the async proxy).
void RegisterLowering::apply(Ordering ordering) {
  if (ordering.waitGroups >= 0)
    NVVM::CpAsyncWaitGroupOp::create(builder_, loc_, ordering.waitGroups);
  if (ordering.products >= 0)
    landProducts(inFlight_.size() - ordering.products);
  llvm::for_each(ordering.mbarriers, [&](int64_t mbarrier) { waitForTensorCopy(mbarrier); });
  if (!ordering.barrier)
    return;
  if (placement_.usesWarpgroups())
    fenceAsyncProxy();
  barrier();
}

/// An op reads behind all the barriers that its operands need: that of a later operand orders no read of an earlier
/// one.
void RegisterLowering::readResource(const Resource &resource) {
  Ordering ordering = hazards_.beforeRead(resource);
  apply(ordering);
  if (ordering.barrier)
    for (const Resource &earlier : readsOfOp_)
      hazards_.addRead(earlier);
  readsOfOp_.push_back(resource);
  hazards_.addRead(resource);
}

Resource RegisterLowering::homeResource(V base) {
  const Home *home = placement_.homeOf(base);
  return {0, home->offset, home->offset + home->bytes()};
}

/// An output that may lie on an input counts as that input.
Resource RegisterLowering::bufferResource(V buffer) {
  unsigned number = cast<BlockArgument>(buffer).getArgNumber();
  SmallVector<unsigned> leader(llvm::to_vector(llvm::seq<unsigned>(0, kernel_.getBuffers().size())));
  auto find = [&](unsigned i) {
    while (leader[i] != i)
      i = leader[i];
    return i;
  };
  for (unsigned i = 0; i < leader.size(); ++i)
    for (int64_t input : kernel_.getReplaceable(i))
      leader[find(i)] = find(unsigned(input));
  return {1 + int64_t(find(number)), 0, 1};
}

// ---- Homes ----------------------------------------------------------------------------------------------------------

V RegisterLowering::homePointer(V base, Coordinate row, Coordinate col) {
  const Home *home = placement_.homeOf(base);
  if (home->isTransposed)
    std::swap(row, col);
  int64_t elementBytes = tileType(base).getElementTypeBitWidth() / 8;
  V stage = stageOffsets_.lookup(base);
  if (home->swizzleBytes) {
    V bytes = swizzledPlace(*home, row, mul(number(col), i32(elementBytes)));
    int64_t constant = home->offset + row.constant / 8 * 8 * home->swizzleBytes;
    return gep(builder_.getI8Type(), sharedPointer(stage ? add(bytes, stage) : bytes), i32(constant));
  }
  int64_t constant = home->offset + row.constant * home->rowBytes + col.constant * elementBytes;
  V inRow = mul(col.dynamic, i32(elementBytes));
  if (home->swapsUnits) {
    // What is left of the constant moves by whole pairs of units.
    int64_t inPair = col.constant * elementBytes % 64;
    V isUpper = arith::AndIOp::create(builder_, loc_, number({row.dynamic, row.constant % 8}), i32(4));
    inRow = arith::XOrIOp::create(builder_, loc_, add(inRow, i32(inPair)), mul(isUpper, i32(8)));
    constant -= inPair;
  }
  V bytes = add(mul(row.dynamic, i32(home->rowBytes)), inRow);
  if (stage)
    bytes = add(bytes, stage);
  return gep(builder_.getI8Type(), sharedPointer(bytes), i32(constant));
}

/// Bits 4 and up of the place within a panel, as many as number the units of a row, are flipped by bits 7 and up. Eight
/// rows further they are flipped alike: that part of the row's constant is left to the caller.
V RegisterLowering::swizzledPlace(const Home &home, Coordinate row, V colBytes) {
  V panel = arith::DivUIOp::create(builder_, loc_, colBytes, i32(home.swizzleBytes));
  V inPanel = arith::RemUIOp::create(builder_, loc_, colBytes, i32(home.swizzleBytes));
  V place = add(mul(number({row.dynamic, row.constant % 8}), i32(home.swizzleBytes)), inPanel);
  V above = arith::ShRUIOp::create(builder_, loc_, place, i32(3));
  V flips = arith::AndIOp::create(builder_, loc_, above, i32(home.swizzleBytes - 16));
  place = arith::XOrIOp::create(builder_, loc_, place, flips);
  return add(mul(panel, i32(home.panelBytes())), place);
}

/// Slots that lie side by side are stored as one vector. Of threads that hold the same elements one stores them.
void RegisterLowering::fillHome(V base, const Layout &layout, llvm::function_ref<V(int64_t, int64_t)> element) {
  beginWrite(homeResource(base));
  bool isTransposed = placement_.homeOf(base)->isTransposed;
  ArrayRef<int64_t> shape = tileType(base).getShape();
  Type type = tileType(base).getElementType();
  OpBuilder::InsertionGuard guard(builder_);
  if (V owner = isOwner(layout, shape)) {
    auto branch = scf::IfOp::create(builder_, loc_, owner, /*withElseRegion=*/false);
    builder_.setInsertionPointToStart(&branch.getThenRegion().front());
  }
  const LayoutDim &inner = isTransposed ? layout.rows : layout.cols, &outer = isTransposed ? layout.cols : layout.rows;
  int64_t innerSize = shape[isTransposed ? 0 : 1], outerSize = shape[isTransposed ? 1 : 0];
  int64_t count = innerSize == 1 ? 1 : inner.vector;
  for (int64_t o = 0; o < outer.slots(outerSize); ++o)
    for (int64_t n = 0; n < inner.slots(innerSize); n += count) {
      Coordinate outerAt = place(outer, outerSize, o), innerAt = place(inner, innerSize, n);
      V pointer = isTransposed ? homePointer(base, innerAt, outerAt) : homePointer(base, outerAt, innerAt);
      auto at = [&](int64_t k) { return isTransposed ? element(n + k, o) : element(o, n + k); };
      if (count == 1) {
        LLVM::StoreOp::create(builder_, loc_, at(0), pointer);
        continue;
      }
      V vector = LLVM::PoisonOp::create(builder_, loc_, VectorType::get(count, type));
      for (int64_t k = 0; k < count; ++k)
        vector = LLVM::InsertElementOp::create(builder_, loc_, vector, at(k), i32(k));
      LLVM::StoreOp::create(builder_, loc_, vector, pointer, count * (type.getIntOrFloatBitWidth() / 8));
    }
  hazards_.addWrite(homeResource(base));
}

} // namespace oriel::codegen::nvidia
