#include "runtime/device/cuda/emulated/StreamQueues.h"

#include <algorithm>

namespace oriel::runtime::emulated {

StreamQueues::Queue &StreamQueues::open() { return *queues_.emplace_back(std::make_unique<Queue>()); }

void StreamQueues::run(const Queue &awaited) {
  while (!awaited.empty() && runOne())
    ;
}

/// Runs the head of one queue that can go on; false when none can.
bool StreamQueues::runOne() {
  if (queues_.size() > 1)
    std::shuffle(queues_.begin(), queues_.end(), order_);
  for (const std::unique_ptr<Queue> &queue : queues_) {
    if (queue->empty())
      continue;
    std::string outcome = queue->front()();
    if (outcome == stillWaiting)
      continue;
    queue->pop_front();
    fault_ = std::move(outcome);
    if (!fault_.empty())
      for (const std::unique_ptr<Queue> &each : queues_)
        each->clear();
    return true;
  }
  return false;
}

} // namespace oriel::runtime::emulated
