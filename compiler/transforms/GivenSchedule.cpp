#include "compiler/transforms/GivenSchedule.h"

#include "mlir/IR/Builders.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace oriel::transforms {
namespace {

/// The path that differs from `path` in the fewest letters; empty when none is near.
std::string nearest(StringRef path, const llvm::StringSet<> &paths) {
  std::string best;
  unsigned leastDistance = static_cast<unsigned>(path.size()) / 2 + 1;
  for (const auto &candidate : paths)
    if (unsigned distance = path.edit_distance(candidate.getKey()); distance < leastDistance) {
      leastDistance = distance;
      best = candidate.getKey().str();
    }
  return best;
}

} // namespace

FailureOr<GivenSchedule> GivenSchedule::read(MLIRContext *context, StringRef file) {
  GivenSchedule given;
  given.file_ = parseSourceFile<ModuleOp>(file, context);
  if (!given.file_)
    return emitError(UnknownLoc::get(context)) << "cannot read the schedule file '" << file << "'";
  for (Operation &op : *given.file_->getBody()) {
    if (auto tiles = dyn_cast<tape::TilesOp>(op)) {
      if (failed(given.add(tiles)))
        return failure();
      continue;
    }
    auto decision = dyn_cast<tape::ScheduleOp>(op);
    if (!decision)
      return emitError(op.getLoc(), "a schedule file holds tape.schedule and tape.tiles ops only");
    if (!given.decisions_.try_emplace(decision.getPath(), decision).second)
      return emitError(decision.getLoc(), "decides this path twice");
  }
  return given;
}

GivenDecision GivenSchedule::find(StringRef path) const {
  GivenDecision result;
  auto found = decisions_.find(path);
  if (found == decisions_.end())
    return result;
  tape::ScheduleOp decision = found->second;
  if (decision.getChunk())
    result.mixer = schedule::MixerWay{static_cast<int64_t>(*decision.getChunk()),
                                      static_cast<int64_t>(*decision.getSaveEvery()), decision.getTwoPass(),
                                      decision.getFused(), static_cast<int64_t>(decision.getTile().value_or(0))};
  if (decision.getAction())
    result.action = *decision.getAction() == tape::Action::Save ? schedule::Given::Save : schedule::Given::Recompute;
  return result;
}

LogicalResult GivenSchedule::add(tape::TilesOp tiles) {
  SmallVector<tape::TilesOp> &ofPath = tiles_[tiles.getPath()];
  if (llvm::any_of(ofPath, [&](tape::TilesOp other) { return other.getKernel() == tiles.getKernel(); }))
    return emitError(tiles.getLoc(), "decides the tiles of this kernel twice");
  ofPath.push_back(tiles);
  return success();
}

DictionaryAttr GivenSchedule::tilesOf(StringRef path) const {
  auto found = tiles_.find(path);
  if (found == tiles_.end())
    return {};
  Builder builder(file_.get().getContext());
  SmallVector<NamedAttribute> ofKernels;
  for (tape::TilesOp tiles : found->second) {
    int64_t numbers[] = {static_cast<int64_t>(tiles.getRows().value_or(0)), static_cast<int64_t>(tiles.getColumns().value_or(0)),
                         static_cast<int64_t>(tiles.getWarps().value_or(0)), static_cast<int64_t>(tiles.getStages().value_or(0))};
    ofKernels.push_back(
        builder.getNamedAttr(tape::stringifyTiledKernel(tiles.getKernel()), builder.getDenseI64ArrayAttr(numbers)));
  }
  return builder.getDictionaryAttr(ofKernels);
}

/// Tiles belong to an op that becomes their kernel. Those of a recurrent mixer are for one way to run it.
LogicalResult GivenSchedule::checkTiles(ArrayRef<StepSites> functions, bool isGpu) const {
  llvm::StringMap<bool> tiled; // by path: whether it is residual linear attention
  for (const StepSites &sites : functions)
    for (const OpSite &site : sites.ops)
      if (isa<lm::AttentionOp, lm::ResidualLinearAttentionOp>(site.op))
        tiled[site.path] = isa<lm::ResidualLinearAttentionOp>(site.op);
  for (const auto &[path, ofPath] : tiles_)
    for (tape::TilesOp tiles : ofPath) {
      if (!isGpu)
        return emitError(tiles.getLoc(), "tiles are given for kernels of GPUs, and this step runs on a CPU");
      auto site = tiled.find(path);
      if (site == tiled.end() || site->second != tiles.isOfLinearAttention())
        return emitError(tiles.getLoc()) << "'" << path << "' does not become a kernel "
                                         << tape::stringifyTiledKernel(tiles.getKernel());
      if (site->second && !find(path).mixer)
        return emitError(tiles.getLoc()) << "tiles of a recurrent mixer are for one chunk of it: say 'tape.schedule @" << path
                                         << " chunk C save_every m', too";
    }
  return success();
}

LogicalResult GivenSchedule::check(ArrayRef<StepSites> functions, bool isGpu) const {
  llvm::StringSet<> ops, mixers, fusible, inPasses;
  for (const StepSites &sites : functions) {
    for (const OpSite &site : sites.ops)
      ops.insert(site.path);
    for (const MixerSite &site : sites.mixers)
      mixers.insert(site.path);
    for (const MixerSite &site : sites.mixers)
      if (isFusible(site))
        fusible.insert(site.path);
    for (const MixerSite &site : sites.mixers)
      if (cast<lm::RecurrentMixerOpInterface>(site.forward).hasStatePasses())
        inPasses.insert(site.path);
  }
  for (auto [path, decision] : decisions_) {
    bool isMixer = mixers.contains(path);
    if (!isMixer && !ops.contains(path)) {
      std::string other = nearest(path, ops);
      return emitError(decision.getLoc()) << "the schedule file speaks of '" << path << "', which is no op of the step"
                                          << (other.empty() ? "" : "; there is '" + other + "'");
    }
    if (isMixer && !decision.getChunk())
      return emitError(decision.getLoc(), "this path is about a recurrent mixer: give 'chunk C save_every m'");
    if (decision.getFused() && !fusible.contains(path))
      return emitError(decision.getLoc(), "this mixer has no window attention beside it to be fused with");
    if (decision.getTwoPass() && !inPasses.contains(path))
      return emitError(decision.getLoc(),
                       "the states of this mixer cannot be made by a pass of their own: leave out 'two_pass'");
    if (!isMixer && decision.getChunk())
      return emitError(decision.getLoc(), "this path is about no recurrent mixer: give 'save' or 'recompute'");
  }
  return checkTiles(functions, isGpu);
}

} // namespace oriel::transforms
