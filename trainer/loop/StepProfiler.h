// Profiles some steps of a run (metrics.profile_steps): watches the executor, then writes the table and the trace.
#pragma once

#include "runtime/executor/Executor.h"
#include "trainer/config/job.pb.h"
#include "trainer/metrics/Profile.h"

#include "absl/status/status.h"

#include <string>

namespace oriel::trainer {

/// Call before and after every training step. The first step of a run is left out: it touches memory for the first
/// time. Watching waits after each step of the plan, so profiled steps run a little slower.
class StepProfiler {
public:
  StepProfiler(const Job &job, int rank, runtime::Executor &executor);

  void beforeStep();
  void afterStep();

  /// Writes DIR/trace-rankR.json and DIR/profile-rankR.txt (DIR: the metrics folder); that they cannot be written costs a
  /// warning. Returns the table; empty when nothing was profiled.
  std::string finish(double peakFlopsPerSecond) const;

private:
  absl::Status write(const std::string &table) const;

  const Job &job_;
  int rank_;
  runtime::Executor &executor_;
  Profile profile_;
  int64_t seen_ = 0, profiled_ = 0;
  bool inStep_ = false; // validation and samples between two steps are not profiled
};

} // namespace oriel::trainer
