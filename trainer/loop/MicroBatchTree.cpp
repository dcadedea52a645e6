#include "trainer/loop/MicroBatchTree.h"

#include <fmt/format.h>

namespace oriel::trainer {

absl::StatusOr<TreeShare> shareOfRank(int64_t microBatches, int world) {
  if (microBatches < 1 || !std::has_single_bit(static_cast<uint64_t>(microBatches)))
    return absl::InvalidArgumentError(
        fmt::format("training.batch / training.micro_batch = {} is not a power of two", microBatches));
  if (world < 1 || !std::has_single_bit(static_cast<unsigned>(world)))
    return absl::InvalidArgumentError(
        fmt::format("{} ranks: the number of ranks must be a power of two, so that each owns a subtree", world));
  if (world > microBatches)
    return absl::InvalidArgumentError(fmt::format("{} ranks share {} micro-batches of a step: raise training.batch or "
                                                  "lower training.micro_batch so that each rank has one",
                                                  world, microBatches));
  int64_t leaves = microBatches / world;
  return TreeShare{leaves, std::countr_zero(static_cast<uint64_t>(leaves)) + 1};
}

} // namespace oriel::trainer
