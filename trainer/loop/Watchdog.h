// The last line against hanging. A thread of its own that ends the process (by the given action) when the job's health
// turns bad while the training thread is blocked, or when the training thread has shown no sign of life for too long.
// Collectives have deadlines of their own; this catches what they cannot: a kernel, a disk or a library that never
// returns.
#pragma once

#include "runtime/base/AwakeClock.h"

#include "absl/status/status.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace oriel::trainer {

struct WatchdogOptions {
  double silenceSeconds = 300;   // at least this long without a beat is a hang
  double timesLongest = 20;      // and at least this many times the longest span between two beats so far
  double healthGraceSeconds = 5; // after bad health the training thread has this long to notice and leave by itself
  double pollSeconds = 0.2;
};

class Watchdog {
public:
  /// `health` is asked from the watchdog's thread; `trip` is called there, at most once, with the reason.
  Watchdog(WatchdogOptions options, std::function<absl::Status()> health,
           std::function<void(const absl::Status &)> trip);
  ~Watchdog();

  /// The training thread lives and is about to do `phase` of `step` (shown when it does not come back).
  void beat(const char *phase, int64_t step);

private:
  void watch();

  const WatchdogOptions options_;
  const std::function<absl::Status()> health_;
  const std::function<void(const absl::Status &)> trip_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  runtime::AwakeClock clock_;
  double lastBeat_;
  double longest_ = 0;
  const char *phase_ = "start";
  int64_t step_ = 0;
  std::thread thread_;
};

} // namespace oriel::trainer
