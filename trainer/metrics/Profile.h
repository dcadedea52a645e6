// Where the time of a training step goes: a table of kernels with their share of the peak, and a trace for Perfetto.
// Each rank profiles itself. One thread.
#pragma once

#include "runtime/executor/StepTrace.h"

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include <cstdint>
#include <string>
#include <vector>

namespace oriel::trainer {

/// One executed step of the plan, or the time in which one had to wait for a collective.
struct ProfiledStep {
  using Kind = runtime::StepTrace::Kind;
  std::string entry, layer, action;
  double start = 0, end = 0; // seconds of one monotonic clock
  double flops = 0;          // 0: not counted
  Kind kind = Kind::InOrder;
};

class Profile {
public:
  void add(ProfiledStep step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }

  /// Milliseconds per training step by kernel, most first: time, share of the whole, calls, GFLOP/s and share of
  /// `peakFlopsPerSecond` where FLOPs are counted; then the same by layer. Collectives that ran beside the steps come last,
  /// with how much of their time steps ran, too. `trainingSteps` were profiled.
  std::string table(int64_t trainingSteps, double peakFlopsPerSecond) const;

  /// Writes Chrome's trace-event JSON (chrome://tracing, ui.perfetto.dev): one event for each executed step, named by
  /// layer and kernel, and on a second track for each collective beside them. Replaces the file as a whole.
  absl::Status writeTrace(const std::string &path, int rank) const;

private:
  std::vector<ProfiledStep> steps_;
};

} // namespace oriel::trainer
