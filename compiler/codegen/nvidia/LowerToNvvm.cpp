// From a module of tile kernels to a module of the LLVM dialect with NVVM intrinsics.
#include "compiler/codegen/nvidia/HoistCopies.h"
#include "compiler/codegen/nvidia/KernelLowering.h"
#include "compiler/codegen/nvidia/LowerTranscendentals.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/RegisterLowering.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

/// Dynamic shared memory has no size at compile time and must be external (gpu.dynamic_shared_memory is neither).
static void declareSharedMemory(ModuleOp module) {
  OpBuilder builder(module.getBodyRegion());
  auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
  LLVM::GlobalOp::create(builder, module.getLoc(), bytes, /*isConstant=*/false, LLVM::Linkage::External, "oriel_shared",
                         Attribute(), /*alignment=*/128, /*addrSpace=*/3);
}

static LogicalResult convertToLlvm(ModuleOp module) {
  PassManager pm(module.getContext());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  return pm.run(module);
}

/// Four warps, or eight where the tiles of four would not leave a thread enough registers for the rest of its work. Of
/// a multiprocessor's 65536 registers that is room for two blocks, or for one; copies are started as many iterations
/// ahead as the blocks' shares of its shared memory allow.
static TilePlacement placeTiles(tile::KernelOp kernel, const NvidiaTarget &target) {
  constexpr int64_t registersOfTiles = 168, mostStages = 4;
  TilePlacement placement(kernel, 4);
  bool isLarge = placement.peakRegisters() > registersOfTiles;
  for (int64_t stages = mostStages; stages > 1; --stages) {
    TilePlacement ahead(kernel, isLarge ? 8 : 4, stages);
    if (!ahead.hasPipelines())
      break;
    if (ahead.sharedBytes() <= target.sharedBytes / (isLarge ? 1 : 2))
      return ahead;
  }
  return isLarge ? TilePlacement(kernel, 8) : placement;
}

/// Whether a thread's registers, of which there are 255, hold its tiles.
static bool fitsRegisters(const TilePlacement &placement) { return placement.peakRegisters() <= 240; }

static bool isPossible(const TilePlacement &placement, const NvidiaTarget &target) {
  return placement.isConsistent() && fitsRegisters(placement) && placement.sharedBytes() <= target.sharedBytes;
}

static FailureOr<NvidiaKernelInfo> lowerInRegisters(tile::KernelOp kernel, ModuleOp into,
                                                    const TilePlacement &placement) {
  ArrayRef<int64_t> grid = kernel.getGrid();
  if (failed(RegisterLowering(kernel, into, placement).run()))
    return failure();
  return NvidiaKernelInfo{
      kernel.getSymName().str(), {grid[0], grid[1], grid[2]}, placement.warps() * 32, placement.sharedBytes()};
}

/// Every tile in shared memory.
static FailureOr<NvidiaKernelInfo> lowerInSharedMemory(tile::KernelOp kernel, ModuleOp into,
                                                       const NvidiaTarget &target) {
  ArrayRef<int64_t> grid = kernel.getGrid();
  KernelLowering lowering(kernel, into);
  if (lowering.sharedBytes() > target.sharedBytes)
    return kernel.emitOpError("needs ") << lowering.sharedBytes() << " bytes of shared memory for its tiles and "
                                        << target.chip << " has " << target.sharedBytes
                                        << "; use a smaller chunk or head size";
  if (failed(lowering.run()))
    return failure();
  return NvidiaKernelInfo{
      kernel.getSymName().str(), {grid[0], grid[1], grid[2]}, threadsPerBlock, lowering.sharedBytes()};
}

/// The first form whose tiles fit: in registers with copies started early, in registers, in shared memory.
static FailureOr<NvidiaKernelInfo> lowerKernel(tile::KernelOp kernel, ModuleOp into, const NvidiaTarget &target) {
  OwningOpRef<ModuleOp> scratch = ModuleOp::create(kernel.getLoc());
  auto early = cast<tile::KernelOp>(OpBuilder::atBlockEnd(scratch->getBody()).clone(*kernel));
  hoistCopies(early);
  for (tile::KernelOp form : {early, kernel})
    if (TilePlacement placement = placeTiles(form, target); isPossible(placement, target))
      return lowerInRegisters(form, into, placement);
  return lowerInSharedMemory(kernel, into, target);
}

FailureOr<OwningOpRef<ModuleOp>> lowerToNvvm(ModuleOp module, const NvidiaTarget &target,
                                             SmallVectorImpl<NvidiaKernelInfo> &kernels) {
  MLIRContext *context = module.getContext();
  context->loadDialect<LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect, arith::ArithDialect, math::MathDialect>();
  OwningOpRef<ModuleOp> lowered = ModuleOp::create(module.getLoc());
  declareSharedMemory(*lowered);
  for (auto kernel : module.getOps<tile::KernelOp>()) {
    FailureOr<NvidiaKernelInfo> info = lowerKernel(kernel, *lowered, target);
    if (failed(info))
      return failure();
    kernels.push_back(*info);
  }
  if (failed(lowerTranscendentals(*lowered)) || failed(convertToLlvm(*lowered)))
    return failure();
  return lowered;
}

} // namespace oriel::codegen::nvidia
