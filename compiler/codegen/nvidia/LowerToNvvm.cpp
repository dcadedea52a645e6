// From a module of tile kernels to a module of the LLVM dialect with NVVM intrinsics.
#include "compiler/codegen/nvidia/KernelLowering.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
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

/// The special function unit knows powers of two; everything else is made from them.
static LogicalResult lowerTranscendentals(ModuleOp module) {
  WalkResult result = module.walk([](Operation *op) {
    OpBuilder b(op);
    Location loc = op->getLoc();
    Type f32 = b.getF32Type();
    auto constant = [&](float value) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value)); };
    auto call = [&](StringRef name, Value x) -> Value {
      return LLVM::CallIntrinsicOp::create(b, loc, f32, b.getStringAttr(name), ValueRange{x}).getResult(0);
    };
    Value replacement;
    if (auto exp = dyn_cast<math::ExpOp>(op))
      replacement = call("llvm.nvvm.ex2.approx.f32", arith::MulFOp::create(b, loc, exp.getOperand(), constant(1.44269504f)));
    else if (auto log = dyn_cast<math::LogOp>(op))
      replacement = arith::MulFOp::create(b, loc, call("llvm.nvvm.lg2.approx.f", log.getOperand()), constant(0.69314718f));
    else if (auto rsqrt = dyn_cast<math::RsqrtOp>(op))
      replacement = call("llvm.nvvm.rsqrt.approx.f", rsqrt.getOperand());
    else if (isa<math::MathDialect>(op->getDialect()) && !isa<math::FmaOp, math::AbsFOp, math::SqrtOp>(op)) {
      op->emitOpError("has no lowering to NVIDIA GPUs");
      return WalkResult::interrupt();
    }
    if (replacement) {
      op->getResult(0).replaceAllUsesWith(replacement);
      op->erase();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
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

FailureOr<OwningOpRef<ModuleOp>> lowerToNvvm(ModuleOp module, const NvidiaTarget &target,
                                             SmallVectorImpl<NvidiaKernelInfo> &kernels) {
  MLIRContext *context = module.getContext();
  context->loadDialect<LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect, arith::ArithDialect, math::MathDialect>();
  OwningOpRef<ModuleOp> lowered = ModuleOp::create(module.getLoc());
  declareSharedMemory(*lowered);
  for (auto kernel : module.getOps<tile::KernelOp>()) {
    KernelLowering lowering(kernel, *lowered);
    if (lowering.sharedBytes() > target.sharedBytes)
      return kernel.emitOpError("needs ") << lowering.sharedBytes() << " bytes of shared memory for its tiles and " << target.chip
                                          << " has " << target.sharedBytes << "; use a smaller chunk or head size";
    if (failed(lowering.run()))
      return failure();
    ArrayRef<int64_t> grid = kernel.getGrid();
    kernels.push_back({kernel.getSymName().str(), {grid[0], grid[1], grid[2]}, threadsPerBlock, lowering.sharedBytes()});
  }
  if (failed(lowerTranscendentals(*lowered)) || failed(convertToLlvm(*lowered)))
    return failure();
  return lowered;
}

} // namespace oriel::codegen::nvidia
