#include "compiler/transforms/MixerCandidates.h"

#include "compiler/transforms/AloneWithGradient.h"
#include "compiler/transforms/MixerFusion.h"

using namespace mlir;

namespace oriel::transforms {
namespace {

/// The mixer and what is fused with it, in order; the sum of both last.
SmallVector<Operation *> fusedOps(const MixerSite &site) {
  MixerFusion fusion = *findFusion(cast<lm::ResidualLinearAttentionOp>(site.forward));
  SmallVector<Operation *> ops = {fusion.window, fusion.linear, fusion.windowNorm, fusion.linearNorm, fusion.sum};
  llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return ops;
}

bool isReadByOthersThan(Operation *op, Operation *other, const StepCosts::Piece &piece) {
  return llvm::any_of(piece.readers, [&](Operation *reader) { return reader != op && reader != other; });
}

} // namespace

bool isFusible(const MixerSite &site) {
  auto linear = dyn_cast<lm::ResidualLinearAttentionOp>(site.forward);
  return linear && findFusion(linear);
}

bool isStateOf(const MixerSite &site, const StepCosts::Piece &piece) {
  return piece.maker == site.forward && site.gradient && llvm::is_contained(piece.readers, site.gradient) &&
         !isReadByOthersThan(site.forward, site.gradient, piece);
}

bool isScratchOf(const MixerSite &site, const StepCosts::Piece &piece) {
  return site.gradient && piece.maker == site.gradient && !isReadByOthersThan(site.gradient, nullptr, piece);
}

/// A trial of the one mixer in `alone`.
class MixerCandidates::Trial {
public:
  static FailureOr<Trial> run(MixerCandidates &candidates, ModuleOp alone, const schedule::MixerWay &way);

  schedule::MixerCandidate candidate(const schedule::MixerWay &way) const;
  /// Of everything in the module.
  LayerTime time() const;
  const std::string &refused() const { return refused_; }

private:
  Trial(StepSites sites, StepCosts costs, std::string refused)
      : sites_(std::move(sites)), costs_(std::move(costs)), refused_(std::move(refused)) {}

  StepSites sites_;
  StepCosts costs_;
  std::string refused_;
};

/// Learns what the kernels of a trial take, up to the first reason not to run one of them: assembling costs seconds. The
/// kernel that plans most registers comes first, for it is the likeliest to be refused.
std::string MixerCandidates::askAbout(ModuleOp lowered) {
  if (!probe_)
    return {};
  SmallVector<std::pair<int64_t, tile::KernelOp>> kernels;
  for (auto kernel : lowered.getOps<tile::KernelOp>())
    kernels.emplace_back(-probe_->plan(kernel).block.registers, kernel);
  llvm::stable_sort(kernels, llvm::less_first());
  for (auto [registers, kernel] : kernels) {
    KernelDemand demand = probe_->ask(kernel);
    if (std::string refused = refusalOf(kernel.getSymName(), demand, model_.device); !refused.empty())
      return refused;
    model_.blocks[kernel.getSymName().str()] = demand.block;
  }
  return {};
}

FailureOr<MixerCandidates::Trial> MixerCandidates::Trial::run(MixerCandidates &candidates, ModuleOp alone,
                                                              const schedule::MixerWay &way) {
  auto function = alone.lookupSymbol<func::FuncOp>("vjp");
  StepSites sites = findStepSites(function);
  if (sites.mixers.size() != 1 || !sites.mixers[0].gradient)
    return function.emitError("the gradient of a recurrent mixer does not have the mixer's operands first");
  markMixer(sites.mixers[0], way);
  if (failed(candidates.tilings_.decideMixer(alone, sites.mixers[0], way)))
    return failure();
  FailureOr<OwningOpRef<ModuleOp>> lowered = candidates.lowering_.run(alone);
  if (failed(lowered))
    return failure();
  std::string refused = candidates.askAbout(**lowered);
  if (!refused.empty() && candidates.tilings_.withdraw(sites.mixers[0], way))
    return run(candidates, alone, way);
  StepCosts costs(function, (*lowered)->lookupSymbol<tape::ProgramOp>("vjp"), candidates.model_);
  return Trial(std::move(sites), std::move(costs), std::move(refused));
}

schedule::MixerCandidate MixerCandidates::Trial::candidate(const schedule::MixerWay &way) const {
  const MixerSite &site = sites_.mixers[0];
  schedule::MixerCandidate candidate{way};
  candidate.forwardSeconds = costs_.secondsOf(site.forward);
  candidate.backwardSeconds = costs_.secondsOf(site.gradient);
  for (const StepCosts::Piece &piece : costs_.pieces()) {
    candidate.savedBytes += isStateOf(site, piece) ? piece.bytes : 0;
    candidate.scratchBytes += isScratchOf(site, piece) ? piece.bytes : 0;
  }
  return candidate;
}

MixerCandidates::LayerTime MixerCandidates::Trial::time() const {
  LayerTime time;
  time.forwardMeasured = true;
  for (Operation &op : *sites_.firstBackward->getBlock()) {
    bool isForward = op.isBeforeInBlock(sites_.firstBackward);
    (isForward ? time.forward : time.backward) += costs_.secondsOf(&op);
    time.forwardMeasured &= !isForward || costs_.wasMeasured(&op);
  }
  return time;
}

FailureOr<MixerCandidates::Modules> MixerCandidates::modulesOf(const MixerSite &site) const {
  Modules modules;
  FailureOr<OwningOpRef<ModuleOp>> mixer = aloneWithGradient(site.forward);
  if (failed(mixer))
    return failure();
  modules.mixer = std::move(*mixer);
  markCores(*modules.mixer, model_);
  if (!isFusible(site))
    return modules;
  FailureOr<OwningOpRef<ModuleOp>> layer = aloneWithGradient(fusedOps(site));
  if (failed(layer))
    return failure();
  modules.layer = std::move(*layer);
  markCores(*modules.layer, model_);
  return modules;
}

FailureOr<MixerCandidates::Tried> MixerCandidates::apart(const Modules &modules, const schedule::MixerWay &way) {
  schedule::MixerWay alone = way;
  alone.fused = false;
  alone.tile = 0;
  FailureOr<Trial> trial = Trial::run(*this, *modules.mixer, alone);
  if (failed(trial))
    return failure();
  return Tried{trial->candidate(alone), trial->refused()};
}

/// Fusion does not touch the states: a layer is tried with one save interval.
FailureOr<MixerCandidates::LayerTime> MixerCandidates::layerTime(Modules &modules, schedule::MixerWay way) {
  way.saveEvery = 1;
  auto [known, isNew] = modules.layerTimes.try_emplace(way);
  if (isNew) {
    FailureOr<Trial> trial = Trial::run(*this, *modules.layer, way);
    if (failed(trial))
      return failure();
    known->second = trial->time();
  }
  return known->second;
}

/// What the window attention, the norms and the sum take apart is in the time of the step whatever the mixer does, so a
/// fused candidate takes what its layer takes fused, less that.
FailureOr<schedule::MixerCandidate> MixerCandidates::fused(Modules &modules, schedule::MixerCandidate apart,
                                                           int64_t tile) {
  schedule::MixerCandidate together = apart;
  together.fused = true;
  together.tile = tile;
  FailureOr<LayerTime> before = layerTime(modules, apart), after = layerTime(modules, together);
  if (failed(before) || failed(after))
    return failure();
  together.forwardSeconds = std::max(0.0, apart.forwardSeconds - before->forward + after->forward);
  together.backwardSeconds = std::max(0.0, apart.backwardSeconds - before->backward + after->backward);
  return together;
}

FailureOr<schedule::MixerCandidate> MixerCandidates::of(const MixerSite &site, const schedule::MixerWay &way) {
  FailureOr<Modules> modules = modulesOf(site);
  if (failed(modules))
    return failure();
  FailureOr<Tried> tried = apart(*modules, way);
  if (failed(tried))
    return failure();
  return way.fused ? fused(*modules, tried->candidate, way.tile) : tried->candidate;
}

/// Adds the fused form of a candidate, and its other key tiles where they were measured.
LogicalResult MixerCandidates::addFused(Modules &modules, const schedule::MixerCandidate &apart,
                                        std::vector<schedule::MixerCandidate> &candidates) {
  FailureOr<schedule::MixerCandidate> own = fused(modules, apart, /*tile=*/0);
  if (failed(own))
    return failure();
  candidates.push_back(*own);
  auto wasMeasured = [&](const schedule::MixerWay &way) {
    FailureOr<LayerTime> time = layerTime(modules, way);
    return succeeded(time) && time->forwardMeasured;
  };
  if (!wasMeasured(*own))
    return success();
  for (int64_t tile : schedule::keyTiles) {
    FailureOr<schedule::MixerCandidate> other = fused(modules, apart, tile);
    if (failed(other))
      return failure();
    bool isOwnTile = other->seconds() == own->seconds(); // the same kernel, so the same measurement
    if (!isOwnTile && wasMeasured(*other))
      candidates.push_back(*other);
  }
  return success();
}

/// A way that is refused, or that and its fused forms.
LogicalResult MixerCandidates::addWay(Modules &modules, const schedule::MixerWay &way, MixerWays &ways) {
  FailureOr<Tried> tried = apart(modules, way);
  if (failed(tried))
    return failure();
  if (!tried->refused.empty()) {
    ways.refused.push_back({way, tried->refused});
    return success();
  }
  ways.candidates.push_back(tried->candidate);
  return success(!modules.layer || !lowering_.mixers().fused ||
                 succeeded(addFused(modules, tried->candidate, ways.candidates)));
}

/// Nothing else is left: code that spills is still code.
LogicalResult MixerCandidates::takeRefused(Modules &modules, MixerWays &ways) {
  for (const schedule::RefusedWay &way : ways.refused) {
    FailureOr<Tried> tried = apart(modules, way);
    if (failed(tried))
      return failure();
    ways.candidates.push_back(tried->candidate);
  }
  ways.refused.clear();
  return success();
}

FailureOr<MixerWays> MixerCandidates::of(const MixerSite &site) {
  auto [known, isNew] = known_.try_emplace(kindOf(site.forward) + (isFusible(site) ? " fusible" : ""));
  if (!isNew)
    return known->second;
  FailureOr<Modules> modules = modulesOf(site);
  if (failed(modules))
    return failure();
  auto mixer = cast<lm::RecurrentMixerOpInterface>(site.forward);
  int64_t tokens = mixer.getRowTokens();
  // Passes of their own cost more work; they pay where walks along the rows leave cores idle.
  bool mayTwoPass = mixer.hasStatePasses() && mixer.getStateWalks() < 2 * model_.device.cores;
  for (int64_t chunk : {32, 64, 128, 256}) {
    if (chunk > 32 && (chunk / 2 >= tokens || chunk > lowering_.mixers().mostChunkTokens))
      break;
    int64_t chunks = (tokens + chunk - 1) / chunk;
    size_t before = known->second.candidates.size();
    for (int64_t saveEvery : {1, 2, 4, 8, 16}) {
      if (saveEvery > 1 && saveEvery / 2 >= chunks)
        break;
      for (bool twoPass : {false, true}) {
        if (twoPass && (!mayTwoPass || saveEvery >= chunks))
          continue;
        if (failed(addWay(*modules, {.chunk = chunk, .saveEvery = saveEvery, .twoPass = twoPass}, known->second)))
          return failure();
      }
    }
    if (known->second.candidates.size() == before)
      break; // all refused: longer chunks take more
  }
  if (known->second.candidates.empty() && failed(takeRefused(*modules, known->second)))
    return failure();
  return known->second;
}

} // namespace oriel::transforms
