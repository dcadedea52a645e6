#include "trainer/state/OwnedRanges.h"

namespace oriel::trainer {

std::vector<ElementRange> ownedRanges(const plan::Plan &plan, int rank, int world) {
  std::vector<int64_t> bounds(plan.bucket_starts().begin(), plan.bucket_starts().end());
  if (bounds.empty())
    bounds.push_back(0);
  bounds.push_back(static_cast<int64_t>(plan.parameter_elements()));
  std::vector<ElementRange> ranges;
  for (size_t bucket = 0; bucket + 1 < bounds.size(); ++bucket) {
    int64_t count = (bounds[bucket + 1] - bounds[bucket]) / world;
    ranges.push_back({bounds[bucket] + rank * count, count});
  }
  return ranges;
}

} // namespace oriel::trainer
