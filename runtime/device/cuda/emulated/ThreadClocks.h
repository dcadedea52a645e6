// Which past steps of a block's threads are ordered before what a thread does now.
//
// Vector clocks (Mattern 1989): each thread counts its own steps, and knows for every other thread the last step that
// something ordered before its present. A barrier of the whole block makes all steps so far known to all; that is kept
// once for the block. What is known beyond it (by barriers of a warp) is kept per thread, and rarely there.
//
// wgmma reads shared memory by another way, the async proxy, and sees a write only when fence.proxy.async stands
// between: with the writer, or with the reader once it knows of the write (PTX ISA, "Proxy-preserved base causality
// order"). What has gone through such a fence is known in the same way.
//
// Copies that an mbarrier completes are steps of an agent beside the threads, one agent for each mbarrier, one step for
// each of its phases. Whoever has seen a phase end knows that step, and what those knew who arrived in it.
// Not thread safe.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_THREADCLOCKS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_THREADCLOCKS_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace oriel::runtime::emulated {

class ThreadClocks {
public:
  using Step = uint32_t;

  explicit ThreadClocks(size_t threads)
      : own_(threads, 1), known_(threads, threads + mostAgents), fenced_(threads, threads + mostAgents) {}

  static constexpr size_t mostAgents = 64;

  size_t threads() const { return own_.size(); }
  /// What stands for an agent where a thread is named.
  size_t agent(size_t number) const { return threads() + number; }
  bool isAgent(size_t by) const { return by >= threads(); }

  /// A new block: nothing has happened.
  void reset();

  /// The present step of a thread, 1 or more.
  Step now(size_t thread) const { return own_[thread]; }
  /// Whether `step` of thread `by` is ordered before the present of `thread`.
  bool isKnown(size_t thread, size_t by, Step step) const { return thread == by || step <= known_.of(thread, by); }
  /// Whether fence.proxy.async stands on the way from there to here.
  bool isFenced(size_t thread, size_t by, Step step) const { return step <= fenced_.of(thread, by); }

  /// All threads have met and go on.
  void barrier();
  /// Threads [first, first + count) have met at a barrier of their own.
  void barrierOf(size_t first, size_t count);
  /// A thread has executed fence.proxy.async.
  void fenceAsyncProxy(size_t thread);

  /// What threads that arrived at an mbarrier knew.
  struct Knowledge {
    std::vector<Step> known, fenced; // empty: nothing
  };
  /// Adds what `thread` knows, up to its present step.
  void release(size_t thread, Knowledge &into);
  /// `thread` has seen `step` of an agent (agent()) and what was released with it.
  void acquire(size_t thread, size_t agent, Step step, const Knowledge &released);

private:
  /// For every thread, the last step of each.
  struct Steps {
    Steps(size_t threads, size_t width) : all(width, 0), more(threads) {}

    Step of(size_t thread, size_t by) const {
      return more[thread].empty() ? all[by] : std::max(all[by], more[thread][by]);
    }
    void reset();
    /// Everything that `thread` knows.
    std::vector<Step> knownTo(size_t thread) const;
    void learn(size_t thread, const std::vector<Step> &steps);
    /// What `more` of threads [first, first + count) says together; empty when it says nothing.
    std::vector<Step> joined(size_t first, size_t count) const;

    std::vector<Step> all;               // known to every thread; of threads, then agents
    std::vector<std::vector<Step>> more; // known to one; empty: nothing beyond `all`
  };

  std::vector<Step> own_;
  Steps known_, fenced_;
};

} // namespace oriel::runtime::emulated

#endif
