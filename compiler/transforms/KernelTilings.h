// The tiles of the kernels of attention and of residual linear attention on GPUs: poses a question for each kernel
// (compiler/schedule/Tiling.h), has it solved, and marks ops with the answers (attribute tape.tiles, which
// compiler/conversion/lmToTape/KernelTiling.h reads). Tiles that a person gave (givenTilesAttr) are no question: they are taken,
// or refused with an error.
#ifndef ORIEL_COMPILER_TRANSFORMS_KERNELTILINGS_H
#define ORIEL_COMPILER_TRANSFORMS_KERNELTILINGS_H

#include "compiler/transforms/KernelProbe.h"
#include "compiler/transforms/StepCosts.h"
#include "compiler/transforms/StepSites.h"

#include <map>
#include <set>

namespace oriel::transforms {

class KernelTilings {
public:
  /// `model` learns what blocks of kernels take. Without a probe nothing is asked: kernels have given tiles or their own.
  KernelTilings(const TrialLowering &lowering, schedule::CostModel &model, KernelProbe *probe)
      : lowering_(lowering), model_(model), probe_(probe) {}

  /// Decides for softmax attention with a gradient in `function`, and for equal ops elsewhere in its module: marks them.
  mlir::LogicalResult decideAttention(mlir::func::FuncOp function);
  /// Decides for a residual linear attention that runs in `way`; `alone` has it and its gradient, which are marked. Ways
  /// that differ in their save interval share the answer of the first: their kernels differ in numbers of trips.
  mlir::LogicalResult decideMixer(mlir::ModuleOp alone, const MixerSite &site, const schedule::MixerWay &way);
  /// Marks the halves of a mixer with what was decided for its like.
  void mark(const MixerSite &site, const schedule::MixerWay &way) const;
  /// The kernels of the mixer were refused: gives them their own tiles. False if they have them, or given ones, or if their
  /// own were refused of another save interval before.
  bool withdraw(const MixerSite &site, const schedule::MixerWay &way);

  /// The questions with the paths of the ops of `sites` that they are about; without questions of other ops.
  std::vector<schedule::TilingQuestion> questionsOf(const StepSites &sites) const;
  /// States the tiles of the ops of `sites`, which are marked, as tape.tiles.
  void write(mlir::OpBuilder &builder, const StepSites &sites) const;

private:
  struct Form;
  mlir::FailureOr<mlir::DictionaryAttr> decide(mlir::ModuleOp alone, llvm::ArrayRef<mlir::Operation *> halves,
                                               const std::string &kind, const schedule::MixerWay *way);
  mlir::LogicalResult takeGiven(mlir::ModuleOp alone, llvm::ArrayRef<mlir::Operation *> halves, const std::string &kind,
                                const schedule::MixerWay *way);
  schedule::TilingCandidate candidateOf(const Form &form, const KernelDemand &demand) const;
  mlir::LogicalResult addForms(mlir::ModuleOp alone, schedule::Tiling tiles, std::map<std::string, std::vector<Form>> &forms);
  mlir::LogicalResult learn(mlir::ModuleOp alone);
  schedule::Tiling solve(llvm::MutableArrayRef<Form> forms, bool hasBlockChoice, schedule::TilingQuestion &question);
  std::string whyOf(mlir::Operation *op, llvm::StringRef kernel) const;

  struct Decided {
    std::string kind;   // of the op
    std::string kernel; // "attn_fwd"
    schedule::TilingQuestion question;
  };
  const TrialLowering &lowering_;
  schedule::CostModel &model_;
  KernelProbe *probe_;
  std::vector<Decided> questions_;
  std::map<std::string, mlir::DictionaryAttr> marks_; // by kind, and chunk of mixers
  std::set<std::string> withdrawn_, ownRefused_;      // by kind and way, by kind and chunk
};

} // namespace oriel::transforms

#endif
