#include "compiler/pipeline/Pipeline.h"
#include "compiler/conversion/Passes.h"
#include "compiler/transforms/Passes.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

namespace oriel::pipeline {

void buildPipeline(mlir::OpPassManager &pm, const PipelineOptions &options, Phase last) {
  // 1. What the model says, in ops that can be differentiated.
  pm.addPass(transforms::createDecomposePass());
  if (last == Phase::Primitives)
    return;

  // 2. Forward and backward in one function; equal subexpressions of both are computed once;
  //    memory-bound ops join their neighbours.
  pm.addPass(transforms::createDifferentiatePass());
  pm.addPass(mlir::createCSEPass());
  pm.addPass(transforms::createFusePointwisePass());
  if (last == Phase::Step)
    return;

  // 3. What each recurrent mixer and each cheap value saves, what is made again, and which mixers are fused.
  pm.addPass(transforms::createScheduleStatesPass({options.scheduleFile, options.memoryBudgetBytes}));
  pm.addPass(transforms::createFuseMixersPass());
  if (last == Phase::Scheduled)
    return;

  // 4. Kernels, library products and collectives in order; the optimizer's programs beside the model's.
  pm.addPass(conversion::createLmToTapePass({options.world, options.gradSlots}));
  if (last == Phase::Tape)
    return;

  // 5. A place for every byte.
  pm.addPass(transforms::createAssignBuffersPass());
}

namespace {
struct CompileOptions : mlir::PassPipelineOptions<CompileOptions> {
  Option<int64_t> world{*this, "world", llvm::cl::desc("ranks of the fsdp axis"), llvm::cl::init(1)};
  Option<int64_t> gradSlots{*this, "grad-slots", llvm::cl::desc("slots of the gradient stack"), llvm::cl::init(1)};
  Option<std::string> scheduleFile{*this, "schedule-file", llvm::cl::desc("tape.schedule text to use")};
};
} // namespace

void registerPassesAndPipelines() {
  transforms::registerTransformsPasses();
  conversion::registerConversionPasses();
  mlir::PassPipelineRegistration<CompileOptions>(
      "oriel-compile", "lm to placed tape: every pass of orielc in order",
      [](mlir::OpPassManager &pm, const CompileOptions &options) {
        buildPipeline(pm, {options.world, options.gradSlots, options.scheduleFile}, Phase::Placed);
      });
}

} // namespace oriel::pipeline
