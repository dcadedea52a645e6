// Two conversions, structured control flow and composite arith ops first, then everything to the LLVM dialect; and IR.
#include "compiler/codegen/cpu/LowerToLlvm.h"

#include "compiler/codegen/host/EmitObject.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/DialectConversion.h"
#include "llvm/IR/Module.h"

using namespace mlir;

namespace oriel::codegen {

namespace {
/// A loop that tests at its end, so that LLVM has nothing to rotate: where the bounds are constants it counts to the exact
/// end, elsewhere a test before it skips a loop of no rounds. Bounds and steps are sizes of tiles and buffers: no sum of
/// them wraps around, signed or not, once the lower bound is not negative.
struct LowerForToEndTest : OpConversionPattern<scf::ForOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(scf::ForOp loop, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    Location loc = loop.getLoc();
    std::optional<APInt> rounds = loop.getStaticTripCount();
    std::optional<int64_t> lower = getConstantIntValue(loop.getLowerBound()), step = getConstantIntValue(loop.getStep());
    bool counted = rounds && lower && step;
    if (counted && rounds->isZero()) {
      rewriter.replaceOp(loop, adaptor.getInitArgs());
      return success();
    }
    Block *before = rewriter.getInsertionBlock(), *after = rewriter.splitBlock(before, rewriter.getInsertionPoint());
    Block *first = &loop.getRegion().front(), *last = &loop.getRegion().back();
    auto yield = cast<scf::YieldOp>(last->getTerminator());
    rewriter.inlineRegionBefore(loop.getRegion(), after);
    SmallVector<Location> locations(loop.getNumResults(), loc);
    after->addArguments(loop.getResultTypes(), locations);

    rewriter.setInsertionPointToEnd(last);
    auto noWrap = arith::IntegerOverflowFlags::nsw;
    Value next = arith::AddIOp::create(rewriter, loc, first->getArgument(0), adaptor.getStep(), noWrap);
    Value more;
    if (counted) {
      Value end = arith::ConstantIndexOp::create(rewriter, loc, *lower + rounds->getSExtValue() * *step);
      more = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::ne, next, end);
    } else {
      more = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::slt, next, adaptor.getUpperBound());
    }
    SmallVector<Value> carried = {next};
    llvm::append_range(carried, yield.getOperands());
    cf::CondBranchOp::create(rewriter, loc, more, first, carried, after, yield.getOperands());
    rewriter.eraseOp(yield);

    rewriter.setInsertionPointToEnd(before);
    SmallVector<Value> start = {adaptor.getLowerBound()};
    llvm::append_range(start, adaptor.getInitArgs());
    if (counted) {
      cf::BranchOp::create(rewriter, loc, first, start);
    } else {
      Value any = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::slt, adaptor.getLowerBound(),
                                        adaptor.getUpperBound());
      cf::CondBranchOp::create(rewriter, loc, any, first, start, after, adaptor.getInitArgs());
    }
    rewriter.replaceOp(loop, after->getArguments());
    return success();
  }
};
} // namespace

static LogicalResult flattenControlFlow(ModuleOp module) {
  RewritePatternSet patterns(module.getContext());
  populateSCFToControlFlowConversionPatterns(patterns);
  patterns.add<LowerForToEndTest>(module.getContext(), /*benefit=*/2);
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  ConversionTarget target(*module.getContext());
  target.addIllegalDialect<scf::SCFDialect>();
  target.addIllegalOp<arith::CeilDivSIOp, arith::FloorDivSIOp, arith::CeilDivUIOp>();
  target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
  return applyPartialConversion(module, target, std::move(patterns));
}

LogicalResult lowerToLlvmDialect(ModuleOp module) {
  MLIRContext *context = module.getContext();
  if (failed(flattenControlFlow(module)))
    return failure();
  LLVMTypeConverter converter(context);
  RewritePatternSet patterns(context);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalOp<ModuleOp>();
  return applyFullConversion(module, target, std::move(patterns));
}

void prepareContext(MLIRContext &context) {
  registerBuiltinDialectTranslation(context);
  registerLLVMDialectTranslation(context);
  context.loadDialect<LLVM::LLVMDialect, cf::ControlFlowDialect>();
}

std::unique_ptr<llvm::Module> translateToLlvm(ModuleOp module, const CpuTarget &target,
                                              llvm::LLVMContext &context) {
  std::unique_ptr<llvm::Module> result = translateModuleToLLVMIR(module, context, "oriel_kernels");
  if (result)
    setTargetAttributes(*result, target);
  return result;
}

} // namespace oriel::codegen
