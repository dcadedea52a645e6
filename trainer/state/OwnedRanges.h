// Which elements of the flat vectors a rank owns: the same share of every bucket of the plan.
//
//   2 ranks, 2 buckets   | 0 | 1 |   0   |   1   |      what rank 1 has of adam_m: the second part, then the fourth
#pragma once

#include "runtime/plan/plan.pb.h"
#include "trainer/checkpoint/CheckpointStore.h"

#include <vector>

namespace oriel::trainer {

/// Ascending, one range for each bucket, all of a bucket's alike in length; those of all ranks together are the whole.
std::vector<ElementRange> ownedRanges(const plan::Plan &plan, int rank, int world);

} // namespace oriel::trainer
