// The threads of a CPU device: they take items of one job at a time, together with the calling thread.
//
// Not OpenMP's, because its threads spin for milliseconds between the hundreds of short jobs of a step: on a machine
// that has other work to do, a step became three times slower. Workers here spin for some microseconds and then sleep,
// and a job waits only for workers that have taken part in it: one that is late costs nothing.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_WORKERPOOL_H
#define ORIEL_RUNTIME_DEVICE_CPU_WORKERPOOL_H

#include "absl/functional/function_ref.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace oriel::runtime {

class WorkerPool {
public:
  /// `threads` >= 1 counts the caller. With firstCore >= 0, worker i is bound to allowedCores()[firstCore + i]; the
  /// caller stays free, because threads that it starts later would inherit the binding.
  WorkerPool(int threads, int firstCore);
  ~WorkerPool();
  WorkerPool(const WorkerPool &) = delete;
  WorkerPool &operator=(const WorkerPool &) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(item, thread) once for each 0 <= item < items; threads take `run` items at a time, as they come. 0 <=
  /// thread < threads() is unique among those that run at the same time. Returns when all are done. One caller at a
  /// time; allocates nothing.
  void forEach(int64_t items, int64_t run, absl::FunctionRef<void(int64_t item, int thread)> body);

private:
  using Body = absl::FunctionRef<void(int64_t, int)>;

  void work(int thread);
  void takeItems(int thread);

  // generation | open bit | number of workers inside. A worker enters only while the job is open; the caller closes it
  // when all items are taken and waits for the number to reach 0.
  static constexpr uint32_t countMask = (1u << 12) - 1, openBit = 1u << 12, generationStep = 1u << 13;
  std::atomic<uint32_t> state_ = 0;
  std::atomic<bool> stopping_ = false;

  // The job: written by the caller while nobody is inside.
  const Body *body_ = nullptr;
  int64_t items_ = 0, run_ = 1;
  std::atomic<int64_t> next_ = 0;

  std::vector<std::thread> workers_;
};

} // namespace oriel::runtime

#endif
