#include "runtime/device/cuda/emulated/GridRunner.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <atomic>
#include <mutex>

namespace oriel::runtime::emulated {

static constexpr int64_t mostThreads = 1024, mostSharedBytes = 227 * 1024;
static constexpr std::array<int64_t, 3> mostBlocks = {(int64_t(1) << 31) - 1, 65535, 65535};

GridRunner::GridRunner(int threads, uint64_t seed)
    : pool_(threads, /*firstCore=*/-1), seed_(seed), schedulers_(static_cast<size_t>(pool_.threads())) {}

static absl::Status checkShape(const LaunchShape &shape) {
  for (size_t dim = 0; dim < 3; ++dim)
    if (shape.grid[dim] < 1 || shape.grid[dim] > mostBlocks[dim])
      return absl::InvalidArgumentError(absl::StrCat("grid (", shape.grid[0], ", ", shape.grid[1], ", ", shape.grid[2],
                                                     "): a GPU takes 1 to 2147483647, 65535 and 65535 blocks"));
  if (shape.threads < 1 || shape.threads > mostThreads)
    return absl::InvalidArgumentError(absl::StrCat(shape.threads, " threads in a block; a GPU takes 1 to 1024"));
  if (shape.sharedBytes < 0 || shape.sharedBytes > mostSharedBytes)
    return absl::InvalidArgumentError(
        absl::StrCat(shape.sharedBytes, " bytes of shared memory; no GPU has more than ", mostSharedBytes));
  return absl::OkStatus();
}

BlockScheduler &GridRunner::schedulerOf(int thread, const LaunchShape &shape) {
  std::unique_ptr<BlockScheduler> &scheduler = schedulers_[static_cast<size_t>(thread)];
  if (!scheduler || scheduler->threads() != shape.threads || scheduler->sharedBytes() != shape.sharedBytes)
    scheduler = std::make_unique<BlockScheduler>(shape.threads, shape.sharedBytes);
  return *scheduler;
}

absl::Status GridRunner::run(const KernelEntry &kernel, void *const *arguments, const LaunchShape &shape) {
  if (absl::Status status = checkShape(shape); !status.ok())
    return status;
  struct Thread {
    void (*run)(void *const *);
    void *const *arguments;
  } thread{kernel.thread, arguments};
  auto body = [](void *argument) {
    auto *self = static_cast<Thread *>(argument);
    self->run(self->arguments);
  };
  std::mutex mutex;
  int64_t faultyBlock = -1;
  std::string fault;
  const auto &[x, y, z] = shape.grid;
  pool_.forEach(x * y * z, /*run=*/1, [&, x = x, y = y](int64_t block, int worker) {
    std::string wrong =
        schedulerOf(worker, shape)
            .runBlock({block % x, block / x % y, block / x / y}, seed_ + static_cast<uint64_t>(block), body, &thread);
    if (wrong.empty())
      return;
    std::lock_guard lock(mutex);
    if (faultyBlock < 0 || block < faultyBlock) {
      faultyBlock = block;
      fault = std::move(wrong);
    }
  });
  if (faultyBlock >= 0)
    return absl::InternalError(absl::StrCat(kernel.name, ": ", fault));
  return absl::OkStatus();
}

} // namespace oriel::runtime::emulated
