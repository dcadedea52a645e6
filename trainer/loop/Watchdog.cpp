#include "trainer/loop/Watchdog.h"

#include <fmt/format.h>

#include <algorithm>

namespace oriel::trainer {

Watchdog::Watchdog(WatchdogOptions options, std::function<absl::Status()> health,
                   std::function<void(const absl::Status &)> trip)
    : options_(options), health_(std::move(health)), trip_(std::move(trip)), lastBeat_(clock_.seconds()),
      thread_([this] { watch(); }) {}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Watchdog::beat(const char *phase, int64_t step) {
  std::lock_guard lock(mutex_);
  double now = clock_.seconds();
  longest_ = std::max(longest_, now - lastBeat_);
  lastBeat_ = now;
  phase_ = phase;
  step_ = step;
}

void Watchdog::watch() {
  double unhealthySince = -1;
  std::unique_lock lock(mutex_);
  auto pause = std::chrono::duration<double>(options_.pollSeconds);
  while (!wake_.wait_for(lock, pause, [this] { return stopping_; })) {
    double now = clock_.seconds();
    absl::Status verdict;
    if (absl::Status health = health_(); !health.ok()) {
      unhealthySince = unhealthySince < 0 ? now : unhealthySince;
      if (now - unhealthySince >= options_.healthGraceSeconds)
        verdict = health;
    }
    double limit = std::max(options_.silenceSeconds, options_.timesLongest * longest_);
    if (now - lastBeat_ > limit)
      verdict = absl::DeadlineExceededError(
          fmt::format("step {}: no progress in phase '{}' for {:.0f} s", step_, phase_, now - lastBeat_));
    if (!verdict.ok()) {
      lock.unlock();
      trip_(verdict);
      return;
    }
  }
}

} // namespace oriel::trainer
