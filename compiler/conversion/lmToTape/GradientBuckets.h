// How the flat space of parameters is cut into buckets: ranges whose gradients ranks sum in one collective.
//
//   flat    | rest | bucket | bucket | bucket |      the backward makes gradients from the right end to the left, so
//                                                    that the right bucket travels while the others are computed
//   bucket  | rank 0 | rank 1 | … |                  every rank owns an equal share of every bucket
//
// No number depends on the cut: sums over ranks are taken element by element, and the norm adds blocks in flat order.
#ifndef ORIEL_COMPILER_CONVERSION_LMTOTAPE_GRADIENTBUCKETS_H
#define ORIEL_COMPILER_CONVERSION_LMTOTAPE_GRADIENTBUCKETS_H

#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace oriel::conversion {

/// Buckets of `elements` floats, a multiple of normBlock * world, as the whole is. All are of one size but the first,
/// which may be smaller.
struct GradientBuckets {
  int64_t elements = 0, world = 1;
  llvm::SmallVector<int64_t> starts; // ascending, in elements; the first is 0

  int64_t size() const { return static_cast<int64_t>(starts.size()); }
  int64_t count(int64_t bucket) const {
    return (bucket + 1 < size() ? starts[bucket + 1] : elements) - starts[bucket];
  }
  /// Elements of bucket `bucket` that a rank owns, and where they lie among all that it owns.
  int64_t share(int64_t bucket) const { return count(bucket) / world; }
  int64_t shareStart(int64_t bucket) const { return starts[bucket] / world; }
};

/// Cuts `elements` into buckets of about `bucketBytes`, and into four at least where they are large enough for that.
/// One bucket for one rank, or where bucketBytes is 0.
GradientBuckets cutIntoBuckets(int64_t elements, int64_t world, int64_t bucketBytes);

} // namespace oriel::conversion

#endif
