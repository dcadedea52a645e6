// The fixed binary tree of a step: its leaves are the micro-batches, in order of their global index, and every sum over
// them (gradients, losses) is taken along its edges. So 1, 2 and 4 ranks compute the same bits: a rank owns a whole
// subtree, and the communicator joins the roots of the ranks in the same order.
//
//            +                 8 micro-batches, 2 ranks: rank 0 sums 0-3, rank 1 sums 4-7
//        /       \             gradient slots of rank 0 while it runs:
//      +           +             micro 0 -> slot 0 | micro 1 -> slot 1, add 0+=1 | micro 2 -> slot 1
//    /   \       /   \           | micro 3 -> slot 2, add 1+=2, add 0+=1
//   +     +     +     +        so log2(leaves) + 1 slots are enough
//  0 1   2 3   4 5   6 7
#pragma once

#include "absl/status/statusor.h"

#include <bit>
#include <cstdint>
#include <span>

namespace oriel::trainer {

/// How the leaves of a step are dealt to ranks: leaves of one rank and gradient slots it needs. InvalidArgument unless
/// `microBatches` and `world` are powers of two and there is a leaf for every rank.
struct TreeShare {
  int64_t leaves = 1;
  int64_t slots = 1;
};
absl::StatusOr<TreeShare> shareOfRank(int64_t microBatches, int world);

/// Where leaf `leaf` (0 … of this rank) writes its gradient: as many slots are taken as earlier subtrees are open.
inline int64_t slotOfLeaf(int64_t leaf) { return std::popcount(static_cast<uint64_t>(leaf)); }

/// How many additions follow leaf `leaf`: each closes a subtree by adding slot i+1 onto slot i, from i = slotOfLeaf - 1
/// down.
inline int64_t additionsAfterLeaf(int64_t leaf) { return std::countr_one(static_cast<uint64_t>(leaf)); }

/// The sum of a power-of-two number of values along the tree.
inline double treeSum(std::span<const double> leaves) {
  if (leaves.size() <= 1)
    return leaves.empty() ? 0.0 : leaves[0];
  size_t half = std::bit_floor(leaves.size() - 1); // any count: the left subtree is full
  return treeSum(leaves.first(half)) + treeSum(leaves.subspan(half));
}

} // namespace oriel::trainer
