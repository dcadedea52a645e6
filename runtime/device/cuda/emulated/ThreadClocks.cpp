#include "runtime/device/cuda/emulated/ThreadClocks.h"

namespace oriel::runtime::emulated {

void ThreadClocks::Steps::reset() {
  std::fill(all.begin(), all.end(), 0);
  for (std::vector<Step> &own : more)
    own.clear();
}

static void raise(std::vector<ThreadClocks::Step> &steps, const std::vector<ThreadClocks::Step> &others) {
  for (size_t by = 0; by < others.size(); ++by)
    steps[by] = std::max(steps[by], others[by]);
}

std::vector<ThreadClocks::Step> ThreadClocks::Steps::joined(size_t first, size_t count) const {
  std::vector<Step> steps;
  for (size_t thread = first; thread < first + count; ++thread) {
    steps.resize(std::max(steps.size(), more[thread].size()));
    raise(steps, more[thread]);
  }
  return steps;
}

void ThreadClocks::reset() {
  std::fill(own_.begin(), own_.end(), 1);
  known_.reset();
  fenced_.reset();
}

void ThreadClocks::barrier() {
  std::vector<Step> fenced = fenced_.all;
  raise(fenced, fenced_.joined(0, threads()));
  fenced_.reset();
  fenced_.all = std::move(fenced);
  known_.reset();
  known_.all = own_;
  for (Step &step : own_)
    ++step;
}

void ThreadClocks::barrierOf(size_t first, size_t count) {
  std::vector<Step> known = known_.joined(first, count), fenced = fenced_.joined(first, count);
  known.resize(threads());
  for (size_t thread = first; thread < first + count; ++thread)
    known[thread] = std::max(known[thread], own_[thread]++);
  std::fill_n(known_.more.begin() + static_cast<std::ptrdiff_t>(first), count, known);
  std::fill_n(fenced_.more.begin() + static_cast<std::ptrdiff_t>(first), count, fenced);
}

void ThreadClocks::fenceAsyncProxy(size_t thread) {
  std::vector<Step> fenced(threads());
  for (size_t by = 0; by < threads(); ++by)
    fenced[by] = known_.of(thread, by);
  fenced[thread] = own_[thread]++; // what comes after the fence is another step
  fenced_.more[thread] = std::move(fenced);
}

} // namespace oriel::runtime::emulated
