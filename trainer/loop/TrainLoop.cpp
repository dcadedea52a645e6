// The order of things in a run. Each part lives in a file of its own; this one only says when.
#include "trainer/loop/TrainLoop.h"

#include "runtime/base/Status.h"
#include "trainer/config/JobConfig.h"
#include "trainer/loop/Agreement.h"
#include "trainer/loop/Checkpointer.h"
#include "trainer/loop/Failpoint.h"
#include "trainer/loop/Journal.h"
#include "trainer/loop/PeakFlops.h"
#include "trainer/loop/RunFolders.h"
#include "trainer/loop/RunLock.h"
#include "trainer/loop/RunSetup.h"
#include "trainer/loop/Sample.h"
#include "trainer/loop/StepProfiler.h"
#include "trainer/loop/StopSignal.h"
#include "trainer/loop/TrainStep.h"
#include "trainer/loop/Validate.h"
#include "trainer/loop/Watchdog.h"
#include "trainer/optimizer/Parameters.h"
#include "trainer/optimizer/Schedule.h"

#include "absl/strings/numbers.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cmath>
#include <cstring>

namespace oriel::trainer {
namespace {

constexpr double kFinishSeconds = 3600; // for rank 0's sample and report

using runtime::Deadline;
using runtime::monotonicSeconds;

// One run: what lives as long as it, and its phases in order.
class Run {
public:
  Run(const Job &job, runtime::Communicator &communicator, std::function<void(const absl::Status &)> abandon)
      : job_(job), communicator_(communicator), abandon_(std::move(abandon)),
        store_(checkpointDir(job), static_cast<int>(job.checkpoint().keep())) {}

  absl::StatusOr<TrainSummary> execute();

private:
  bool leads() const { return communicator_.rank() == 0; }
  double patience() const { return job_.distributed().deadline(); }
  void beat(const char *phase) { watchdog_->beat(phase, step_); }

  absl::Status open();
  absl::Status restore();
  absl::Status startAnew();
  absl::Status measurePeak();
  absl::Status loop();
  absl::Status oneStep(TrainStep &trainStep);
  absl::Status runValidation();
  absl::Status saveCheckpoint();
  absl::Status noteSave(const std::optional<SaveResult> &save);
  absl::Status saveLast();
  void finish();
  void makeSample();
  RunReport report() const;
  CheckpointInfo checkpointInfo() const;

  const Job &job_;
  runtime::Communicator &communicator_;
  const std::function<void(const absl::Status &)> abandon_;
  RunLock lock_;
  RunSetup setup_;
  CheckpointStore store_;
  std::string runId_;
  std::unique_ptr<ControlPlane> control_;
  std::unique_ptr<Watchdog> watchdog_;
  std::unique_ptr<Journal> journal_;
  std::optional<Checkpointer> checkpointer_;
  std::optional<StepProfiler> profiler_;

  int64_t step_ = 0;       // steps done
  int64_t position_ = 0;   // samples consumed
  int64_t skipped_ = 0;      // steps whose loss or gradient was not finite
  int64_t skippedInRow_ = 0; // the last of them, without one between
  int64_t triedStep_ = -1; // of the last checkpoint, committed or not: the same on all ranks
  absl::Status lastSave_;  // of that checkpoint, as this rank knows
  double peakFlops_ = 0;   // of all ranks
  double stepSeconds_ = 0; // smoothed
  double trainingSeconds_ = 0;
  std::optional<ValidationResult> validation_;
  int64_t validatedStep_ = -1;
  TrainSummary summary_;
};

absl::Status Run::open() {
  ORIEL_RETURN_IF_ERROR(agree(communicator_, leads() ? checkRunFolders(job_, store_) : absl::OkStatus(), Deadline::after(patience())));
  ORIEL_ASSIGN_OR_RETURN(setup_, setUpRun(job_, communicator_)); // writes nothing into the run folder
  for (const char *entry : {"micro", communicator_.size() > 1 ? "last_micro" : "micro", "update"})
    if (!setup_.state->executor().hasEntry(entry))
      return asAgreed(absl::InvalidArgumentError(fmt::format("the package has no entry point '{}'", entry)));
  absl::Status locked;
  if (leads()) {
    absl::StatusOr<RunLock> lock = RunLock::take(job_.run_dir());
    locked = runtime::withContext(lock.status(), "run_dir");
    if (lock.ok()) {
      lock_ = *std::move(lock);
      locked = refuseToMixRuns(job_, store_); // again: there may have been another run while this one was compiled
    }
  }
  ORIEL_RETURN_IF_ERROR(agree(communicator_, locked, Deadline::after(patience())));
  ORIEL_ASSIGN_OR_RETURN(runId_, fromRankZero(communicator_, randomName(), Deadline::after(patience())));
  ORIEL_ASSIGN_OR_RETURN(control_,
                         ControlPlane::start(job_, runId_, setup_.state->plan().fingerprint(), communicator_));
  WatchdogOptions options;
  options.silenceSeconds = 5 * patience();
  watchdog_ = std::make_unique<Watchdog>(
      options, [this] { return control_->client().health(); }, abandon_);
  checkpointer_.emplace(store_, *setup_.state, *control_, communicator_, 2 * patience());
  if (leads())
    spdlog::info("{} parameters, {}, {} rank(s); coordinator at {}", parameterCount(setup_.state->plan()),
                 setup_.device->description(), communicator_.size(), control_->address());
  return absl::OkStatus();
}

absl::Status Run::restore() {
  beat("restore");
  std::vector<std::string> noDecay(job_.optimizer().no_decay().begin(), job_.optimizer().no_decay().end());
  ORIEL_RETURN_IF_ERROR(agree(communicator_, setup_.state->setDecay(noDecay), Deadline::after(patience())));
  if (leads())
    if (absl::Status swept = store_.sweep(); !swept.ok())
      spdlog::warn("{}", std::string(swept.message()));
  ORIEL_RETURN_IF_ERROR(communicator_.barrier(Deadline::after(patience())));
  std::optional<LoadedCheckpoint> loaded;
  if (job_.training().resume()) {
    ORIEL_ASSIGN_OR_RETURN(loaded, resume(store_, *setup_.state, communicator_, patience()));
  }
  if (leads())
    for (const std::string &warning : scheduleWarnings(job_))
      spdlog::warn("{}", warning);
  if (!loaded)
    return startAnew();
  step_ = triedStep_ = loaded->info.step;
  position_ = loaded->info.position;
  for (auto [fact, count] : {std::pair("skipped", &skipped_), std::pair("skipped_in_row", &skippedInRow_)})
    if (!absl::SimpleAtoi(loaded->info.extra[fact], count))
      *count = 0; // written before steps were skipped
  summary_.checkpoint = loaded->path;
  if (!leads())
    return absl::OkStatus();
  for (const std::string &reason : loaded->skipped)
    spdlog::warn("checkpoint passed over: {}", reason);
  if (loaded->info.configHash != jobNumericsHash(job_))
    spdlog::warn("the job differs from the one that wrote {} and goes on with the new values: {}", loaded->path,
                 numericsDifference(loaded->info.extra["settings"], job_));
  spdlog::info("resumed from {} at step {}{}", loaded->path, step_,
               step_ < job_.training().steps() ? "" : fmt::format(", which is all of training.steps = {}: nothing is left "
                                                                  "to train", job_.training().steps()));
  return absl::OkStatus();
}

absl::Status Run::startAnew() {
  ORIEL_RETURN_IF_ERROR(setup_.state->initialize(job_.training().seed(), Deadline::after(patience())));
  if (job_.training().init_from().empty())
    return absl::OkStatus();
  absl::StatusOr<LoadedCheckpoint> weights =
      takeWeights(job_.training().init_from(), *setup_.state, communicator_, patience());
  if (!weights.ok())
    return runtime::withContext(weights.status(), "training.init_from");
  if (!leads())
    return absl::OkStatus();
  for (const std::string &reason : weights->skipped)
    spdlog::warn("checkpoint passed over: {}", reason);
  spdlog::info("starts with the weights of {} (step {})", weights->path, weights->info.step);
  return absl::OkStatus();
}

// Every rank measures at the same time, as the cores will be shared while training.
absl::Status Run::measurePeak() {
  double mine = job_.metrics().peak_gflops() * 1e9;
  if (mine == 0 && job_.training().device() == "cpu")
    mine = measurePeakFlops(setup_.device->threads(), job_.training().dtype() == "bf16");
  std::string bytes(reinterpret_cast<const char *>(&mine), sizeof mine);
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> all,
                         communicator_.allGatherBytes(bytes, Deadline::after(patience())));
  for (const std::string &message : all) {
    double rate = 0;
    std::memcpy(&rate, message.data(), std::min(message.size(), sizeof rate));
    peakFlops_ += rate;
  }
  return absl::OkStatus();
}

absl::Status Run::oneStep(TrainStep &trainStep) {
  ORIEL_RETURN_IF_ERROR(control_->client().health());
  ORIEL_RETURN_IF_ERROR(noteSave(checkpointer_->poll()));
  ORIEL_RETURN_IF_ERROR(failpoint("step", communicator_.rank(), step_));
  double start = monotonicSeconds();
  profiler_->beforeStep();
  ORIEL_ASSIGN_OR_RETURN(StepOutcome outcome, trainStep.run({step_, position_, skipped_, skippedInRow_, stopRequested()}));
  profiler_->afterStep();
  double seconds = monotonicSeconds() - start;
  trainingSeconds_ += seconds;
  stepSeconds_ = stepSeconds_ == 0 ? seconds : 0.9 * stepSeconds_ + 0.1 * seconds;
  position_ += job_.training().batch();
  skippedInRow_ = outcome.skipped.empty() ? 0 : skippedInRow_ + 1;
  skipped_ += outcome.skipped.empty() ? 0 : 1;
  if (skippedInRow_ > 0)
    journal_->note(fmt::format("step {} skipped: {}; weights and moments stay ({} in a row, optimizer.max_skipped = {})", step_,
                               outcome.skipped, skippedInRow_, job_.optimizer().max_skipped()));

  StepReport report;
  report.learningRate = learningRate(job_, step_);
  report.step = ++step_;
  report.loss = outcome.loss;
  report.gradNorm = outcome.gradNorm;
  report.tokensPerSecond = static_cast<double>(job_.training().batch() * job_.training().sequence()) / stepSeconds_;
  if (double flops = setup_.state->plan().flops_per_token(); flops > 0 && peakFlops_ > 0)
    report.mfu = flops * report.tokensPerSecond / peakFlops_;
  summary_.trainLoss = outcome.loss;
  summary_.stopped = outcome.stop && step_ < job_.training().steps();
  control_->client().report({step_, outcome.loss, report.tokensPerSecond});
  journal_->step(report, seconds);
  return absl::OkStatus();
}

absl::Status Run::loop() {
  TrainStep trainStep(job_, setup_.share, *setup_.state, *setup_.training, communicator_,
                      [this](const char *phase) { beat(phase); });
  profiler_.emplace(job_, communicator_.rank(), setup_.state->executor());
  int64_t steps = job_.training().steps(), every = job_.checkpoint().every(), look = job_.validation().every();
  while (step_ < steps && !summary_.stopped) {
    ORIEL_RETURN_IF_ERROR(oneStep(trainStep));
    if (look > 0 && step_ % look == 0 && step_ < steps && !summary_.stopped)
      ORIEL_RETURN_IF_ERROR(runValidation());
    if (every > 0 && step_ % every == 0)
      ORIEL_RETURN_IF_ERROR(saveCheckpoint());
  }
  summary_.profile = profiler_->finish(peakFlops_ / communicator_.size());
  ORIEL_RETURN_IF_ERROR(saveLast());
  if (!summary_.stopped && setup_.validation)
    ORIEL_RETURN_IF_ERROR(runValidation());
  return absl::OkStatus();
}

absl::Status Run::runValidation() {
  if (!setup_.validation || validatedStep_ == step_)
    return absl::OkStatus();
  ORIEL_RETURN_IF_ERROR(failpoint("eval", communicator_.rank(), step_));
  ORIEL_ASSIGN_OR_RETURN(validation_, validate(*setup_.state, *setup_.validation, job_.validation().batches(),
                                               setup_.tokenizer.get(), communicator_, patience(),
                                               [this](const char *phase) { beat(phase); }));
  validatedStep_ = step_;
  journal_->validation(step_, validation_->perToken());
  return absl::OkStatus();
}

CheckpointInfo Run::checkpointInfo() const {
  CheckpointInfo info;
  info.step = step_;
  info.position = position_;
  info.seed = job_.training().seed();
  info.runId = runId_;
  info.planFingerprint = setup_.state->plan().fingerprint();
  info.configHash = jobNumericsHash(job_);
  info.usedElements = usedElements(setup_.state->plan());
  info.parameters = setup_.state->places();
  info.extra = {{"model", setup_.state->plan().model()}, {"model_text", setup_.modelText},
                {"tokenizer", job_.data().tokenizer()},  {"sequence", std::to_string(job_.training().sequence())},
                {"dtype", job_.training().dtype()},      {"name", job_.name()},
                {"settings", printNumerics(job_)},       {"skipped", std::to_string(skipped_)},
                {"skipped_in_row", std::to_string(skippedInRow_)}};
  return info;
}

// The save before it has had a whole interval; where it has not ended, training waits for it here.
absl::Status Run::saveCheckpoint() {
  beat("checkpoint");
  ORIEL_RETURN_IF_ERROR(noteSave(checkpointer_->wait()));
  triedStep_ = step_;
  bool last = step_ >= job_.training().steps() || summary_.stopped; // loop() waits for it before anything else
  return checkpointer_->begin(checkpointInfo(), last);
}

// The state that training ends with. That it could not be saved does not take the validation, the sample and the report
// from the user, but the job has failed.
absl::Status Run::saveLast() {
  if (triedStep_ != step_)
    ORIEL_RETURN_IF_ERROR(saveCheckpoint());
  beat("checkpoint");
  ORIEL_RETURN_IF_ERROR(noteSave(checkpointer_->wait()));
  summary_.lastSave = agree(communicator_, lastSave_, Deadline::after(patience()));
  return absl::OkStatus();
}

absl::Status Run::noteSave(const std::optional<SaveResult> &save) {
  if (!save)
    return absl::OkStatus();
  ORIEL_RETURN_IF_ERROR(save->fatal);
  lastSave_ = absl::OkStatus();
  if (!save->committed) {
    lastSave_ = absl::UnavailableError(
        fmt::format("the weights of step {} are in no checkpoint: {}; {}", save->step, save->reason,
                    summary_.checkpoint.empty() ? "the same command starts from the beginning"
                                                : "the same command goes on from " + summary_.checkpoint));
    journal_->note(
        fmt::format("step {}: the checkpoint was not committed, older ones stay: {}", save->step, save->reason));
    return absl::OkStatus();
  }
  summary_.checkpoint = save->folder;
  if (leads())
    journal_->note(fmt::format("step {}: checkpoint {}", save->step, save->folder));
  return absl::OkStatus();
}

void Run::makeSample() {
  if (!leads() || summary_.stopped || job_.sample().tokens() == 0 || !setup_.tokenizer)
    return;
  absl::StatusOr<std::string> text = sampleOfRun(job_, setup_, [this] { beat("sample"); });
  if (!text.ok())
    return spdlog::warn("no sample: {}", std::string(text.status().message()));
  summary_.samplePrompt = job_.sample().prompt();
  summary_.sample = *std::move(text);
}

RunReport Run::report() const {
  RunReport page;
  page.title = job_.name();
  page.facts = {
      {"model", fmt::format("{} ({} parameters)", setup_.state->plan().model(), parameterCount(setup_.state->plan()))},
      {"steps", fmt::format("{} of {}", step_, job_.training().steps())},
      {"tokens per step", std::to_string(job_.training().batch() * job_.training().sequence())},
      {"ranks", std::to_string(communicator_.size())},
      {"device", setup_.device->description()},
      {"tokens/s", fmt::format("{:.0f}", summary_.tokensPerSecond)},
      {"memory per rank",
       fmt::format("{:.1f} MiB", static_cast<double>(setup_.state->executor().memoryBytes()) / 1048576)},
      {"training loss", fmt::format("{:.4f} nats/token", summary_.trainLoss)}};
  if (summary_.validationPerToken) {
    std::string perByte;
    if (summary_.validationPerByte)
      perByte = fmt::format(", {:.4f} nats/byte", *summary_.validationPerByte);
    page.facts.emplace_back("validation loss",
                            fmt::format("{:.4f} nats/token{}", *summary_.validationPerToken, perByte));
  }
  page.facts.emplace_back("checkpoint", summary_.checkpoint);
  page.samplePrompt = summary_.samplePrompt;
  page.sample = summary_.sample;
  page.jobToml = printJob(job_);
  page.modelText = setup_.modelText;
  return page;
}

// Nothing here fails a job whose weights are saved.
void Run::finish() {
  journal_->finishBar();
  summary_.lastStep = step_;
  summary_.metrics = metricsDir(job_);
  double tokens =
      static_cast<double>((step_ - summary_.firstStep) * job_.training().batch() * job_.training().sequence());
  summary_.tokensPerSecond = trainingSeconds_ > 0 ? tokens / trainingSeconds_ : 0;
  if (validation_ && validatedStep_ == step_) {
    summary_.validationPerToken = validation_->perToken();
    if (validation_->bytes > 0)
      summary_.validationPerByte = validation_->perByte();
  }
  makeSample();
  absl::StatusOr<std::string> page = journal_->writeReport(report());
  if (page.ok())
    summary_.report = *std::move(page);
  else
    spdlog::warn("no report: {}", std::string(page.status().message()));
}

absl::StatusOr<TrainSummary> Run::execute() {
  ORIEL_RETURN_IF_ERROR(open());
  auto body = [this]() -> absl::Status {
    ORIEL_RETURN_IF_ERROR(restore());
    ORIEL_RETURN_IF_ERROR(measurePeak());
    summary_.firstStep = step_;
    absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::open(job_, step_, leads());
    ORIEL_RETURN_IF_ERROR(agree(communicator_, journal.status(), Deadline::after(patience())));
    journal_ = *std::move(journal);
    return loop();
  };
  absl::Status outcome = body();
  if (journal_)
    journal_->finishBar();
  control_->leave(outcome, communicator_, patience());
  ORIEL_RETURN_IF_ERROR(outcome);
  // The others wait here, since MPI ends a rank whose peers leave early. Should rank 0 die, mpirun ends them.
  if (!leads())
    watchdog_.reset();
  if (leads())
    finish();
  ORIEL_RETURN_IF_ERROR(communicator_.barrier(Deadline::after(kFinishSeconds)));
  return summary_;
}

} // namespace

absl::StatusOr<TrainSummary> train(const Job &job, runtime::Communicator &communicator,
                                   const std::function<void(const absl::Status &)> &abandon) {
  catchStopSignals();
  Run run(job, communicator, abandon);
  return run.execute();
}

} // namespace oriel::trainer
