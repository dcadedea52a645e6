#include "runtime/device/cuda/emulated/ThreadClocks.h"

#include <algorithm>

namespace oriel::runtime::emulated {

void ThreadClocks::reset() {
  std::fill(own_.begin(), own_.end(), 1);
  std::fill(known_.begin(), known_.end(), 0);
  for (std::vector<Step> &more : more_)
    more.clear();
}

void ThreadClocks::barrier() {
  known_ = own_;
  for (Step &step : own_)
    ++step;
  for (std::vector<Step> &more : more_)
    more.clear();
}

void ThreadClocks::barrierOf(size_t first, size_t count) {
  std::vector<Step> joined(own_.size(), 0);
  for (size_t thread = first; thread < first + count; ++thread) {
    for (size_t by = 0; by < more_[thread].size(); ++by)
      joined[by] = std::max(joined[by], more_[thread][by]);
    joined[thread] = std::max(joined[thread], own_[thread]++);
  }
  std::fill_n(more_.begin() + static_cast<std::ptrdiff_t>(first), count, joined);
}

} // namespace oriel::runtime::emulated
