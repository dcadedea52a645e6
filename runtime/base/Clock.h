// Monotonic time and deadlines. Every wait on something that can fail to happen takes a Deadline.
#ifndef ORIEL_RUNTIME_BASE_CLOCK_H
#define ORIEL_RUNTIME_BASE_CLOCK_H

#include <chrono>
#include <limits>

namespace oriel::runtime {

/// Seconds of a clock that never jumps; only differences have a meaning.
inline double monotonicSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// A point in monotonic time together with the span it was made from (for messages: "within 30 s").
class Deadline {
public:
  static Deadline after(double seconds) { return Deadline(seconds, monotonicSeconds() + seconds); }
  /// For waits on this process alone, e.g. for a child that has a deadline of its own. Not for waits on peers.
  static Deadline never() {
    return Deadline(std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity());
  }

  bool expired() const { return monotonicSeconds() >= end_; }
  /// Never negative; infinity for never().
  double secondsLeft() const {
    double left = end_ - monotonicSeconds();
    return left > 0 ? left : 0;
  }
  /// The span given to after().
  double span() const { return span_; }

private:
  Deadline(double span, double end) : span_(span), end_(end) {}

  double span_;
  double end_;
};

} // namespace oriel::runtime

#endif
