// From a module of tile kernels to a module of the LLVM dialect with NVVM intrinsics.
#include "compiler/codegen/nvidia/HoistCopies.h"
#include "compiler/codegen/nvidia/LowerTranscendentals.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/RegisterLowering.h"
#include "dialects/tile/BlockShape.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/LLVMTranslationInterface.h"
#include "mlir/Transforms/Passes.h"
#include <limits>

using namespace mlir;

namespace oriel::codegen::nvidia {

/// Dynamic shared memory has no size at compile time and must be external (gpu.dynamic_shared_memory is neither).
/// The swizzles of wgmma repeat every 1024 bytes.
static void declareSharedMemory(ModuleOp module, const NvidiaTarget &target) {
  OpBuilder builder(module.getBodyRegion());
  auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
  LLVM::GlobalOp::create(builder, module.getLoc(), bytes, /*isConstant=*/false, LLVM::Linkage::External, "oriel_shared",
                         Attribute(), /*alignment=*/target.hasWgmma ? 1024 : 128, /*addrSpace=*/3);
}

static void addConversions(PassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

static LogicalResult convertToLlvm(ModuleOp module) {
  PassManager pm(module.getContext());
  addConversions(pm);
  return pm.run(module);
}

void prepareContext(MLIRContext &context) {
  Dialect *nvvm = context.getLoadedDialect<NVVM::NVVMDialect>();
  if (nvvm && nvvm->getRegisteredInterface<LLVMTranslationDialectInterface>())
    return; // done
  registerBuiltinDialectTranslation(context);
  registerLLVMDialectTranslation(context);
  registerNVVMDialectTranslation(context);
  PassManager pm(&context);
  addConversions(pm);
  DialectRegistry ofPasses;
  pm.getDependentDialects(ofPasses);
  context.appendDialectRegistry(ofPasses);
  for (StringRef name : ofPasses.getDialectNames())
    context.getOrLoadDialect(name);
  context.loadDialect<LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect, arith::ArithDialect, math::MathDialect>();
}

/// Four warps, or eight where the tiles of four would not leave a thread enough registers for the rest of its work, which
/// is little where wgmma reads operands from shared memory. Of a multiprocessor's 65536 registers that is room for two
/// blocks, or for one; copies are started as many iterations ahead as the blocks' shares of its shared memory allow. A
/// kernel may ask for another shape (dialects/tile/BlockShape.h).
static TilePlacement placeTiles(tile::KernelOp kernel, const NvidiaTarget &target) {
  constexpr int64_t mostStages = 4;
  tile::BlockShape asked = tile::blockShapeOf(kernel);
  TilePlacement placement(kernel, asked.warps ? asked.warps : 4, /*stages=*/1, target.hasWgmma);
  bool isLarge = asked.warps ? asked.warps > 4 : placement.peakRegisters() > (placement.usesWarpgroups() ? 200 : 168);
  int64_t warps = asked.warps ? asked.warps : isLarge ? 8 : 4;
  for (int64_t stages = asked.stages ? asked.stages : mostStages; stages > 1; --stages) {
    TilePlacement ahead(kernel, warps, stages, target.hasWgmma);
    if (ahead.stages() == 1)
      break;
    if (asked.stages || ahead.sharedBytes() <= target.sharedBytes / (isLarge ? 1 : 2))
      return ahead;
  }
  return warps == placement.warps() ? placement : TilePlacement(kernel, warps, /*stages=*/1, target.hasWgmma);
}

/// Why no block of the target can run the kernel, as an error at the kernel.
static LogicalResult refuse(tile::KernelOp kernel, const TilePlacement &placement, const NvidiaTarget &target) {
  if (!placement.isConsistent())
    return kernel.emitOpError("carries a tile of a loop to its own transpose, which no layout in registers can be; "
                              "transpose it before or after the loop");
  return kernel.emitError() << kernel.getSymName() << " needs " << placement.sharedBytes()
                            << " bytes of shared memory for its tiles and " << target.chip << " has "
                            << target.sharedBytes << "; use a smaller chunk or head size";
}

namespace {
/// A kernel with the places of its tiles. The form is the kernel itself or, with copies started early, a clone of it.
struct PlacedKernel {
  OwningOpRef<ModuleOp> scratch; // holds the clone
  tile::KernelOp form;
  TilePlacement placement;
};
} // namespace

/// With copies started early, or where they stand: the first whose tiles fit in the registers of a thread, 240 of 255,
/// or else the first that fits in shared memory at all; ptxas finds a place for the rest.
static FailureOr<PlacedKernel> placeKernel(tile::KernelOp kernel, const NvidiaTarget &target) {
  OwningOpRef<ModuleOp> scratch = ModuleOp::create(kernel.getLoc());
  auto early = cast<tile::KernelOp>(OpBuilder::atBlockEnd(scratch->getBody()).clone(*kernel));
  hoistCopies(early);
  TilePlacement ofEarly = placeTiles(early, target), ofKernel = placeTiles(kernel, target);
  for (int64_t mostRegisters : {int64_t(240), std::numeric_limits<int64_t>::max()})
    for (auto [form, placement] : {std::pair(early, &ofEarly), std::pair(kernel, &ofKernel)})
      if (placement->isConsistent() && placement->sharedBytes() <= target.sharedBytes &&
          placement->peakRegisters() <= mostRegisters)
        return PlacedKernel{std::move(scratch), form, std::move(*placement)};
  return refuse(kernel, ofKernel, target);
}

static NvidiaKernelInfo infoOf(tile::KernelOp kernel, const TilePlacement &placement) {
  ArrayRef<int64_t> grid = kernel.getGrid();
  return {kernel.getSymName().str(),       {grid[0], grid[1], grid[2]}, placement.warps() * 32, placement.sharedBytes(),
          placement.stages(), placement.peakRegisters(), placement.warpgroupShare(),
          SmallVector<NvidiaTensorMap, 0>(placement.tensorMaps())};
}

FailureOr<NvidiaKernelInfo> planKernel(tile::KernelOp kernel, const NvidiaTarget &target) {
  FailureOr<PlacedKernel> placed = placeKernel(kernel, target);
  if (failed(placed))
    return failure();
  return infoOf(kernel, placed->placement);
}

static FailureOr<NvidiaKernelInfo> lowerKernel(tile::KernelOp kernel, ModuleOp into, const NvidiaTarget &target) {
  FailureOr<PlacedKernel> placed = placeKernel(kernel, target);
  if (failed(placed) || failed(RegisterLowering(placed->form, into, placed->placement).run()))
    return failure();
  return infoOf(kernel, placed->placement);
}

FailureOr<OwningOpRef<ModuleOp>> lowerToNvvm(ModuleOp module, const NvidiaTarget &target,
                                             SmallVectorImpl<NvidiaKernelInfo> &kernels) {
  prepareContext(*module.getContext());
  OwningOpRef<ModuleOp> lowered = ModuleOp::create(module.getLoc());
  declareSharedMemory(*lowered, target);
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
