#include "compiler/conversion/lmToTape/GradientBuckets.h"

#include "compiler/conversion/lmToTape/ParameterLayout.h"
#include <algorithm>

namespace oriel::conversion {

/// With fewer, hardly anything of the exchange lies beside the backward.
static constexpr int64_t leastBuckets = 4;

GradientBuckets cutIntoBuckets(int64_t elements, int64_t world, int64_t bucketBytes) {
  GradientBuckets buckets{elements, world, {}};
  int64_t unit = normBlock * world, size = elements;
  if (world > 1 && bucketBytes > 0) {
    int64_t wanted = std::min<int64_t>(bucketBytes / sizeof(float), elements / leastBuckets);
    size = std::clamp<int64_t>((wanted + unit - 1) / unit, 1, elements / unit) * unit;
  }
  for (int64_t start = elements - size; start > 0; start -= size)
    buckets.starts.push_back(start);
  buckets.starts.push_back(0);
  std::reverse(buckets.starts.begin(), buckets.starts.end());
  return buckets;
}

} // namespace oriel::conversion
