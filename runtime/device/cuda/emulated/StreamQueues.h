// The streams of one emulated device: queues of work that run when somebody waits, in an order that a seed draws.
//
// Work of one queue runs in order. Between queues nothing is promised but what events promise: whenever several queues
// can go on, the seed decides which goes first. So a stream that should wait for another, and does not, is early in
// some runs and gives wrong results, as it would on a GPU. One thread at a time.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_STREAMQUEUES_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_STREAMQUEUES_H

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace oriel::runtime::emulated {

/// What work returns that cannot be done yet; it is asked again later, and what comes after it in its queue waits too.
inline constexpr char stillWaiting[] = "still waiting";

class StreamQueues {
public:
  /// Returns "", `stillWaiting`, or what went wrong.
  using Work = std::function<std::string()>;
  using Queue = std::deque<Work>;

  explicit StreamQueues(uint64_t seed) : order_(seed) {}

  /// A new queue; it lives as long as this object.
  Queue &open();

  /// Runs work of all queues until `awaited` is empty, or every queue that is not waits for something outside. Nothing
  /// runs any more after faulty work.
  void run(const Queue &awaited);

  /// What the first faulty work said; "" while there was none.
  const std::string &fault() const { return fault_; }

private:
  bool runOne();

  std::mt19937_64 order_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::string fault_;
};

} // namespace oriel::runtime::emulated

#endif
