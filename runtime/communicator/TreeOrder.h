// The one order in which contributions of ranks are added.
//
// A binary tree over 0 … n-1 built by doubling strides: first 0+1, 2+3, …, then (0+1)+(2+3), …; a part without a
// partner moves up as it is. So for n that is no power of two the left subtree is the largest power of two below n:
//   n = 2: 0+1     n = 3: (0+1)+2     n = 4: (0+1)+(2+3)     n = 6: ((0+1)+(2+3))+(4+5)
// A rank that owns 2^j leaves of a larger tree and adds them in this order first leaves the whole sum unchanged, bit
// for bit: that is why 1, 2 and 4 ranks train alike.
#ifndef ORIEL_RUNTIME_COMMUNICATOR_TREEORDER_H
#define ORIEL_RUNTIME_COMMUNICATOR_TREEORDER_H

#include "absl/types/span.h"

#include <cstdint>

namespace oriel::runtime {

/// Adds parts[0] … parts[n-1], each `count` floats, in tree order. The sum is left in parts[0]; the others are used up.
void addInTreeOrder(absl::Span<float *const> parts, int64_t count);

} // namespace oriel::runtime

#endif
