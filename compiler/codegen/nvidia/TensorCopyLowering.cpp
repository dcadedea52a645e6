// Copies by TMA: one thread tells the mbarrier how many bytes will come and starts a copy for each panel of each tile;
// whoever reads waits for the mbarrier's phase. All mbarriers are made ready when the kernel begins.
#include "compiler/codegen/nvidia/BufferAccess.h"
#include "compiler/codegen/nvidia/RegisterLowering.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

// ---- Mbarriers ------------------------------------------------------------------------------------------------------

/// One arrival completes a phase, that of the thread that starts the copies. The fence lets TMA see the mbarriers, the
/// barrier the other threads.
void RegisterLowering::initMbarriers() {
  if (placement_.mbarriers() == 0)
    return;
  byElectedThread([&] {
    for (int64_t number = 0; number < placement_.mbarriers(); ++number)
      NVVM::MBarrierInitOp::create(builder_, loc_, mbarrierPointer(number, {}), i32(1), V());
    fenceAsyncProxy();
    for (V map : tensorMaps_)
      NVVM::PrefetchOp::create(builder_, loc_, NVVM::PrefetchCacheLevelAttr(), NVVM::CacheEvictionPriorityAttr(), map,
                               V(), /*tensormap=*/true);
  });
  barrier();
}

/// Of a pipeline, whose mbarriers follow one another, that of a stage; null: of no pipeline.
V RegisterLowering::mbarrierPointer(int64_t number, V stage) {
  V first = i32(placement_.mbarrierOffset(number));
  int64_t bytes = placement_.mbarrierOffset(number + 1) - placement_.mbarrierOffset(number);
  return sharedPointer(stage ? add(first, mul(stage, i32(bytes))) : first);
}

/// Of the first warp, which goes there as a whole.
void RegisterLowering::byElectedThread(llvm::function_ref<void()> body) {
  OpBuilder::InsertionGuard guard(builder_);
  V isFirst = compare(arith::CmpIPredicate::eq, warp_, i32(0));
  auto warp = scf::IfOp::create(builder_, loc_, isFirst, /*withElseRegion=*/false);
  builder_.setInsertionPointToStart(&warp.getThenRegion().front());
  V isElected = NVVM::ElectSyncOp::create(builder_, loc_, builder_.getI1Type(), V());
  auto thread = scf::IfOp::create(builder_, loc_, isElected, /*withElseRegion=*/false);
  builder_.setInsertionPointToStart(&thread.getThenRegion().front());
  body();
}

/// try_wait gives up after a while, so it is asked again.
void RegisterLowering::waitForPhase(V mbarrier, V parity) {
  OpBuilder::InsertionGuard guard(builder_);
  auto loop = scf::WhileOp::create(builder_, loc_, TypeRange(), ValueRange());
  builder_.createBlock(&loop.getBefore());
  V isOver = NVVM::MBarrierTryWaitOp::create(builder_, loc_, builder_.getI1Type(), mbarrier, parity, V());
  V goesOn = arith::XOrIOp::create(builder_, loc_, isOver,
                                   arith::ConstantIntOp::create(builder_, loc_, /*value=*/1, /*width=*/1));
  scf::ConditionOp::create(builder_, loc_, goesOn, ValueRange());
  builder_.createBlock(&loop.getAfter());
  scf::YieldOp::create(builder_, loc_);
}

// ---- Copies ---------------------------------------------------------------------------------------------------------

void RegisterLowering::startTensorCopies(ArrayRef<tile::LoadOp> loads, V mbarrier) {
  // What all threads know is computed before one of them is left alone.
  SmallVector<SmallVector<V>> coordinates;
  int64_t bytes = 0;
  for (tile::LoadOp load : loads) {
    SmallVector<V> &ofLoad = coordinates.emplace_back();
    for (V index : llvm::reverse(load.getIndices()))
      ofLoad.push_back(toI32(scalar(index)));
    bytes += placement_.homeOf(load.getTile())->stageBytes();
  }
  byElectedThread([&] {
    NVVM::MBarrierArriveExpectTxOp::create(builder_, loc_, TypeRange(), mbarrier, i32(bytes),
                                           NVVM::MemScopeKind::CTA, /*relaxed=*/false, V());
    for (size_t i = 0; i < loads.size(); ++i) {
      tile::LoadOp load = loads[i];
      loc_ = load.getLoc();
      copyPanels(load, coordinates[i], mbarrier);
    }
  });
}

void RegisterLowering::copyPanels(tile::LoadOp op, ValueRange coordinates, V mbarrier) {
  const Home &home = *placement_.homeOf(op.getTile());
  V map = tensorMaps_[placement_.tensorCopyOf(op.getTile())->map], stage = stageOffsets_.lookup(op.getTile());
  int64_t elementBytes = BufferAccess(op).elementBytes();
  auto cluster = LLVM::LLVMPointerType::get(builder_.getContext(), 7); // a block's shared memory is part of a cluster's
  for (int64_t panel = 0; panel * home.swizzleBytes < home.rowBytes; ++panel) {
    V place = i32(home.offset + panel * home.panelBytes());
    V target = LLVM::AddrSpaceCastOp::create(builder_, loc_, cluster, sharedPointer(stage ? add(place, stage) : place));
    SmallVector<V> box(coordinates);
    box[0] = add(box[0], i32(panel * home.swizzleBytes / elementBytes));
    NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(builder_, loc_, target, map, box, mbarrier, ValueRange(),
                                                           V(), V(), NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false,
                                                           NVVM::CTAGroupKindAttr(), V());
  }
}

// ---- Single loads ---------------------------------------------------------------------------------------------------

/// The parity of the phase that a load's last copy completes is a variable of the thread: a load in a loop turns it
/// over each time. Waiting for it twice is no harm, so nobody need know on which ways it was waited for.
void RegisterLowering::copyHomeByTma(tile::LoadOp op) {
  beginWrite(homeResource(op.getTile()));
  int64_t number = placement_.tensorCopyOf(op.getTile())->mbarrier;
  V parity = parities_[number] = variable(1);
  V before = LLVM::LoadOp::create(builder_, loc_, builder_.getI32Type(), parity);
  LLVM::StoreOp::create(builder_, loc_, arith::XOrIOp::create(builder_, loc_, before, i32(1)), parity);
  startTensorCopies(op, mbarrierPointer(number, {}));
  hazards_.startTensorCopy(number, homeResource(op.getTile()));
}

void RegisterLowering::waitForTensorCopy(int64_t mbarrier) {
  V parity = LLVM::LoadOp::create(builder_, loc_, builder_.getI32Type(), parities_.lookup(mbarrier));
  waitForPhase(mbarrierPointer(mbarrier, {}), parity);
}

} // namespace oriel::codegen::nvidia
