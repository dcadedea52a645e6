// Collective steps of a plan on device memory: in order with the steps around them, and beside those that may.
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/executor/Executor.h"
#include "runtime/plan/PlanFile.h"

#include "tests/support/nccl/MockNccl.h"

#include "runtime/base/Files.h"
#include "trainer/device/ConnectGpus.h"

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include <atomic>
#include <filesystem>
#include <numeric>
#include <thread>
#include <unistd.h>

namespace oriel::runtime {
namespace {

/// `update`: "work" = "grads"; its sum over ranks, gathered; back to "grads".
/// `share`: this rank's half of "params", of 4 MiB, to all; nobody waits for it. `use`: 64 bytes of each half of
/// "params".
const char *const planText = R"pb(
  format_version: 1
  target { kind: "nvidia" chip: "sm_80" }
  mesh { name: "fsdp" size: 2 }
  arena_bytes: 128
  buffers { name: "grads" dtype: F32 shape: 32 bytes: 128 placement: STATE }
  buffers { name: "work" dtype: F32 shape: 32 bytes: 128 placement: ARENA }
  buffers { name: "scratch" dtype: F32 shape: 16 bytes: 64 placement: STATE }
  buffers { name: "params" dtype: F32 shape: 1048576 bytes: 4194304 placement: STATE }
  buffers { name: "first" dtype: F32 shape: 16 bytes: 64 placement: IO }
  buffers { name: "second" dtype: F32 shape: 16 bytes: 64 placement: IO }
  entry_points {
    name: "update"
    steps { copy { source { buffer: 0 } target { buffer: 1 } bytes: 128 } }
    steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 1 } scratch { buffer: 2 } count: 16 dtype: F32 } }
    steps { collective { kind: ALL_GATHER axis: "fsdp" data { buffer: 1 } count: 16 dtype: F32 } }
    steps { copy { source { buffer: 1 } target { buffer: 0 } bytes: 128 } }
  }
  entry_points {
    name: "share"
    steps { collective { kind: ALL_GATHER axis: "fsdp" data { buffer: 3 } count: 524288 dtype: F32 } }
  }
  entry_points {
    name: "use" outputs: "first" outputs: "second"
    steps { copy { source { buffer: 3 } target { buffer: 4 } bytes: 64 } }
    steps { copy { source { buffer: 3 byte_offset: 2097152 } target { buffer: 5 } bytes: 64 } }
  }
)pb";

/// Passes everything on but the waits of the device.
class WithoutWaits final : public DeviceCollectives {
public:
  explicit WithoutWaits(DeviceCollectives &real) : real_(real) {}
  absl::StatusOr<CollectiveTicket> allGather(void *data, int64_t count, DType dtype, RankRange owners,
                                             Deadline deadline) override {
    return real_.allGather(data, count, dtype, owners, deadline);
  }
  absl::StatusOr<CollectiveTicket> reduceScatter(void *data, int64_t count, DType dtype, Deadline deadline) override {
    return real_.reduceScatter(data, count, dtype, deadline);
  }
  absl::Status letDeviceWait(CollectiveTicket) override { return absl::OkStatus(); }
  absl::Status finish(Deadline deadline) override { return real_.finish(deadline); }

private:
  DeviceCollectives &real_;
};

/// One of two ranks: device, executor and collectives.
class Rank {
public:
  Rank(std::shared_ptr<const Package> package, Communicator &host, uint64_t seed, bool waits)
      : rank_(host.rank()), device_(*createEmulatedCudaDevice({.threads = 1, .seed = seed})),
        collectives_(*trainer::connectGpus(mockNccl(), host, *device_, SumOrder::Tree, Deadline::after(30))),
        deaf_(*collectives_), executor_(*Executor::create(std::move(package), *device_, host)) {
    executor_->setDeviceCollectives(waits ? collectives_.get() : &deaf_);
  }

  int rank() const { return rank_; }
  Executor &executor() { return *executor_; }
  void run(const char *entry) { EXPECT_EQ(executor_->run(entry), absl::OkStatus()); }
  absl::Span<float> buffer(const char *name) { return *executor_->buffer<float>(name); }
  void write(const char *name) { EXPECT_EQ(executor_->writeState(name), absl::OkStatus()); }
  void read(const char *name) { EXPECT_EQ(executor_->readState(name), absl::OkStatus()); }

private:
  int rank_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<DeviceCollectives> collectives_;
  WithoutWaits deaf_;
  std::unique_ptr<Executor> executor_;
};

class NcclExecutor : public ::testing::Test {
protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "oriel-nccl-executor-" + std::to_string(::getpid());
    plan::Plan plan;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(planText, &plan));
    ASSERT_TRUE(makeFolders(folder_).ok());
    ASSERT_TRUE(writeFileAtomically(folder_ + "/plan.pb", encodePlan(plan)).ok());
    package_ = *Package::load(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void runRanks(uint64_t seed, bool waits, const std::function<void(Rank &)> &body) {
    auto group = createLocalGroup(2);
    auto runRank = [&](int number) {
      Rank rank(package_, *group[static_cast<size_t>(number)], seed + static_cast<uint64_t>(number), waits);
      body(rank);
    };
    std::thread other(runRank, 1);
    runRank(0);
    other.join();
  }

  /// How many of the elements of "grads" are right on both ranks after two updates.
  int rightSums(uint64_t seed, bool waits) {
    std::atomic<int> right = 0;
    runRanks(seed, waits, [&](Rank &rank) {
      auto grads = rank.buffer("grads");
      std::iota(grads.begin(), grads.end(), rank.rank() == 0 ? 0.0f : 1000.0f);
      rank.write("grads");
      rank.run("update");
      rank.run("update");
      rank.read("grads");
      for (int i = 0; i < 32; ++i)
        right += grads[static_cast<size_t>(i)] == 2 * (1000.0f + 2.0f * static_cast<float>(i));
    });
    return right;
  }

  std::string folder_;
  std::shared_ptr<const Package> package_;
};

TEST_F(NcclExecutor, StepsWaitForCollectivesUnderAnyOrderOfStreams) {
  for (uint64_t seed = 0; seed < 20; seed += 2)
    EXPECT_EQ(rightSums(seed, /*waits=*/true), 64) << seed;
}

TEST_F(NcclExecutor, AMissingWaitShows) {
  int right = 0;
  for (uint64_t seed = 0; seed < 20; seed += 2)
    right += rightSums(seed, /*waits=*/false) == 64;
  EXPECT_LT(right, 10);
}

TEST_F(NcclExecutor, AGatherThatNobodyWaitsForOutlastsItsEntry) {
  std::atomic<bool> firstRankReturned = false;
  runRanks(5, /*waits=*/true, [&](Rank &rank) {
    auto params = rank.buffer("params");
    for (int step = 1; step <= 3; ++step) {
      std::fill(params.begin(), params.end(), -1.0f);
      std::fill_n(params.begin() + rank.rank() * 524288, 524288, static_cast<float>(10 * step + rank.rank()));
      rank.write("params");
      while (rank.rank() == 1 && !firstRankReturned) // its slice cannot have travelled yet
        std::this_thread::yield();
      rank.run("share");
      firstRankReturned = true;
      rank.run("use");
      EXPECT_EQ(rank.buffer("first")[15], static_cast<float>(10 * step));
      EXPECT_EQ(rank.buffer("second")[15], static_cast<float>(10 * step + 1));
      rank.read("params");
      EXPECT_EQ(params.front(), static_cast<float>(10 * step));
      EXPECT_EQ(params.back(), static_cast<float>(10 * step + 1));
    }
  });
}

} // namespace
} // namespace oriel::runtime
