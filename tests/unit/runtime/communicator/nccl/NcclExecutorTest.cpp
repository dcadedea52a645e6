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
/// `share`: both buckets of "params" to all; nobody waits for them. `use`: 64 bytes of each bucket.
/// `backward`: "grads" in two buckets, the second first; the sum of each over ranks begins as soon as it is made. `early`: the
/// same, but the second bucket's sum begins before its last elements are there. `norm`: what is left of both sums, to "sums".
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
  buffers { name: "made" dtype: F32 shape: 32 bytes: 128 placement: STATE }
  buffers { name: "sums" dtype: F32 shape: 16 bytes: 64 placement: STATE }
  entry_points {
    name: "update"
    steps { copy { source { buffer: 0 } target { buffer: 1 } bytes: 128 } }
    steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 1 } scratch { buffer: 2 } count: 16 dtype: F32 } }
    steps { collective { kind: ALL_GATHER axis: "fsdp" data { buffer: 1 } count: 16 dtype: F32 } }
    steps { copy { source { buffer: 1 } target { buffer: 0 } bytes: 128 } }
  }
  entry_points {
    name: "share"
    steps { collective { kind: ALL_GATHER axis: "fsdp" data { buffer: 3 } count: 262144 dtype: F32 } }
    steps { collective { kind: ALL_GATHER axis: "fsdp" data { buffer: 3 byte_offset: 2097152 } count: 262144 dtype: F32 } }
  }
  entry_points {
    name: "backward"
    steps { copy { source { buffer: 6 byte_offset: 64 } target { buffer: 0 byte_offset: 64 } bytes: 32 } }
    steps { copy { source { buffer: 6 byte_offset: 96 } target { buffer: 0 byte_offset: 96 } bytes: 32 } }
    steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 0 byte_offset: 64 } scratch { buffer: 2 } count: 8 dtype: F32 } }
    steps { copy { source { buffer: 6 } target { buffer: 0 } bytes: 64 } }
    steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 0 } scratch { buffer: 2 } count: 8 dtype: F32 } }
  }
  entry_points {
    name: "early"
    steps { copy { source { buffer: 6 byte_offset: 64 } target { buffer: 0 byte_offset: 64 } bytes: 32 } }
    steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 0 byte_offset: 64 } scratch { buffer: 2 } count: 8 dtype: F32 } }
    steps { copy { source { buffer: 6 byte_offset: 96 } target { buffer: 0 byte_offset: 96 } bytes: 32 } }
    steps { copy { source { buffer: 6 } target { buffer: 0 } bytes: 64 } }
    steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 0 } scratch { buffer: 2 } count: 8 dtype: F32 } }
  }
  entry_points {
    name: "norm"
    steps { copy { source { buffer: 0 rank_stride: 32 } target { buffer: 7 } bytes: 32 } }
    steps { copy { source { buffer: 0 byte_offset: 64 rank_stride: 32 } target { buffer: 7 byte_offset: 32 } bytes: 32 } }
  }
  entry_points {
    name: "use" outputs: "first" outputs: "second"
    steps { copy { source { buffer: 3 } target { buffer: 4 } bytes: 64 } }
    steps { copy { source { buffer: 3 byte_offset: 2097152 } target { buffer: 5 } bytes: 64 } }
  }
)pb";

/// What may be forgotten: that the device waits for a collective, or that a collective waits for the device.
enum class Forgotten { Nothing, WaitOfDevice, WaitOfCollective };

/// Passes everything on but the waits of the device.
class WithoutWaits final : public DeviceCollectives {
public:
  explicit WithoutWaits(DeviceCollectives &real) : real_(real) {}
  absl::StatusOr<CollectiveTicket> allGather(void *data, int64_t count, DType dtype, Deadline deadline) override {
    return real_.allGather(data, count, dtype, deadline);
  }
  absl::StatusOr<CollectiveTicket> reduceScatter(void *data, int64_t count, DType dtype, Deadline deadline) override {
    return real_.reduceScatter(data, count, dtype, deadline);
  }
  absl::Status letDeviceWait(CollectiveTicket) override { return absl::OkStatus(); }
  absl::Status finish(Deadline deadline) override { return real_.finish(deadline); }
  void watch(std::function<void(const CollectiveTimes &)> observer) override { real_.watch(std::move(observer)); }

private:
  DeviceCollectives &real_;
};

/// As trainer::connectGpus; collectives that do not follow the device start when they like.
std::unique_ptr<DeviceCollectives> connect(Communicator &host, Device &device, bool follow) {
  if (follow)
    return *trainer::connectGpus(mockNccl(), host, device, SumOrder::Tree, Deadline::after(30));
  std::shared_ptr<cuda::SideStream> side = *openCudaSideStream(device);
  CollectiveStream stream;
  stream.enter = [side] { return static_cast<void *>(side->enter()); };
  stream.followDevice = [] { return absl::OkStatus(); };
  stream.mark = [side] { return side->mark(); };
  stream.letDeviceWait = [side](uint64_t mark) { return side->letDeviceWait(mark); };
  stream.isDone = [side](uint64_t mark) { return side->isDone(mark); };
  stream.isIdle = [side] { return side->isIdle(); };
  stream.deviceIsIdle = [&device] { return isCudaDeviceIdle(device); };
  return *createNcclCollectives(mockNccl(), host, std::move(stream), SumOrder::Tree, Deadline::after(30));
}

/// One of two ranks: device, executor and collectives.
class Rank {
public:
  Rank(std::shared_ptr<const Package> package, Communicator &host, uint64_t seed, Forgotten forgotten)
      : rank_(host.rank()), device_(*createEmulatedCudaDevice({.threads = 1, .seed = seed})),
        collectives_(connect(host, *device_, forgotten != Forgotten::WaitOfCollective)),
        deaf_(*collectives_), executor_(*Executor::create(std::move(package), *device_, host)) {
    executor_->setDeviceCollectives(forgotten == Forgotten::WaitOfDevice ? &deaf_ : collectives_.get());
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

  void runRanks(uint64_t seed, Forgotten forgotten, const std::function<void(Rank &)> &body) {
    auto group = createLocalGroup(2);
    auto runRank = [&](int number) {
      Rank rank(package_, *group[static_cast<size_t>(number)], seed + static_cast<uint64_t>(number), forgotten);
      body(rank);
    };
    std::thread other(runRank, 1);
    runRank(0);
    other.join();
  }

  /// How many of the elements of "grads" are right on both ranks after two updates.
  int rightSums(uint64_t seed, Forgotten forgotten) {
    std::atomic<int> right = 0;
    runRanks(seed, forgotten, [&](Rank &rank) {
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

  /// How many elements of the sums of both buckets are right on both ranks, after two steps.
  int rightBucketSums(uint64_t seed, const char *backward, Forgotten forgotten = Forgotten::Nothing) {
    std::atomic<int> right = 0;
    runRanks(seed, forgotten, [&](Rank &rank) {
      auto made = rank.buffer("made"), sums = rank.buffer("sums");
      for (int step : {1, 2}) {
        std::iota(made.begin(), made.end(), static_cast<float>(100 * step + 1000 * rank.rank()));
        rank.write("made");
        rank.run(backward);
        rank.run("norm");
      }
      rank.read("sums");
      for (int i = 0; i < 16; ++i) {
        int element = 16 * (i / 8) + 8 * rank.rank() + i % 8;
        right += sums[static_cast<size_t>(i)] == static_cast<float>(1400 + 2 * element);
      }
    });
    return right;
  }

  std::string folder_;
  std::shared_ptr<const Package> package_;
};

TEST_F(NcclExecutor, StepsWaitForCollectivesUnderAnyOrderOfStreams) {
  for (uint64_t seed = 0; seed < 20; seed += 2)
    EXPECT_EQ(rightSums(seed, Forgotten::Nothing), 64) << seed;
}

TEST_F(NcclExecutor, AMissingWaitShows) {
  int right = 0;
  for (uint64_t seed = 0; seed < 20; seed += 2)
    right += rightSums(seed, Forgotten::WaitOfDevice) == 64;
  EXPECT_LT(right, 10);
}

TEST_F(NcclExecutor, BucketsAreSummedBesideTheBackwardThatMakesThem) {
  for (uint64_t seed = 0; seed < 20; seed += 2)
    EXPECT_EQ(rightBucketSums(seed, "backward"), 32) << seed;
}

TEST_F(NcclExecutor, ABucketThatIsSummedTooEarlyShows) {
  for (uint64_t seed = 0; seed < 6; seed += 2)
    EXPECT_LT(rightBucketSums(seed, "early"), 32) << seed;
}

TEST_F(NcclExecutor, ASumThatDoesNotWaitForItsBucketShows) {
  int right = 0;
  for (uint64_t seed = 0; seed < 20; seed += 2)
    right += rightBucketSums(seed, "backward", Forgotten::WaitOfCollective) == 32;
  EXPECT_LT(right, 10);
}

/// The second rank comes late: the first one's sum has begun and cannot end while its backward goes on.
TEST_F(NcclExecutor, ATraceShowsACollectiveBesideSteps) {
  std::atomic<int> stepsDone = 0;
  runRanks(3, Forgotten::Nothing, [&](Rank &rank) {
    if (rank.rank() == 1) {
      while (stepsDone < 3)
        std::this_thread::yield();
      return rank.run("backward");
    }
    std::vector<StepTrace> traces;
    rank.executor().setStepHook([&](const StepTrace &trace) {
      traces.push_back(trace);
      stepsDone += trace.kind == StepTrace::Kind::InOrder;
    });
    rank.run("backward");
    rank.run("norm");
    rank.executor().setStepHook({});
    auto find = [&](StepTrace::Kind kind, absl::string_view entry, int64_t index) {
      auto found = std::find_if(traces.begin(), traces.end(), [&](const StepTrace &trace) {
        return trace.kind == kind && trace.entry == entry && trace.index == index;
      });
      EXPECT_NE(found, traces.end()) << entry << " " << index;
      return found == traces.end() ? StepTrace() : *found;
    };
    StepTrace sum = find(StepTrace::Kind::Beside, "backward", 2), other = find(StepTrace::Kind::Beside, "backward", 4);
    StepTrace step = find(StepTrace::Kind::InOrder, "backward", 3), wait = find(StepTrace::Kind::Waiting, "norm", 0);
    EXPECT_EQ(sum.action, "reduce_scatter_tree");
    EXPECT_LE(sum.start, step.start);
    EXPECT_GE(sum.end, step.end);
    EXPECT_GE(other.start, sum.end) << "collectives run one after the other";
    EXPECT_GE(wait.end, other.end);
    EXPECT_GE(find(StepTrace::Kind::InOrder, "norm", 0).start, wait.end);
  });
}

TEST_F(NcclExecutor, AGatherThatNobodyWaitsForOutlastsItsEntry) {
  std::atomic<bool> firstRankReturned = false;
  runRanks(5, Forgotten::Nothing, [&](Rank &rank) {
    auto params = rank.buffer("params");
    for (int step = 1; step <= 3; ++step) {
      std::fill(params.begin(), params.end(), -1.0f);
      for (int bucket : {0, 1}) // of half a million elements
        std::fill_n(params.begin() + bucket * 524288 + rank.rank() * 262144, 262144,
                    static_cast<float>(10 * step + 2 * bucket + rank.rank()));
      rank.write("params");
      while (rank.rank() == 1 && !firstRankReturned) // its slice cannot have travelled yet
        std::this_thread::yield();
      rank.run("share");
      firstRankReturned = true;
      rank.run("use");
      EXPECT_EQ(rank.buffer("first")[15], static_cast<float>(10 * step));
      EXPECT_EQ(rank.buffer("second")[15], static_cast<float>(10 * step + 2));
      rank.read("params");
      EXPECT_EQ(params.front(), static_cast<float>(10 * step));
      EXPECT_EQ(params[524287], static_cast<float>(10 * step + 1));
      EXPECT_EQ(params.back(), static_cast<float>(10 * step + 3));
    }
  });
}

} // namespace
} // namespace oriel::runtime
