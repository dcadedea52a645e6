#include "compiler/pipeline/Pipeline.h"
#include "compiler/conversion/Passes.h"
#include "compiler/transforms/Passes.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/FormatVariadic.h"
#include <mutex>

namespace oriel::pipeline {

namespace {

/// From scheduled lm to placed tape, as text: the schedule lowers copies of the module on trial.
std::string loweringText(const PipelineOptions &options) {
  return llvm::formatv(
      "oriel-fuse-mixers,oriel-lm-to-tape{{world={0} grad-slots={1} bucket-bytes={2} tiles={3}},{4}{5}"
      "oriel-assign-buffers",
      options.world, options.gradSlots, options.bucketBytes, options.tiles, options.bf16 ? "oriel-choose-storage," : "",
      options.world > 1 ? "oriel-reduce-gradients," : "");
}

/// A block of a GPU has no room for the whole state of a head beside a window, and of longer chunks only an assembler tells
/// whether it has room for their tiles.
constexpr int64_t mostChunkTokens = 256, mostAssembledChunkTokens = 128, mostChunkTokensOfBlock = 32;

void registerPassesOnce() {
  static std::once_flag registered;
  std::call_once(registered, [] {
    transforms::registerTransformsPasses();
    conversion::registerConversionPasses();
  });
}

} // namespace

void buildPipeline(mlir::OpPassManager &pm, const PipelineOptions &options, Phase last) {
  registerPassesOnce();
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

  // 3. What each recurrent mixer and each op keeps for the backward, what is made again, and which
  //    mixers are fused.
  bool forGpu = options.tiles != "cpu";
  int64_t longestOfBlock = options.probe ? mostAssembledChunkTokens : mostChunkTokensOfBlock;
  pm.addPass(transforms::createScheduleStatesPass(
      {options.scheduleFile, options.memoryBudget, options.deviceFile, options.cores, options.tuningFile,
       options.problemFile, loweringText(options), forGpu ? longestOfBlock : mostChunkTokens, !forGpu},
      options.probe));
  pm.addPass(transforms::createFuseMixersPass());
  if (last == Phase::Scheduled)
    return;

  // 4. Kernels, library products and collectives in order; the optimizer's programs beside the model's.
  pm.addPass(conversion::createLmToTapePass(
      {options.world, options.gradSlots, options.bucketBytes, options.tiles}));
  if (last == Phase::Tape)
    return;

  // 5. What lies in bf16.
  if (options.bf16)
    pm.addPass(transforms::createChooseStoragePass({/*insideBranches=*/!forGpu}));

  // 6. Gradients are summed over ranks while the backward goes on.
  if (options.world > 1)
    pm.addPass(transforms::createReduceGradientsPass());

  // 7. A place for every byte.
  pm.addPass(transforms::createAssignBuffersPass());
}

namespace {
struct CompileOptions : mlir::PassPipelineOptions<CompileOptions> {
  Option<int64_t> world{*this, "world", llvm::cl::desc("ranks of the fsdp axis"), llvm::cl::init(1)};
  Option<int64_t> gradSlots{*this, "grad-slots", llvm::cl::desc("slots of the gradient stack"), llvm::cl::init(1)};
  Option<int64_t> bucketBytes{*this, "bucket-bytes", llvm::cl::desc("gradients summed over ranks in one collective"),
                              llvm::cl::init(defaultBucketBytes)};
  Option<int64_t> memoryBudget{*this, "memory-budget",
                               llvm::cl::desc("bytes of the whole plan; 0: no limit; -1: least; -2: auto")};
  Option<std::string> scheduleFile{*this, "schedule-file", llvm::cl::desc("tape.schedule text to use")};
  Option<bool> bf16{*this, "bf16", llvm::cl::desc("activations in bf16"), llvm::cl::init(false)};
  Option<std::string> tiles{*this, "tiles", llvm::cl::desc("what tiles are sized for: cpu, nvidia, nvidia-large, nvidia-bf16 or nvidia-warpgroup"),
                            llvm::cl::init("cpu")};
};
} // namespace

void registerPassesAndPipelines() {
  registerPassesOnce();
  mlir::PassPipelineRegistration<CompileOptions>("oriel-compile", "lm to placed tape: every pass of orielc in order",
                                                 [](mlir::OpPassManager &pm, const CompileOptions &options) {
                                                   PipelineOptions pipeline;
                                                   pipeline.world = options.world;
                                                   pipeline.gradSlots = options.gradSlots;
                                                   pipeline.bucketBytes = options.bucketBytes;
                                                   pipeline.scheduleFile = options.scheduleFile;
                                                   pipeline.memoryBudget = options.memoryBudget;
                                                   pipeline.bf16 = options.bf16;
                                                   pipeline.tiles = options.tiles;
                                                   buildPipeline(pm, pipeline, Phase::Placed);
                                                 });
}

} // namespace oriel::pipeline
