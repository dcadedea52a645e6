#include "compiler/transforms/PoseProblem.h"

#include "compiler/analysis/PlannedMemory.h"

using namespace mlir;

namespace oriel::transforms {
namespace {

/// What the trial runs, unless a person decided otherwise.
constexpr schedule::MixerWay trialWay{.chunk = 64, .saveEvery = 4};

class Poser {
public:
  Poser(func::FuncOp function, const StepSites &sites, const TrialLowering &lowering, schedule::CostModel &model,
        KernelTilings &tilings, KernelProbe *probe, GivenDecisions given)
      : function_(function), sites_(sites), lowering_(lowering), model_(model), tilings_(tilings), probe_(probe),
        given_(given), candidates_(lowering, model, tilings, probe) {}

  FailureOr<schedule::Problem> pose();

private:
  LogicalResult runTrial();
  void addOps();
  void addOp(const OpSite &site);
  LogicalResult addMixers();
  FailureOr<MixerWays> waysOf(const MixerSite &site);
  void addBlocks();
  void addOtherPrograms();
  schedule::Result resultOf(const StepCosts::Piece &piece, schedule::Interval made) const;
  bool isBackward(Operation *op) const {
    return op == sites_.firstBackward || sites_.firstBackward->isBeforeInBlock(op);
  }

  func::FuncOp function_;
  const StepSites &sites_;
  const TrialLowering &lowering_;
  const schedule::CostModel &model_;
  const KernelTilings &tilings_;
  KernelProbe *probe_;
  GivenDecisions given_;
  MixerCandidates candidates_;

  OwningOpRef<ModuleOp> lowered_;
  std::optional<StepCosts> costs_;
  llvm::DenseMap<Operation *, size_t> number_;              // of each op site
  llvm::DenseMap<const StepCosts::Piece *, size_t> result_; // pieces that are results, by number among their op's
  llvm::DenseMap<Operation *, llvm::SmallVector<const StepCosts::Piece *>> madeBy_;
  schedule::Problem problem_;
};

LogicalResult Poser::runTrial() {
  auto module = function_->getParentOfType<ModuleOp>();
  OwningOpRef<ModuleOp> copy = module.clone();
  for (auto function : copy->getOps<func::FuncOp>())
    for (const MixerSite &site : findStepSites(function).mixers) {
      schedule::MixerWay way = given_(site.path).mixer.value_or(trialWay);
      way.fused = false; // so that every op has steps of its own
      way.tile = 0;
      markMixer(site, way);
    }
  FailureOr<OwningOpRef<ModuleOp>> lowered = lowering_.run(*copy);
  if (failed(lowered))
    return failure();
  lowered_ = std::move(*lowered);
  costs_.emplace(function_, lowered_->lookupSymbol<tape::ProgramOp>(function_.getName()), model_);
  for (const StepCosts::Piece &piece : costs_->pieces())
    madeBy_[piece.maker].push_back(&piece);
  return success();
}

/// The life of a piece that an op of the forward half leaves behind, by the ops that read it.
schedule::Result Poser::resultOf(const StepCosts::Piece &piece, schedule::Interval made) const {
  schedule::Result result{piece.bytes, made.last, {}};
  for (Operation *reader : piece.readers) {
    schedule::Interval steps = costs_->stepsOf(reader);
    if (isBackward(reader))
      result.backward = result.backward.with(steps);
    else
      result.lastForward = std::max(result.lastForward, steps.last);
  }
  return result;
}

void Poser::addOp(const OpSite &site) {
  schedule::Op op;
  schedule::Interval steps = costs_->stepsOf(site.op);
  op.path = site.path;
  op.recomputeSeconds = costs_->secondsOf(site.op);
  op.made = std::max<int64_t>(steps.first, 0);
  op.given = given_(site.path).action;
  auto mixer = llvm::find_if(sites_.mixers, [&](const MixerSite &m) { return m.forward == site.op; });
  for (const StepCosts::Piece *piece : madeBy_.lookup(site.op)) {
    if (mixer != sites_.mixers.end() && isStateOf(*mixer, *piece))
      continue;
    if (piece->life.last <= steps.last) {
      op.scratchBytes += piece->bytes;
      continue;
    }
    result_[piece] = op.results.size();
    op.results.push_back(resultOf(*piece, steps));
  }
  number_[site.op] = problem_.ops.size();
  problem_.ops.push_back(std::move(op));
}

void Poser::addOps() {
  for (const OpSite &site : sites_.ops)
    addOp(site);
  for (const auto &[piece, result] : result_)
    for (Operation *reader : piece->readers)
      if (auto found = number_.find(reader); found != number_.end() && reader != piece->maker)
        problem_.ops[found->second].inputs.push_back({number_.lookup(piece->maker), result});
  for (schedule::Op &op : problem_.ops) // the map has no order
    llvm::sort(op.inputs, [](schedule::Input a, schedule::Input b) {
      return std::tie(a.op, a.result) < std::tie(b.op, b.result);
    });
}

FailureOr<MixerWays> Poser::waysOf(const MixerSite &site) {
  std::optional<schedule::MixerWay> way = given_(site.path).mixer;
  if (!way)
    return candidates_.of(site);
  FailureOr<schedule::MixerCandidate> one = candidates_.of(site, *way);
  if (failed(one))
    return failure();
  return MixerWays{{*one}, {}};
}

LogicalResult Poser::addMixers() {
  for (const MixerSite &site : sites_.mixers) {
    FailureOr<MixerWays> ways = waysOf(site);
    if (failed(ways))
      return failure();
    problem_.fixedSeconds -= costs_->secondsOf(site.forward) + costs_->secondsOf(site.gradient);
    problem_.mixers.push_back(
        {number_.lookup(site.forward), costs_->stepsOf(site.gradient).last, ways->candidates, ways->refused});
  }
  return success();
}

/// Everything in the arena that is no result of an op of the forward half and belongs to no mixer.
void Poser::addBlocks() {
  for (const StepCosts::Piece &piece : costs_->pieces()) {
    bool ofMixer = llvm::any_of(
        sites_.mixers, [&](const MixerSite &site) { return isStateOf(site, piece) || isScratchOf(site, piece); });
    schedule::Interval life = piece.life;
    if (piece.isWrittenOver)
      life.last = std::max(life.first, life.last - 1);
    if (!ofMixer && !result_.contains(&piece))
      problem_.blocks.push_back({piece.layer.empty() ? "step" : piece.layer, piece.bytes, life});
  }
}

void Poser::addOtherPrograms() {
  int64_t largest = 0;
  std::string name;
  for (auto program : lowered_->getOps<tape::ProgramOp>())
    if (int64_t bytes = program.getArenaBytes().value_or(0);
        program.getName() != function_.getName() && bytes > largest) {
      largest = bytes;
      name = program.getName().str();
    }
  if (largest > 0)
    problem_.blocks.push_back({name, largest, {problem_.steps, problem_.steps}});
  ++problem_.steps;
}

FailureOr<schedule::Problem> Poser::pose() {
  if (failed(runTrial()))
    return failure();
  problem_.name = function_.getName().str();
  problem_.device = model_.device.name;
  problem_.assembler = probe_ ? probe_->name() : "";
  problem_.steps = costs_->stepCount();
  problem_.fixedBytes = analysis::plannedMemory(*lowered_).fixedBytes();
  problem_.fixedSeconds = costs_->totalSeconds();
  addOps();
  if (failed(addMixers()))
    return failure();
  problem_.fixedSeconds = std::max(problem_.fixedSeconds, 0.0); // rounding
  addBlocks();
  addOtherPrograms();
  problem_.tilings = tilings_.questionsOf(sites_);
  if (std::string wrong = problem_.check(); !wrong.empty())
    return function_.emitError() << "the schedule problem is malformed: " << wrong;
  return problem_;
}

} // namespace

FailureOr<schedule::Problem> poseProblem(func::FuncOp function, const StepSites &sites, const TrialLowering &lowering,
                                         schedule::CostModel &model, KernelTilings &tilings, KernelProbe *probe,
                                         GivenDecisions given) {
  return Poser(function, sites, lowering, model, tilings, probe, given).pose();
}

} // namespace oriel::transforms
