#include "runtime/device/cuda/emulated/ThreadClocks.h"

namespace oriel::runtime::emulated {

void ThreadClocks::Steps::reset() {
  std::fill(all.begin(), all.end(), 0);
  for (std::vector<Step> &own : more)
    own.clear();
}

/// `steps` grows to the size of `others`.
static void raise(std::vector<ThreadClocks::Step> &steps, const std::vector<ThreadClocks::Step> &others) {
  steps.resize(std::max(steps.size(), others.size()));
  for (size_t by = 0; by < others.size(); ++by)
    steps[by] = std::max(steps[by], others[by]);
}

std::vector<ThreadClocks::Step> ThreadClocks::Steps::joined(size_t first, size_t count) const {
  std::vector<Step> steps;
  for (size_t thread = first; thread < first + count; ++thread)
    raise(steps, more[thread]);
  return steps;
}

std::vector<ThreadClocks::Step> ThreadClocks::Steps::knownTo(size_t thread) const {
  std::vector<Step> steps = all;
  raise(steps, more[thread]);
  return steps;
}

void ThreadClocks::Steps::learn(size_t thread, const std::vector<Step> &steps) {
  more[thread].resize(all.size());
  raise(more[thread], steps);
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
  std::vector<Step> known = known_.all;
  raise(known, known_.joined(0, threads()));
  std::copy(own_.begin(), own_.end(), known.begin());
  known_.reset();
  known_.all = std::move(known);
  for (Step &step : own_)
    ++step;
}

void ThreadClocks::barrierOf(size_t first, size_t count) {
  std::vector<Step> known = known_.joined(first, count), fenced = fenced_.joined(first, count);
  known.resize(known_.all.size());
  for (size_t thread = first; thread < first + count; ++thread)
    known[thread] = std::max(known[thread], own_[thread]++);
  std::fill_n(known_.more.begin() + static_cast<std::ptrdiff_t>(first), count, known);
  std::fill_n(fenced_.more.begin() + static_cast<std::ptrdiff_t>(first), count, fenced);
}

void ThreadClocks::fenceAsyncProxy(size_t thread) {
  std::vector<Step> fenced = known_.knownTo(thread);
  fenced[thread] = own_[thread]++; // what comes after the fence is another step
  fenced_.more[thread] = std::move(fenced);
}

void ThreadClocks::release(size_t thread, Knowledge &into) {
  raise(into.known, known_.knownTo(thread));
  raise(into.fenced, fenced_.knownTo(thread));
  into.known[thread] = std::max(into.known[thread], own_[thread]++); // what comes after is another step
}

void ThreadClocks::acquire(size_t thread, size_t agent, Step step, const Knowledge &released) {
  std::vector<Step> known = released.known;
  known.resize(known_.all.size());
  known[agent] = std::max(known[agent], step);
  known_.learn(thread, known);
  fenced_.learn(thread, released.fenced);
}

} // namespace oriel::runtime::emulated
