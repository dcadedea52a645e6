// The ways to run a recurrent mixer, with what they cost: found by lowering each on trial, alone.
#ifndef ORIEL_COMPILER_TRANSFORMS_MIXERCANDIDATES_H
#define ORIEL_COMPILER_TRANSFORMS_MIXERCANDIDATES_H

#include "compiler/transforms/StepCosts.h"
#include "compiler/transforms/StepSites.h"
#include <map>

namespace oriel::transforms {

class MixerCandidates {
public:
  MixerCandidates(const TrialLowering &lowering, const schedule::CostModel &model)
      : lowering_(lowering), model_(model) {}

  /// Chunks C of 32 … 256 tokens and save intervals m of 1 … 16 chunks, as far as the row has that many, in two passes
  /// too where one leaves cores idle. Mixers of equal types and attributes share one answer.
  mlir::FailureOr<std::vector<schedule::MixerCandidate>> of(const MixerSite &site);
  /// The one candidate with that chunk and save interval.
  mlir::FailureOr<schedule::MixerCandidate> of(const MixerSite &site, const MixerChoice &choice);

private:
  struct Halves {
    double forward = 0, backward = 0; // seconds
  };
  /// What trials of one mixer lower.
  struct Modules {
    mlir::OwningOpRef<mlir::ModuleOp> mixer; // and its gradient
    mlir::OwningOpRef<mlir::ModuleOp> layer; // with the window attention, the norms and the sum; null: not fusible
    std::map<std::pair<int64_t, bool>, Halves> gains; // of fusion, by chunk and twoPass
  };
  class Trial;

  mlir::FailureOr<Modules> modulesOf(const MixerSite &site) const;
  mlir::FailureOr<schedule::MixerCandidate> apart(const Modules &modules, const MixerChoice &choice) const;
  mlir::FailureOr<schedule::MixerCandidate> fused(Modules &modules, schedule::MixerCandidate apart) const;

  const TrialLowering &lowering_;
  const schedule::CostModel &model_;
  std::map<std::string, std::vector<schedule::MixerCandidate>> known_; // by the mixer's text
};

/// Whether the mixer can be fused with the window attention of its layer.
bool isFusible(const MixerSite &site);

/// Whether a piece of the arena holds the states that `site` saves for its gradient, or what its gradient alone uses.
bool isStateOf(const MixerSite &site, const StepCosts::Piece &piece);
bool isScratchOf(const MixerSite &site, const StepCosts::Piece &piece);

} // namespace oriel::transforms

#endif
