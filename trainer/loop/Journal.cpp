#include "trainer/loop/Journal.h"

#include "runtime/base/Status.h"
#include "trainer/config/JobConfig.h"

#include <fmt/format.h>

namespace oriel::trainer {

absl::StatusOr<std::unique_ptr<Journal>> Journal::open(const Job &job, int64_t firstStep, bool speaking) {
  std::unique_ptr<Journal> journal(new Journal(job, speaking));
  if (!speaking)
    return journal;
  MetricsFiles files{metricsDir(job), job.metrics().jsonl(), job.metrics().tensorboard()};
  ORIEL_ASSIGN_OR_RETURN(journal->metrics_, MetricsWriter::open(files, firstStep));
  journal->progress_.emplace(firstStep, job.training().steps());
  return journal;
}

void Journal::step(const StepReport &report, double stepSeconds) {
  if (!speaking_)
    return;
  progress_->update(report);
  if (report.step % job_.metrics().every() != 0 && report.step != job_.training().steps())
    return;
  Scalars scalars = {{"train/loss", report.loss},
                     {"train/learning_rate", report.learningRate},
                     {"train/grad_norm", report.gradNorm},
                     {"perf/tokens_per_second", report.tokensPerSecond},
                     {"perf/step_seconds", stepSeconds}};
  if (report.mfu)
    scalars.emplace_back("perf/mfu", *report.mfu);
  record(report.step, scalars);
}

void Journal::validation(int64_t step, double nats) {
  if (!speaking_)
    return;
  note(fmt::format("step {}: validation loss {:.4f}", step, nats));
  record(step, {{"validation/loss", nats}});
}

void Journal::record(int64_t step, const Scalars &scalars) {
  if (absl::Status status = metrics_->add(step, scalars); !status.ok()) {
    if (missing_++ == 0)
      note(fmt::format("step {}: metrics are not written, training goes on: {}", step, std::string(status.message())));
  } else if (missing_ > 0) {
    note(fmt::format("step {}: metrics are written again; {} records before it are missing", step, missing_));
    missing_ = 0;
  }
}

void Journal::note(const std::string &line) {
  if (progress_)
    progress_->note(line);
}

void Journal::finishBar() {
  if (progress_)
    progress_->finish();
}

absl::StatusOr<std::string> Journal::writeReport(RunReport report) {
  if (!speaking_ || !job_.metrics().report() || !job_.metrics().jsonl())
    return std::string();
  if (auto curve = readScalar(metricsDir(job_), "train/loss"); curve.ok())
    report.trainLoss = *std::move(curve);
  if (auto curve = readScalar(metricsDir(job_), "validation/loss"); curve.ok())
    report.validationLoss = *std::move(curve);
  std::string path = job_.run_dir() + "/report.html";
  ORIEL_RETURN_IF_ERROR(trainer::writeReport(path, report));
  return path;
}

} // namespace oriel::trainer
