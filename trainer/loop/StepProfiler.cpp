#include "trainer/loop/StepProfiler.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "trainer/config/JobConfig.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace oriel::trainer {

StepProfiler::StepProfiler(const Job &job, int rank, runtime::Executor &executor)
    : job_(job), rank_(rank), executor_(executor) {}

void StepProfiler::beforeStep() {
  if (seen_ == 0 || profiled_ >= job_.metrics().profile_steps())
    return;
  inStep_ = true;
  if (profiled_ > 0)
    return; // collectives of the step before may still run: the same hook hears of their end
  executor_.setStepHook([this](const runtime::StepTrace &trace) {
    if (inStep_ || trace.kind == runtime::StepTrace::Kind::Beside)
      profile_.add({std::string(trace.entry), std::string(trace.layer), std::string(trace.action), trace.start,
                    trace.end, trace.flops, trace.kind});
  });
}

void StepProfiler::afterStep() {
  if (seen_++ == 0 || profiled_ >= job_.metrics().profile_steps())
    return;
  inStep_ = false;
  if (++profiled_ == job_.metrics().profile_steps())
    executor_.setStepHook({});
}

std::string StepProfiler::finish(double peakFlopsPerSecond) const {
  if (profiled_ == 0)
    return std::string();
  std::string table = profile_.table(profiled_, peakFlopsPerSecond);
  if (absl::Status written = write(table); !written.ok())
    spdlog::warn("the profile of rank {} is not written: {}", rank_, std::string(written.message()));
  return table;
}

absl::Status StepProfiler::write(const std::string &table) const {
  std::string dir = metricsDir(job_);
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(dir));
  ORIEL_RETURN_IF_ERROR(runtime::writeFileAtomically(fmt::format("{}/profile-rank{}.txt", dir, rank_), table));
  return profile_.writeTrace(fmt::format("{}/trace-rank{}.json", dir, rank_), rank_);
}

} // namespace oriel::trainer
