// See the header for the protocol of state_.
#include "runtime/device/cpu/WorkerPool.h"

#include "runtime/device/cpu/CpuCores.h"

#include <algorithm>
#include <latch>
#include <omp.h>

namespace oriel::runtime {

namespace {

constexpr int spins = 2000; // about 30 us

void pauseBriefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

} // namespace

WorkerPool::WorkerPool(int threads, int firstCore) {
  std::vector<int> cores = allowedCores();
  bool bind = firstCore >= 0 && static_cast<size_t>(firstCore + threads) <= cores.size();
  std::latch ready(std::max(threads - 1, 0));
  for (int thread = 1; thread < threads; ++thread) {
    int core = bind ? cores[static_cast<size_t>(firstCore + thread)] : -1;
    workers_.emplace_back([this, &ready, thread, core] {
      if (core >= 0)
        bindThisThread(core);
      omp_set_num_threads(1); // a library called from a job starts no threads of its own
      ready.count_down();
      work(thread);
    });
  }
  ready.wait(); // what a thread allocates when it starts is allocated before the first job
}

WorkerPool::~WorkerPool() {
  stopping_ = true;
  state_.fetch_add(generationStep);
  state_.notify_all();
  for (std::thread &worker : workers_)
    worker.join();
}

void WorkerPool::forEach(int64_t items, int64_t run, Body body) {
  if (workers_.empty() || items <= run) {
    for (int64_t item = 0; item < items; ++item)
      body(item, 0);
    return;
  }
  body_ = &body;
  items_ = items;
  run_ = run;
  next_.store(0, std::memory_order_relaxed);
  state_.store((state_.load(std::memory_order_relaxed) + generationStep) | openBit, std::memory_order_release);
  state_.notify_all();
  takeItems(0);
  uint32_t state = state_.fetch_and(~openBit, std::memory_order_acq_rel) & ~openBit;
  for (int spin = 0; state & countMask; state = state_.load(std::memory_order_acquire)) {
    if (++spin < spins)
      pauseBriefly();
    else
      state_.wait(state, std::memory_order_acquire);
  }
}

void WorkerPool::takeItems(int thread) {
  while (true) {
    int64_t first = next_.fetch_add(run_, std::memory_order_relaxed);
    if (first >= items_)
      return;
    for (int64_t item = first, end = std::min(first + run_, items_); item < end; ++item)
      (*body_)(item, thread);
  }
}

void WorkerPool::work(int thread) {
  uint32_t done = 0; // generation of the last job that this worker took part in
  for (int spin = 0;;) {
    uint32_t state = state_.load(std::memory_order_acquire);
    if (stopping_) // set before the last change of state_: whoever has seen that change does not sleep on it
      return;
    uint32_t generation = state / generationStep;
    if (!(state & openBit) || generation == done) {
      if (++spin < spins)
        pauseBriefly();
      else
        state_.wait(state, std::memory_order_acquire);
      continue;
    }
    spin = 0;
    if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel))
      continue;
    done = generation;
    takeItems(thread);
    uint32_t before = state_.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & countMask) == 1 && !(before & openBit))
      state_.notify_all();
  }
}

} // namespace oriel::runtime
