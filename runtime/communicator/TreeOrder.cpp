// Works on runs of elements that stay in the cache over all levels of the tree.
#include "runtime/communicator/TreeOrder.h"

#include <algorithm>

namespace oriel::runtime {

static void addInto(float *__restrict target, const float *__restrict source, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    target[i] += source[i];
}

void addInTreeOrder(absl::Span<float *const> parts, int64_t count) {
  constexpr int64_t runElements = 2048;
  size_t size = parts.size();
  for (int64_t start = 0; start < count; start += runElements) {
    int64_t run = std::min(runElements, count - start);
    for (size_t stride = 1; stride < size; stride *= 2)
      for (size_t i = 0; i + stride < size; i += 2 * stride)
        addInto(parts[i] + start, parts[i + stride] + start, run);
  }
}

} // namespace oriel::runtime
