// What the steps of tape programs cost, by the lm op that they come from.
//
// To know what an op costs, its function is lowered on trial: a copy of the module goes through the real lowering with
// the ops' numbers, counted in their function, as locations; the steps of the tape are then counted for their op.
#ifndef ORIEL_COMPILER_TRANSFORMS_STEPCOSTS_H
#define ORIEL_COMPILER_TRANSFORMS_STEPCOSTS_H

#include "compiler/schedule/Cost.h"
#include "compiler/schedule/Problem.h"
#include "dialects/tape/TapeOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace oriel::transforms {

/// What `op`, a step of a program, does; `module` has the kernels that are called.
schedule::Work workOf(mlir::Operation *op);

/// The real lowering, from scheduled lm functions to placed tape programs, on a copy of a module.
class TrialLowering {
public:
  /// What is tried of recurrent mixers.
  struct MixerRange {
    int64_t mostChunkTokens = 256;
    bool fused = true;
  };

  /// `pipeline` is the text of the passes, which must be registered.
  TrialLowering(std::string pipeline, MixerRange mixers) : pipeline_(std::move(pipeline)), mixers_(mixers) {}

  const MixerRange &mixers() const { return mixers_; }

  /// The lowered copy; steps carry the number of their op. The module itself is unchanged.
  mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> run(mlir::ModuleOp module) const;

private:
  std::string pipeline_;
  MixerRange mixers_;
};

/// Leaves the number of cores for the lowering: attribute tape.cores.
void markCores(mlir::ModuleOp module, const schedule::CostModel &model);

/// The number of the lm op that a step comes from; -1: none.
int64_t numberOf(mlir::Operation *step);

/// The steps of one program, by the number of their lm op.
class StepCosts {
public:
  /// `program` is what `function` became in a trial.
  StepCosts(mlir::func::FuncOp function, tape::ProgramOp program, const schedule::CostModel &model);

  /// Steps of `op`, an op of the function; empty when it became none.
  schedule::Interval stepsOf(mlir::Operation *op) const;
  double secondsOf(mlir::Operation *op) const;
  /// Whether the time of each of its kernels and products was measured, not predicted.
  bool wasMeasured(mlir::Operation *op) const;
  double totalSeconds() const { return totalSeconds_; }
  int64_t stepCount() const { return stepCount_; }

  /// A piece of the arena: the op that made it, and how long it lives. Where a result is written over a dead input, the
  /// two are two pieces: what is kept and what is made again is decided for each.
  struct Piece {
    mlir::Operation *maker = nullptr; // null: of no op of the function
    std::string layer;
    int64_t bytes = 0;
    schedule::Interval life;
    bool isWrittenOver = false;                   // by another piece at the last step of its life
    llvm::SmallVector<mlir::Operation *> readers; // ops of the function
  };
  llvm::ArrayRef<Piece> pieces() const { return pieces_; }

private:
  void addPieces(tape::ProgramOp program, llvm::ArrayRef<mlir::Operation *> numbered);
  Piece newPiece(mlir::Operation *step, int64_t at, int64_t bytes, llvm::ArrayRef<mlir::Operation *> numbered) const;

  struct Cost {
    schedule::Interval steps;
    double seconds = 0;
    bool measured = true;
  };
  llvm::DenseMap<mlir::Operation *, Cost> costs_;
  std::vector<Piece> pieces_;
  double totalSeconds_ = 0;
  int64_t stepCount_ = 0;
};

} // namespace oriel::transforms

#endif
