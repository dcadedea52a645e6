// The ordered list of passes from an lm module to a placed tape module. Read buildPipeline as a table of contents.
#ifndef ORIEL_COMPILER_PIPELINE_PIPELINE_H
#define ORIEL_COMPILER_PIPELINE_PIPELINE_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include <cstdint>
#include <string>

namespace oriel::transforms {
class KernelProbe;
}

namespace oriel::pipeline {

/// The ends of the phases, in order. Each is a place where the IR can be looked at.
enum class Phase {
  Primitives, ///< lm without composite ops
  Step,       ///< lm with @micro or @vjp: forward and backward
  Scheduled,  ///< the same with the state-save schedule decided
  Tape,       ///< tape programs and the tile kernels they call
  Placed      ///< every buffer has an offset
};

inline constexpr int64_t defaultBucketBytes = int64_t(25) << 20;

struct PipelineOptions {
  int64_t world = 1;        ///< ranks of the fsdp axis
  int64_t gradSlots = 1;    ///< slots of the gradient stack
  int64_t bucketBytes = defaultBucketBytes; ///< of gradients that ranks sum in one collective; 0: all in one
  std::string scheduleFile; ///< tape.schedule text that overrides the solver; empty: none
  /// Bytes of the whole plan; 0: no limit; -1: as few as possible; -2: as few as half a percent of time allows.
  int64_t memoryBudget = 0;
  std::string deviceFile;    ///< device descriptor; empty: the shipped default
  int64_t cores = 0;         ///< of the CPU that the descriptor is scaled to; 0: the descriptor's
  std::string tuningFile;    ///< tuning record; empty: none
  std::string problemFile;   ///< where the schedule problem is written as text; empty: nowhere
  std::string tiles = "cpu"; ///< what the tiles of kernels are sized for: "cpu", "nvidia", "nvidia-large", "nvidia-bf16" or "nvidia-warpgroup"
  transforms::KernelProbe *probe = nullptr; ///< of the GPU's kernels, while the schedule is chosen; null: none
  bool bf16 = false;         ///< activations and the operands of products in bf16; otherwise all is f32
};

/// Adds the passes up to the end of `last` (and registers those that are looked up by name). The input is what
/// compiler/frontend imports, or an lm module with `lm.vjp`.
void buildPipeline(mlir::OpPassManager &pm, const PipelineOptions &options, Phase last);

/// The dialects of the whole pipeline: ours and those of MLIR that tile kernels are written with.
void registerDialects(mlir::DialectRegistry &registry);

/// Registers every pass of the compiler and the pipeline `--oriel-compile`, for oriel-opt.
void registerPassesAndPipelines();

} // namespace oriel::pipeline

#endif
