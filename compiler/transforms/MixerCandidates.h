// The ways to run a recurrent mixer, with what they cost: found by lowering each on trial, alone.
#ifndef ORIEL_COMPILER_TRANSFORMS_MIXERCANDIDATES_H
#define ORIEL_COMPILER_TRANSFORMS_MIXERCANDIDATES_H

#include "compiler/transforms/KernelProbe.h"
#include "compiler/transforms/KernelTilings.h"
#include "compiler/transforms/StepCosts.h"
#include "compiler/transforms/StepSites.h"
#include <map>

namespace oriel::transforms {

/// The ways of one mixer.
struct MixerWays {
  std::vector<schedule::MixerCandidate> candidates;
  std::vector<schedule::RefusedWay> refused;
};

class MixerCandidates {
public:
  /// `probe` (may be null) is asked for every kernel of a way, whose tiles `tilings` decides: what it takes of a GPU is
  /// counted, and refuses it. `model` learns what blocks of kernels take.
  MixerCandidates(const TrialLowering &lowering, schedule::CostModel &model, KernelTilings &tilings, KernelProbe *probe)
      : lowering_(lowering), model_(model), tilings_(tilings), probe_(probe) {}

  /// Chunks C of 32 … 256 tokens and save intervals m of 1 … 16 chunks, as far as the row has that many, in two passes
  /// too where one leaves cores idle. Other key tiles than the fused kernel's own stand beside it where both were
  /// measured: what a tile costs beyond its arithmetic no roofline says. Mixers of equal types and attributes share one
  /// answer. After a chunk of which every way is refused no longer one is tried. There is a
  /// candidate always: where all are refused, none is.
  mlir::FailureOr<MixerWays> of(const MixerSite &site);
  /// The one candidate that runs so; it is not refused.
  mlir::FailureOr<schedule::MixerCandidate> of(const MixerSite &site, const schedule::MixerWay &way);

private:
  /// Of a layer alone.
  struct LayerTime {
    double forward = 0, backward = 0; // seconds
    bool forwardMeasured = false;
  };
  /// What trials of one mixer lower.
  struct Modules {
    mlir::OwningOpRef<mlir::ModuleOp> mixer; // and its gradient
    mlir::OwningOpRef<mlir::ModuleOp> layer; // with the window attention, the norms and the sum; null: not fusible
    std::map<schedule::MixerWay, LayerTime> layerTimes;
  };
  class Trial;

  mlir::FailureOr<Modules> modulesOf(const MixerSite &site) const;
  /// A candidate, and why it is refused.
  struct Tried {
    schedule::MixerCandidate candidate;
    std::string refused;
  };
  mlir::FailureOr<Tried> apart(const Modules &modules, const schedule::MixerWay &way);
  mlir::FailureOr<LayerTime> layerTime(Modules &modules, schedule::MixerWay way);
  mlir::FailureOr<schedule::MixerCandidate> fused(Modules &modules, schedule::MixerCandidate apart, int64_t tile);
  mlir::LogicalResult addFused(Modules &modules, const schedule::MixerCandidate &apart,
                               std::vector<schedule::MixerCandidate> &candidates);
  mlir::LogicalResult addWay(Modules &modules, const schedule::MixerWay &way, MixerWays &ways);
  mlir::LogicalResult takeRefused(Modules &modules, MixerWays &ways);
  std::string askAbout(mlir::ModuleOp lowered);

  const TrialLowering &lowering_;
  schedule::CostModel &model_;
  KernelTilings &tilings_;
  KernelProbe *probe_;
  std::map<std::string, MixerWays> known_; // by the mixer's text
};

/// Whether the mixer can be fused with the window attention of its layer.
bool isFusible(const MixerSite &site);

/// Whether a piece of the arena holds the states that `site` saves for its gradient, or what its gradient alone uses.
bool isStateOf(const MixerSite &site, const StepCosts::Piece &piece);
bool isScratchOf(const MixerSite &site, const StepCosts::Piece &piece);

} // namespace oriel::transforms

#endif
