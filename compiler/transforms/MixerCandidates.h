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

  /// Chunks C of 32 … 256 tokens and save intervals m of 1 … 16 chunks, as far as the row has that many. Mixers of
  /// equal types and attributes share one answer.
  mlir::FailureOr<std::vector<schedule::MixerCandidate>> of(const MixerSite &site);
  /// The one candidate with that chunk and save interval.
  mlir::FailureOr<schedule::MixerCandidate> of(const MixerSite &site, const MixerChoice &choice);

private:
  void fuse(const MixerSite &site, schedule::MixerCandidate &candidate) const;
  mlir::FailureOr<schedule::MixerCandidate> measure(mlir::ModuleOp alone, const MixerChoice &choice) const;

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
