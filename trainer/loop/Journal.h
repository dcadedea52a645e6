// What rank 0 tells the world while a job runs: progress bar, metrics files, and at the end the report. Other ranks
// have a silent one, so the loop reads the same on all.
#pragma once

#include "trainer/config/job.pb.h"
#include "trainer/metrics/HtmlReport.h"
#include "trainer/metrics/MetricsWriter.h"
#include "trainer/metrics/Progress.h"

#include "absl/status/statusor.h"

#include <memory>
#include <optional>
#include <string>

namespace oriel::trainer {

class Journal {
public:
  /// Opens the metrics files of the job, continuing after `firstStep`. `speaking`: false on ranks above 0.
  static absl::StatusOr<std::unique_ptr<Journal>> open(const Job &job, int64_t firstStep, bool speaking);

  /// A step was done (report.step counts it). Records that cannot be written cost a warning, not the run: the first, and when
  /// one can be written again, how many are missing.
  void step(const StepReport &report, double stepSeconds);
  void validation(int64_t step, double nats);
  void note(const std::string &line);
  void finishBar();

  /// Writes report.html from the metrics on disk and what is given. Returns its path; empty when the job wants none.
  absl::StatusOr<std::string> writeReport(RunReport report);

private:
  Journal(const Job &job, bool speaking) : job_(job), speaking_(speaking) {}

  void record(int64_t step, const Scalars &scalars);

  const Job &job_;
  const bool speaking_;
  int64_t missing_ = 0; // records in a row that could not be written
  std::optional<MetricsWriter> metrics_;
  std::optional<Progress> progress_;
};

} // namespace oriel::trainer
