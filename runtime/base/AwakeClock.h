// Time in which this process ran. Whoever waits for a sign of life from others measures with it: a process that was
// stopped (Ctrl-Z, a debugger, a paused machine) and goes on must not take its own absence for theirs.
#ifndef ORIEL_RUNTIME_BASE_AWAKECLOCK_H
#define ORIEL_RUNTIME_BASE_AWAKECLOCK_H

#include "runtime/base/Clock.h"

#include <chrono>
#include <functional>
#include <mutex>
#include <utility>

namespace oriel::runtime {

/// A monotonic clock on which at most `longestGap` passes between two readings, so it must be read more often than
/// that. Thread safe.
class AwakeClock {
public:
  using Steady = std::chrono::steady_clock;
  static constexpr std::chrono::seconds longestGap{8};

  explicit AwakeClock(std::function<Steady::time_point()> source = &Steady::now)
      : source_(std::move(source)), last_(source_()) {}

  Steady::time_point now() {
    std::lock_guard lock(mutex_);
    Steady::time_point read = source_();
    if (read - last_ > longestGap)
      absent_ += read - last_ - longestGap;
    last_ = read;
    return read - absent_;
  }
  /// The same in seconds; only differences have a meaning.
  double seconds() { return std::chrono::duration<double>(now().time_since_epoch()).count(); }

private:
  const std::function<Steady::time_point()> source_;
  std::mutex mutex_;
  Steady::time_point last_;
  Steady::duration absent_{};
};

/// A deadline for a wait on peers that polls, at least every AwakeClock::longestGap: a process that was stopped for
/// longer than its patience and goes on still gives its peers, who may have been stopped with it, what was left.
class AwakeDeadline {
public:
  explicit AwakeDeadline(Deadline deadline,
                         std::function<AwakeClock::Steady::time_point()> source = &AwakeClock::Steady::now)
      : clock_(std::move(source)), end_(clock_.seconds() + deadline.secondsLeft()) {}

  bool expired() { return clock_.seconds() >= end_; }

private:
  AwakeClock clock_;
  const double end_;
};

} // namespace oriel::runtime

#endif
