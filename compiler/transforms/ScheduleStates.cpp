// --oriel-schedule-states: poses the schedule problem of each differentiated function, solves it within the memory
// budget and a person's decisions, and applies the answer. Problem, predictions and solvers are in compiler/schedule;
// the posing is in PoseProblem, the applying in StepSites.
#include "compiler/analysis/PlannedMemory.h"
#include "compiler/schedule/FitBudget.h"
#include "compiler/schedule/ProblemText.h"
#include "compiler/schedule/ShippedDevices.h"
#include "compiler/schedule/Solvers.h"
#include "compiler/transforms/AloneWithGradient.h"
#include "compiler/transforms/GivenSchedule.h"
#include "compiler/transforms/MixerFusion.h"
#include "compiler/transforms/Passes.h"
#include "compiler/transforms/PoseProblem.h"
#include "dialects/lm/LmDialect.h"
#include "dialects/tape/TapeOps.h"
#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace oriel::transforms {
#define GEN_PASS_DEF_SCHEDULESTATESPASS
#include "compiler/transforms/Passes.h.inc"

namespace {

constexpr double mib = 1024.0 * 1024.0;

/// "2.00 MiB saved, predicted 1.300 ms; next: chunk 32 save_every 4, 1.400 ms", or, where memory decided, "…; faster with
/// 8.00 MiB: chunk 32 save_every 1, 1.200 ms".
std::string explainMixer(const schedule::Mixer &mixer, size_t chosen) {
  const schedule::MixerCandidate &candidate = mixer.candidates[chosen];
  std::string text =
      llvm::formatv("{0:f2} MiB saved, predicted {1:f3} ms", candidate.savedBytes / mib, candidate.seconds() * 1e3);
  const schedule::MixerCandidate *next = nullptr;
  for (const schedule::MixerCandidate &other : mixer.candidates)
    if (&other != &candidate && (!next || other.seconds() < next->seconds()))
      next = &other;
  if (next)
    text += llvm::formatv("; {0}: {1}, {2:f3} ms",
                          next->seconds() < candidate.seconds()
                              ? llvm::formatv("faster with {0:f2} MiB", next->savedBytes / mib).str()
                              : "next",
                          schedule::wordsOf(*next), next->seconds() * 1e3);
  if (!mixer.refused.empty())
    text += llvm::formatv("; {0} refused: {1}", mixer.refused.size(), mixer.refused.front().why);
  return text;
}

std::string explainOp(const schedule::Op &op) {
  int64_t bytes = 0;
  for (const schedule::Result &result : op.results)
    bytes += result.backward.empty() ? 0 : result.bytes;
  return llvm::formatv("{0:f2} MiB, {1:f3} ms to re-make", bytes / mib, op.recomputeSeconds * 1e3);
}

/// Whether what reads the mixers of `fusion` stands behind their sum, where the fused op will be.
bool isReadBehind(MixerFusion fusion) {
  auto isBehind = [&](Operation *user) {
    return user == fusion.windowNorm || user == fusion.linearNorm || fusion.sum->isBeforeInBlock(user);
  };
  return llvm::all_of(fusion.window->getUsers(), isBehind) && llvm::all_of(fusion.linear->getUsers(), isBehind);
}

/// A mixer whose norms or sum are made again by themselves has no pattern to fuse any more: it runs apart.
void unmarkBroken(const StepSites &sites) {
  for (auto linear : sites.firstBackward->getBlock()->getOps<lm::ResidualLinearAttentionOp>())
    if (linear->hasAttr("tape.fused")) {
      std::optional<MixerFusion> fusion = findFusion(linear);
      if (!fusion || !isReadBehind(*fusion))
        linear->removeAttr("tape.fused");
    }
}

/// Marks mixers and runs ops again as `schedule` says. An op that the backward does not need does not run again.
void apply(const StepSites &sites, const schedule::Problem &problem, const schedule::Schedule &schedule,
           const KernelTilings &tilings) {
  for (auto [i, site] : llvm::enumerate(sites.mixers)) {
    const schedule::MixerWay &way = problem.mixers[i].candidates[schedule.candidates[i]];
    tilings.mark(site, way);
    markMixer(site, way);
  }
  schedule::Needs need = needsOf(problem, schedule);
  llvm::DenseSet<Operation *> again;
  for (auto [i, site] : llvm::enumerate(sites.ops))
    if (schedule.recompute[i] && !need.ops[i].empty())
      again.insert(site.op);
  runAgainInBackward(sites, [&](Operation *op) { return again.contains(op); });
  unmarkBroken(sites);
}

/// The share of the time that may be given for memory unasked: predictions are no finer than that.
constexpr double timeForMemory = 0.005;

class StateScheduler {
public:
  StateScheduler(ModuleOp module, const ScheduleStatesPassOptions &options, KernelProbe *probe)
      : module_(module), options_(options), lowering_(options.trial, {options.mostChunkTokens, options.tryFused}),
        probe_(probe), tilings_(lowering_, model_, probe) {}

  LogicalResult run();

private:
  LogicalResult readFiles();
  LogicalResult writeProblem(const schedule::Problem &problem);
  LogicalResult scheduleFunction(func::FuncOp function);
  FailureOr<schedule::Schedule> solve(func::FuncOp function, const schedule::Problem &problem);
  std::optional<int64_t> plannedBytes(func::FuncOp function, const schedule::Problem &problem,
                                      const schedule::Schedule &schedule);
  void writeDecisions(func::FuncOp function, const StepSites &sites, const schedule::Problem &problem,
                      const schedule::Schedule &schedule);
  void markGivenTiles();
  void applyToOtherFunctions();

  ModuleOp module_;
  const ScheduleStatesPassOptions &options_;
  TrialLowering lowering_;
  KernelProbe *probe_;
  schedule::CostModel model_;
  KernelTilings tilings_;
  std::optional<GivenSchedule> given_;
  llvm::StringMap<schedule::MixerWay> ways_;
};

LogicalResult StateScheduler::readFiles() {
  auto read = [&](StringRef path, auto parse, auto &into) -> LogicalResult {
    if (path.empty())
      return success();
    auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
    if (!file)
      return module_.emitError() << "cannot read " << path << ": " << file.getError().message();
    std::string error;
    auto parsed = parse((*file)->getBuffer(), path.str(), error);
    if (!parsed)
      return module_.emitError() << error;
    into = *parsed;
    return success();
  };
  schedule::TuningRecord record;
  if (!options_.device.empty()) {
    std::string error;
    std::optional<schedule::DeviceDescriptor> device = schedule::findDevice(options_.device, error);
    if (!device)
      return module_.emitError() << error;
    model_.device = *std::move(device);
  }
  if (options_.cores > 0 && !model_.device.multiprocessor)
    model_.device = schedule::withCores(model_.device, options_.cores);
  if (failed(read(options_.tuning, schedule::parseRecord, record)))
    return failure();
  if (!options_.tuning.empty())
    if (std::string why = model_.use(std::move(record), options_.tuning); !why.empty())
      module_.emitWarning() << why;
  if (options_.scheduleFile.empty())
    return success();
  FailureOr<GivenSchedule> given = GivenSchedule::read(module_.getContext(), options_.scheduleFile);
  if (failed(given))
    return failure();
  given_ = std::move(*given);
  return success();
}

/// Bytes of the whole plan when `function` runs by `schedule`.
std::optional<int64_t> StateScheduler::plannedBytes(func::FuncOp function, const schedule::Problem &problem,
                                                    const schedule::Schedule &schedule) {
  OwningOpRef<ModuleOp> copy = module_.clone();
  apply(findStepSites(copy->lookupSymbol<func::FuncOp>(function.getName())), problem, schedule, tilings_);
  FailureOr<OwningOpRef<ModuleOp>> lowered = lowering_.run(*copy);
  if (failed(lowered))
    return std::nullopt;
  return analysis::plannedMemory(**lowered).totalBytes();
}

FailureOr<schedule::Schedule> StateScheduler::solve(func::FuncOp function, const schedule::Problem &problem) {
  auto planned = [&](const schedule::Schedule &schedule) { return plannedBytes(function, problem, schedule); };
  if (options_.memoryBudget == autoMemoryBudget)
    return schedule::solveNearFastest(problem, timeForMemory);
  int64_t leastBytes = 0;
  std::optional<schedule::Fit> fit = options_.memoryBudget == leastMemoryBudget
                                         ? schedule::fitLeastMemory(problem, planned)
                                         : schedule::fitBudget(problem, planned, leastBytes);
  if (fit)
    return fit->schedule;
  InFlightDiagnostic error = emitError(function.getLoc());
  error << "no schedule of @" << function.getName() << " fits the memory budget of "
        << llvm::formatv("{0} bytes ({1:f1} MiB)", problem.budgetBytes, problem.budgetBytes / mib).str();
  if (leastBytes > 0)
    error << "; the least possible is " << llvm::formatv("{0} bytes ({1:f1} MiB)", leastBytes, leastBytes / mib).str()
          << ": raise the budget, or make the micro-batch or the rows shorter";
  return error;
}

void StateScheduler::writeDecisions(func::FuncOp function, const StepSites &sites, const schedule::Problem &problem,
                                    const schedule::Schedule &schedule) {
  OpBuilder builder(function);
  schedule::Needs need = needsOf(problem, schedule);
  llvm::DenseMap<size_t, size_t> mixerOf;
  for (auto [i, mixer] : llvm::enumerate(problem.mixers))
    mixerOf[mixer.op] = i;
  for (auto [i, site] : llvm::enumerate(sites.ops)) {
    auto mixer = mixerOf.find(i);
    bool isMixer = mixer != mixerOf.end(), needed = !need.ops[i].empty();
    if (!isMixer && !needed)
      continue;
    GivenDecision given = given_ ? given_->find(site.path) : GivenDecision();
    IntegerAttr chunk, saveEvery, tile;
    bool twoPass = false, fused = false;
    std::string why = explainOp(problem.ops[i]);
    if (isMixer) {
      const schedule::Mixer &posed = problem.mixers[mixer->second];
      size_t chosen = schedule.candidates[mixer->second];
      const schedule::MixerWay &way = posed.candidates[chosen];
      chunk = builder.getI64IntegerAttr(way.chunk);
      saveEvery = builder.getI64IntegerAttr(way.saveEvery);
      if (way.tile > 0)
        tile = builder.getI64IntegerAttr(way.tile);
      twoPass = way.twoPass;
      fused = way.fused;
      why = explainMixer(posed, chosen);
    }
    if (given.mixer || given.action != schedule::Given::Nothing)
      why = "given";
    tape::ActionAttr action;
    if (!isMixer || (needed && schedule.recompute[i]))
      action = tape::ActionAttr::get(module_.getContext(),
                                     schedule.recompute[i] ? tape::Action::Recompute : tape::Action::Save);
    tape::ScheduleOp::create(builder, site.op->getLoc(), builder.getStringAttr(site.path), chunk, saveEvery, twoPass,
                             fused, tile, action, builder.getStringAttr(why));
  }
}

LogicalResult StateScheduler::writeProblem(const schedule::Problem &problem) {
  if (options_.problem.empty())
    return success();
  std::error_code error;
  llvm::raw_fd_ostream out(options_.problem, error);
  if (error)
    return module_.emitError() << "cannot write " << options_.problem << ": " << error.message();
  out << schedule::printProblem(problem);
  return success();
}

LogicalResult StateScheduler::scheduleFunction(func::FuncOp function) {
  StepSites sites = findStepSites(function);
  auto givenFor = [&](StringRef path) { return given_ ? given_->find(path) : GivenDecision(); };
  if (!sites.firstBackward)
    return success();
  if (failed(tilings_.decideAttention(function)))
    return failure();
  FailureOr<schedule::Problem> problem = poseProblem(function, sites, lowering_, model_, tilings_, probe_, givenFor);
  if (failed(problem))
    return failure();
  problem->budgetBytes = std::max<int64_t>(options_.memoryBudget, 0);
  if (failed(writeProblem(*problem)))
    return failure();
  FailureOr<schedule::Schedule> schedule = solve(function, *problem);
  if (failed(schedule))
    return failure();
  for (auto [i, site] : llvm::enumerate(sites.mixers))
    ways_[site.path] = problem->mixers[i].candidates[schedule->candidates[i]];
  writeDecisions(function, sites, *problem, *schedule);
  apply(sites, *problem, *schedule, tilings_);
  OpBuilder builder(function);
  tilings_.write(builder, sites);
  return success();
}

/// In all functions, so that the forward of `eval` is that of `micro`.
void StateScheduler::markGivenTiles() {
  for (auto function : module_.getOps<func::FuncOp>())
    for (const OpSite &site : forwardOpsOf(function))
      if (DictionaryAttr tiles = given_->tilesOf(site.path)) {
        site.op->setAttr(givenTilesAttr, tiles);
        if (Operation *gradient = gradientOf(site.op))
          gradient->setAttr(givenTilesAttr, tiles);
      }
}

/// Forward-only functions run the same chunks, so that the loss of `eval` is the loss of `micro`.
void StateScheduler::applyToOtherFunctions() {
  for (auto function : module_.getOps<func::FuncOp>()) {
    StepSites sites = findStepSites(function);
    if (sites.firstBackward)
      continue;
    for (const MixerSite &site : sites.mixers)
      if (auto known = ways_.find(site.path); known != ways_.end()) {
        schedule::MixerWay way = known->second;
        tilings_.mark(site, way);
        if (!way.twoPass)
          way.saveEvery = 0; // without a gradient only passes need saved states
        way.fused = way.fused && isFusible(site);
        markMixer(site, way);
      }
  }
}

LogicalResult StateScheduler::run() {
  if (failed(readFiles()))
    return failure();
  markCores(module_, model_);
  std::vector<func::FuncOp> functions;
  std::vector<StepSites> sites;
  for (StringRef name : {"micro", "vjp"})
    if (auto function = module_.lookupSymbol<func::FuncOp>(name)) {
      functions.push_back(function);
      sites.push_back(findStepSites(function));
    }
  if (given_ && failed(given_->check(sites, /*isGpu=*/model_.device.multiprocessor.has_value())))
    return failure();
  if (given_)
    markGivenTiles();
  for (func::FuncOp function : functions)
    if (failed(scheduleFunction(function)))
      return failure();
  applyToOtherFunctions();
  return success();
}

struct ScheduleStatesPass : impl::ScheduleStatesPassBase<ScheduleStatesPass> {
  using ScheduleStatesPassBase::ScheduleStatesPassBase;
  ScheduleStatesPass(const ScheduleStatesPassOptions &options, KernelProbe *probe)
      : ScheduleStatesPassBase(options), probe_(probe) {}

  void runOnOperation() override {
    ScheduleStatesPassOptions options{scheduleFile, memoryBudget, device,          cores,   tuning,
                                      problem,      trial,        mostChunkTokens, tryFused};
    if (failed(StateScheduler(getOperation(), options, probe_).run()))
      signalPassFailure();
  }

  KernelProbe *probe_ = nullptr;
};

} // namespace

std::unique_ptr<Pass> createScheduleStatesPass(const ScheduleStatesPassOptions &options, KernelProbe *probe) {
  return std::make_unique<ScheduleStatesPass>(options, probe);
}

} // namespace oriel::transforms
