// --oriel-schedule-states: poses the state-save problem of each differentiated function, solves it or reads a person's
// schedule, and applies the decisions. Predictions and solvers are in compiler/schedule; this pass only translates.
#include "compiler/schedule/Cost.h"
#include "compiler/schedule/Solvers.h"
#include "compiler/transforms/MixerFusion.h"
#include "compiler/transforms/Passes.h"
#include "compiler/transforms/StepSites.h"
#include "dialects/lm/LmDialect.h"
#include "dialects/tape/TapeOps.h"
#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace oriel::transforms {
#define GEN_PASS_DEF_SCHEDULESTATESPASS
#include "compiler/transforms/Passes.h.inc"

namespace {

bool isFusible(const MixerSite &site) {
  auto linear = dyn_cast<lm::ResidualLinearAttentionOp>(site.forward);
  return linear && findFusion(linear);
}

schedule::Mixer poseMixer(const MixerSite &site, const schedule::DeviceDescriptor &device) {
  auto op = cast<lm::RecurrentMixerOpInterface>(site.forward);
  schedule::RecurrentFacts facts;
  facts.rowTokens = op.getRowTokens();
  facts.stateElements = op.getStateElements();
  for (Value value :
       llvm::concat<Value>(llvm::to_vector(site.forward->getOperands()), llvm::to_vector(site.forward->getResults())))
    facts.activationBytes += value.use_empty() ? 0 : tape::sizeInBytes(value.getType());
  // The fused kernel leaves out three writes and five reads of the result in the forward, and five in the backward.
  if (isFusible(site))
    facts.fusionBytes = 13 * tape::sizeInBytes(site.forward->getResult(0).getType());
  facts.forwardFlops = [op](int64_t chunk) mutable { return op.getForwardFlops(chunk); };
  facts.stateUpdateFlops = [op](int64_t chunk) mutable { return op.getStateUpdateFlops(chunk); };
  return {site.path, schedule::mixerCandidates(device, facts)};
}

schedule::SavedValue poseValue(const ValueSite &site, const schedule::DeviceDescriptor &device) {
  int64_t bytes = tape::sizeInBytes(site.op->getResult(0).getType()), read = 0;
  for (Value operand : site.op->getOperands())
    read += tape::sizeInBytes(operand.getType());
  return {site.path, bytes, schedule::rooflineSeconds(device, 0, static_cast<double>(bytes + read))};
}

schedule::Problem poseProblem(const StepSites &sites, int64_t budget) {
  schedule::DeviceDescriptor device = schedule::genericCpu();
  schedule::Problem problem;
  for (const MixerSite &site : sites.mixers)
    problem.mixers.push_back(poseMixer(site, device));
  for (const ValueSite &site : sites.values)
    problem.values.push_back(poseValue(site, device));
  problem.budgetBytes = budget;
  return problem;
}

/// "2.0 MiB saved, 1.3 ms; next: chunk 32 save_every 4, 1.4 ms".
std::string explainMixer(const schedule::Mixer &mixer, size_t chosen) {
  const schedule::MixerCandidate &candidate = mixer.candidates[chosen];
  std::string text =
      llvm::formatv("{0:f2} MiB saved, predicted {1:f3} ms", candidate.savedBytes / 1048576.0, candidate.seconds * 1e3);
  const schedule::MixerCandidate *next = nullptr;
  for (const schedule::MixerCandidate &other : mixer.candidates)
    if (&other != &candidate && (!next || other.seconds < next->seconds))
      next = &other;
  if (next)
    text += llvm::formatv("; next: chunk {0} save_every {1}{2}, {3:f3} ms", next->chunk, next->saveEvery,
                          next->fused ? " fused" : "", next->seconds * 1e3);
  return text;
}

std::string explainValue(const schedule::SavedValue &value) {
  return llvm::formatv("{0:f2} MiB, {1:f3} ms to re-make", value.bytes / 1048576.0, value.recomputeSeconds * 1e3);
}

class StateScheduler {
public:
  StateScheduler(ModuleOp module, int64_t memoryBudget) : module_(module), memoryBudget_(memoryBudget) {}

  LogicalResult run(StringRef scheduleFile) {
    if (!scheduleFile.empty() && failed(readScheduleFile(scheduleFile)))
      return failure();
    for (StringRef name : {"micro", "vjp"})
      if (auto function = module_.lookupSymbol<func::FuncOp>(name); function && failed(scheduleFunction(function)))
        return failure();
    for (auto &[path, decision] : given_)
      if (!used_.contains(path))
        return emitError(decision.getLoc())
               << "the schedule file speaks of '" << path << "', which is no mixer or value of the step"
               << (suggestion(path).empty() ? "" : "; there is '" + suggestion(path) + "'");
    applyToOtherFunctions();
    return success();
  }

private:
  LogicalResult readScheduleFile(StringRef scheduleFile) {
    file_ = parseSourceFile<ModuleOp>(scheduleFile, module_.getContext());
    if (!file_)
      return emitError(UnknownLoc::get(module_.getContext()))
             << "cannot read the schedule file '" << scheduleFile << "'";
    for (Operation &op : *file_->getBody()) {
      auto decision = dyn_cast<tape::ScheduleOp>(op);
      if (!decision)
        return emitError(op.getLoc(), "a schedule file holds tape.schedule ops only");
      if (!given_.try_emplace(decision.getPath(), decision).second)
        return emitError(decision.getLoc(), "decides this path twice");
    }
    return success();
  }

  /// The path of the step with the same beginning, for the error message.
  std::string suggestion(StringRef path) {
    for (auto op : module_.getOps<tape::ScheduleOp>())
      if (op.getPath().starts_with(path.rsplit('.').first))
        return op.getPath().str();
    return {};
  }

  tape::ScheduleOp givenFor(StringRef path) {
    auto found = given_.find(path);
    if (found == given_.end())
      return {};
    used_.insert(found->first);
    return found->second;
  }

  LogicalResult scheduleFunction(func::FuncOp function) {
    StepSites sites = findStepSites(function);
    schedule::Problem problem = poseProblem(sites, memoryBudget_);
    if (std::string wrong = problem.check(); !wrong.empty())
      return function.emitError() << "the state-save problem is malformed: " << wrong;
    std::optional<schedule::Schedule> schedule = schedule::solveGreedy(problem);
    if (!schedule)
      return emitError(function.getLoc()) << "no schedule keeps the saved values within " << memoryBudget_ << " bytes";
    OpBuilder builder(function);
    for (auto [i, site] : llvm::enumerate(sites.mixers))
      if (failed(decideMixer(builder, site, problem.mixers[i], schedule->candidates[i])))
        return failure();
    for (size_t i = 0; i < sites.values.size(); ++i) {
      FailureOr<bool> recompute = decideValue(builder, sites.values[i], problem.values[i], schedule->recompute[i]);
      if (failed(recompute))
        return failure();
      schedule->recompute[i] = *recompute;
    }
    // Last first: a clone that is made for the backward is a backward use of its operands.
    for (size_t i = sites.values.size(); i-- > 0;)
      if (schedule->recompute[i])
        recomputeInBackward(sites.values[i], sites.firstBackward);
    return success();
  }

  LogicalResult decideMixer(OpBuilder &builder, const MixerSite &site, const schedule::Mixer &mixer, size_t chosen) {
    const schedule::MixerCandidate &candidate = mixer.candidates[chosen];
    MixerChoice choice{candidate.chunk, candidate.saveEvery, candidate.fused};
    StringAttr why = builder.getStringAttr(explainMixer(mixer, chosen));
    if (tape::ScheduleOp given = givenFor(site.path)) {
      if (!given.getChunk())
        return emitError(given.getLoc(), "this path is about a recurrent mixer: give 'chunk C save_every m'");
      if (given.getFused() && !isFusible(site))
        return emitError(given.getLoc(), "this mixer has no window attention beside it to be fused with");
      choice = {static_cast<int64_t>(*given.getChunk()), static_cast<int64_t>(*given.getSaveEvery()), given.getFused()};
      why = builder.getStringAttr("given");
    }
    tape::ScheduleOp::create(builder, site.forward->getLoc(), builder.getStringAttr(site.path),
                             builder.getI64IntegerAttr(choice.chunk), builder.getI64IntegerAttr(choice.saveEvery),
                             choice.fused, tape::ActionAttr(), why);
    choices_[site.path] = choice;
    markMixer(site, choice);
    return success();
  }

  /// Whether the value is re-made.
  FailureOr<bool> decideValue(OpBuilder &builder, const ValueSite &site, const schedule::SavedValue &value,
                              bool recompute) {
    StringAttr why = builder.getStringAttr(explainValue(value));
    if (tape::ScheduleOp given = givenFor(site.path)) {
      if (!given.getAction())
        return emitError(given.getLoc(), "this path is about a value: give 'save' or 'recompute'");
      recompute = *given.getAction() == tape::Action::Recompute;
      why = builder.getStringAttr("given");
    }
    auto action = recompute ? tape::Action::Recompute : tape::Action::Save;
    tape::ScheduleOp::create(builder, site.op->getLoc(), builder.getStringAttr(site.path), IntegerAttr(), IntegerAttr(),
                             /*fused=*/false, tape::ActionAttr::get(module_.getContext(), action), why);
    return recompute;
  }

  /// Forward-only functions run the same way, so that the loss of `eval` is the loss of `micro`.
  void applyToOtherFunctions() {
    for (auto function : module_.getOps<func::FuncOp>()) {
      if (function.getName() == "micro" || function.getName() == "vjp")
        continue;
      for (const MixerSite &site : findStepSites(function).mixers)
        if (auto choice = choices_.find(site.path); choice != choices_.end())
          markMixer(site, {choice->second.chunk, /*saveEvery=*/0, choice->second.fused && isFusible(site)});
    }
  }

  ModuleOp module_;
  int64_t memoryBudget_;
  OwningOpRef<ModuleOp> file_;
  llvm::MapVector<StringRef, tape::ScheduleOp> given_;
  llvm::DenseSet<StringRef> used_;
  llvm::StringMap<MixerChoice> choices_;
};

struct ScheduleStatesPass : impl::ScheduleStatesPassBase<ScheduleStatesPass> {
  using ScheduleStatesPassBase::ScheduleStatesPassBase;
  void runOnOperation() override {
    if (failed(StateScheduler(getOperation(), memoryBudget).run(scheduleFile)))
      signalPassFailure();
  }
};

} // namespace
} // namespace oriel::transforms
