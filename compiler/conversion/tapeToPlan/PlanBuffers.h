// The buffers of a plan: collected from the places of a tape module, found again by place.
#ifndef ORIEL_COMPILER_CONVERSION_TAPETOPLAN_PLANBUFFERS_H
#define ORIEL_COMPILER_CONVERSION_TAPETOPLAN_PLANBUFFERS_H

#include "dialects/tape/TapeOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/plan/plan.pb.h"

#include <vector>

namespace oriel::conversion {

class PlanBuffers {
public:
  /// Adds to `plan`: state (params, grads, adam_m, adam_v of a model), the caller's buffers, one arena per program, and
  /// one buffer of constants whose bytes go to `constants`.
  static mlir::FailureOr<PlanBuffers> collect(mlir::ModuleOp module, plan::Plan &plan, std::vector<char> &constants);

  /// The reference to `place` in a step of `program`.
  plan::Ref refTo(tape::ProgramOp program, tape::PlaceAttr place) const;

private:
  unsigned add(plan::Plan &plan, llvm::StringRef name, mlir::RankedTensorType type, plan::Placement placement);
  void addState(mlir::ModuleOp module, plan::Plan &plan);
  mlir::LogicalResult addCallerBuffer(mlir::Operation *op, plan::Plan &plan, tape::PlaceAttr place, mlir::Type type);
  void addArena(plan::Plan &plan, tape::ProgramOp program);
  void addConstants(mlir::ModuleOp module, plan::Plan &plan, std::vector<char> &bytes);

  llvm::StringMap<unsigned> indices_;
};

plan::DType dtypeOf(mlir::Type elementType);
/// The name under which a program's arena stands in the plan.
std::string arenaName(tape::ProgramOp program);

} // namespace oriel::conversion

#endif
