// From a placed tape module to the plan that the runtime walks: the last step above the wall. Writes no files.
#ifndef ORIEL_COMPILER_CONVERSION_TAPETOPLAN_BUILDPLAN_H
#define ORIEL_COMPILER_CONVERSION_TAPETOPLAN_BUILDPLAN_H

#include "mlir/IR/BuiltinOps.h"
#include "runtime/plan/plan.pb.h"

#include <functional>
#include <string>
#include <vector>

namespace oriel::conversion {

/// What the code generator says of a kernel; the fields of plan::Launch.
struct LaunchFacts {
  uint64_t scratchBytes = 0;
  int64_t threads = 0;
  uint64_t sharedBytes = 0;
  int64_t registers = 0, spillBytes = 0, tensorInstructions = 0, stages = 0;
  double warpgroupShare = 0;
  std::vector<plan::TensorMap> tensorMaps = {};
};

struct PlanOptions {
  std::function<LaunchFacts(llvm::StringRef symbol)> launchFacts;
  plan::Target target;
  std::string producer;  // "orielc 0.1.0"
  std::string modelText; // the source
};

struct PlanArtifact {
  plan::Plan plan;             // without kernels_checksum, which only the writer of kernels.so knows
  std::vector<char> constants; // the bytes of constants.bin; their checksum is in the plan
};

/// Preconditions: `oriel-lm-to-tape` and `oriel-assign-buffers` ran, and the tile.kernels are still in the module
/// (their grids are read). Errors are emitted at the op that has no place or cannot be said in a plan.
mlir::FailureOr<PlanArtifact> buildPlan(mlir::ModuleOp module, const PlanOptions &options);

/// Hex XXH3-128 over the module's text and the target: everything that determines the numbers.
std::string fingerprintOf(mlir::ModuleOp module, const plan::Target &target);

} // namespace oriel::conversion

#endif
