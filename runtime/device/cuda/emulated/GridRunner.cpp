#include "runtime/device/cuda/emulated/GridRunner.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

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

/// One for each thread of the pool.
std::vector<std::unique_ptr<BlockMonitor>> GridRunner::monitorsFor(LaunchMonitor &launch, const LaunchShape &shape) {
  std::vector<std::unique_ptr<BlockMonitor>> monitors;
  for (int thread = 0; thread < pool_.threads(); ++thread)
    monitors.push_back(std::make_unique<BlockMonitor>(launch, static_cast<size_t>(shape.threads),
                                                      schedulerOf(thread, shape).shared(), shape.sharedBytes));
  return monitors;
}

namespace {

/// What is wrong with a launch: the fault of its first faulty block. Thread safe.
class FirstFault {
public:
  void add(int64_t block, std::string fault) {
    std::lock_guard lock(mutex_);
    if (!fault.empty() && (block_ < 0 || block < block_)) {
      block_ = block;
      fault_ = std::move(fault);
    }
  }
  const std::string &text() const { return fault_; }

private:
  std::mutex mutex_;
  int64_t block_ = -1;
  std::string fault_;
};

struct Thread {
  void (*run)(void *const *);
  void *const *arguments;
};

} // namespace

absl::Status GridRunner::run(const KernelEntry &kernel, void *const *arguments, const LaunchShape &shape,
                             LaunchReport *report, bool keepTraces) {
  if (absl::Status status = checkShape(shape); !status.ok())
    return status;
  Thread thread{kernel.thread, arguments};
  auto body = [](void *argument) {
    auto *self = static_cast<Thread *>(argument);
    self->run(self->arguments);
  };
  std::unique_ptr<LaunchMonitor> launch;
  std::vector<std::unique_ptr<BlockMonitor>> monitors;
  const auto &[x, y, z] = shape.grid;
  if (kernel.checks) {
    launch = std::make_unique<LaunchMonitor>(*kernel.checks, arguments, keepTraces ? static_cast<size_t>(x * y * z) : 0);
    monitors = monitorsFor(*launch, shape);
  }
  FirstFault fault;
  pool_.forEach(x * y * z, /*run=*/1, [&, x = x, y = y](int64_t block, int worker) {
    BlockScheduler &scheduler = schedulerOf(worker, shape);
    BlockMonitor *monitor = kernel.checks ? monitors[static_cast<size_t>(worker)].get() : nullptr;
    std::array<int64_t, 3> place = {block % x, block / x % y, block / x / y};
    scheduler.setMonitor(monitor);
    if (monitor)
      monitor->begin(block, place);
    fault.add(block, scheduler.runBlock(place, seed_ + static_cast<uint64_t>(block), body, &thread));
    if (monitor)
      monitor->end();
    scheduler.setMonitor(nullptr);
  });
  std::vector<std::string> wrong;
  if (launch) {
    LaunchReport all = launch->report();
    wrong = all.findings;
    if (report)
      *report = std::move(all);
  }
  if (!fault.text().empty())
    wrong.push_back(fault.text());
  if (!wrong.empty())
    return absl::InternalError(absl::StrCat(kernel.name, ": ", absl::StrJoin(wrong, "\n")));
  return absl::OkStatus();
}

} // namespace oriel::runtime::emulated
