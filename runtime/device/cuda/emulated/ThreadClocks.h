// Which past steps of a block's threads are ordered before what a thread does now.
//
// Vector clocks (Mattern 1989): each thread counts its own steps, and knows for every other thread the last step that
// something ordered before its present. A barrier of the whole block makes all steps so far known to all; that is kept
// once for the block. What is known beyond it (by barriers of a warp) is kept per thread, and rarely there.
// Not thread safe.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_THREADCLOCKS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_THREADCLOCKS_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace oriel::runtime::emulated {

class ThreadClocks {
public:
  using Step = uint32_t;

  explicit ThreadClocks(size_t threads) : own_(threads, 1), known_(threads, 0), more_(threads) {}

  size_t threads() const { return own_.size(); }

  /// A new block: nothing has happened.
  void reset();

  /// The present step of a thread, 1 or more.
  Step now(size_t thread) const { return own_[thread]; }
  /// Whether `step` of thread `by` is ordered before the present of `thread`.
  bool isKnown(size_t thread, size_t by, Step step) const {
    return thread == by || step <= known_[by] || (!more_[thread].empty() && step <= more_[thread][by]);
  }

  /// All threads have met and go on.
  void barrier();
  /// Threads [first, first + count) have met at a barrier of their own.
  void barrierOf(size_t first, size_t count);

private:
  std::vector<Step> own_, known_;
  std::vector<std::vector<Step>> more_; // empty: nothing beyond known_
};

} // namespace oriel::runtime::emulated

#endif
