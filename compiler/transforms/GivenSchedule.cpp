#include "compiler/transforms/GivenSchedule.h"

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
    auto decision = dyn_cast<tape::ScheduleOp>(op);
    if (!decision)
      return emitError(op.getLoc(), "a schedule file holds tape.schedule ops only");
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

LogicalResult GivenSchedule::check(ArrayRef<StepSites> functions) const {
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
  return success();
}

} // namespace oriel::transforms
