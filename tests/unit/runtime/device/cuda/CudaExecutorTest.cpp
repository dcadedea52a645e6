// The executor on a device whose memory the host does not see: what moves when, recordings, slots, ranks.
#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/base/Files.h"
#include "runtime/base/Hash.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cuda/DriverDevice.h"
#include "runtime/device/cuda/emulated/EmulatedDriver.h"
#include "runtime/device/cuda/emulated/HostProducts.h"
#include "runtime/executor/Executor.h"
#include "runtime/plan/PlanFile.h"

#include "google/protobuf/text_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <filesystem>
#include <numeric>
#include <thread>
#include <unistd.h>

namespace oriel::runtime {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

/// `flip`: y = x with every 64 elements reversed, and slot s of "kept" = y. `share`: "sums" becomes the sum over ranks.
const char *const planText = R"pb(
  format_version: 1
  target { kind: "nvidia" chip: "sm_80" }
  mesh { name: "fsdp" size: %d }
  arena_bytes: 6144
  buffers { name: "x" dtype: I32 shape: 1536 bytes: 6144 placement: IO }
  buffers { name: "y" dtype: I32 shape: 1536 bytes: 6144 placement: IO }
  buffers { name: "work" dtype: I32 shape: 1536 bytes: 6144 placement: ARENA }
  buffers { name: "kept" dtype: I32 shape: 1536 bytes: 18432 slot_bytes: 6144 placement: STATE }
  buffers { name: "sums" dtype: F32 shape: 32 bytes: 128 placement: STATE }
  buffers { name: "scratch" dtype: F32 shape: 32 bytes: 128 placement: STATE }
  entry_points {
    name: "flip" inputs: "x" outputs: "y"
    steps { layer: "a" launch { symbol: "reverse" grid: [ 2, 3, 4 ] threads: 64 shared_bytes: 256 args { buffer: 0 } args { buffer: 2 } } }
    steps { copy { source { buffer: 2 } target { buffer: 1 } bytes: 6144 } }
    steps { copy { source { buffer: 1 } target { buffer: 3 } bytes: 6144 } }
  }
  entry_points {
    name: "share" inputs: "x"
    steps { copy { source { buffer: 0 } target { buffer: 1 } bytes: 64 } }
    steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 4 } scratch { buffer: 5 } count: %d dtype: F32 } }
    steps { collective { kind: ALL_GATHER axis: "fsdp" data { buffer: 4 } count: %d dtype: F32 } }
    steps { copy { source { buffer: 4 } target { buffer: 5 } bytes: 128 } }
  }
)pb";

class CudaExecutorTest : public ::testing::Test {
protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "oriel-cuda-executor-" + std::to_string(::getpid());
    ASSERT_TRUE(makeFolders(folder_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::shared_ptr<const Package> package(int ranks = 1) {
    std::array<char, 4096> text;
    std::snprintf(text.data(), text.size(), planText, ranks, 32 / ranks, 32 / ranks);
    plan::Plan plan;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text.data(), &plan));
    std::string kernels = *readFile(std::string(TEST_KERNELS) + ".so");
    plan.set_kernels_checksum(hashHex(kernels));
    EXPECT_TRUE(writeFileAtomically(folder_ + "/plan.pb", encodePlan(plan)).ok());
    EXPECT_TRUE(writeFileAtomically(folder_ + "/kernels.so", kernels).ok());
    auto package = Package::load(folder_);
    EXPECT_TRUE(package.ok()) << package.status();
    return *package;
  }

  std::string folder_;
  std::unique_ptr<Device> device_ = *createEmulatedCudaDevice({.threads = 2});
  std::vector<std::unique_ptr<Communicator>> alone_ = createLocalGroup(1);
};

int reversed(int i) { return i / 64 * 64 + 63 - i % 64; }

TEST_F(CudaExecutorTest, RunMovesInputsAndOutputs) {
  auto executor = *Executor::create(package(), *device_, *alone_[0]);
  auto x = *executor->buffer<int32_t>("x"), y = *executor->buffer<int32_t>("y");
  EXPECT_THAT(y, Each(0));
  for (int round = 0; round < 3; ++round) { // the first records, the others replay
    std::iota(x.begin(), x.end(), round);
    ASSERT_EQ(executor->run("flip"), absl::OkStatus());
    for (int i = 0; i < 1536; ++i)
      ASSERT_EQ(y[i], round + reversed(i));
  }
}

/// The emulated driver, counting.
struct Counted {
  static inline const cuda::Driver *real = nullptr;
  static inline int launches = 0, instances = 0, replays = 0;

  static cuda::Driver table() {
    real = &emulated::emulatedDriver({});
    cuda::Driver counting = *real;
    counting.launchKernel = [](cuda::Function function, unsigned x, unsigned y, unsigned z, unsigned threadsX,
                               unsigned threadsY, unsigned threadsZ, unsigned shared, cuda::Stream stream,
                               void **parameters, void **extra) {
      ++launches;
      return real->launchKernel(function, x, y, z, threadsX, threadsY, threadsZ, shared, stream, parameters, extra);
    };
    counting.graphInstantiate = [](cuda::GraphExec *exec, cuda::Graph graph, unsigned long long flags) {
      ++instances;
      return real->graphInstantiate(exec, graph, flags);
    };
    counting.graphLaunch = [](cuda::GraphExec exec, cuda::Stream stream) {
      ++replays;
      return real->graphLaunch(exec, stream);
    };
    return counting;
  }
};

TEST_F(CudaExecutorTest, AnEntryIsOneGraphThatIsMadeOnce) {
  cuda::Driver driver = Counted::table();
  cuda::Backend backend{.driver = &driver, .name = "cuda:0", .hostThreads = 1, .products = [] { return emulated::createHostProducts(); }, .runsHostCode = true};
  auto device = *cuda::createDriverDevice(std::move(backend));
  auto executor = *Executor::create(package(), *device, *alone_[0]);
  for (int run = 1; run <= 3; ++run) {
    ASSERT_EQ(executor->run("flip"), absl::OkStatus());
    EXPECT_EQ(Counted::launches, 1) << "only while recording";
    EXPECT_EQ(Counted::instances, 1);
    EXPECT_EQ(Counted::replays, run);
  }
}

TEST_F(CudaExecutorTest, AViewFirstAskedForAfterARunIsUpToDate) {
  auto executor = *Executor::create(package(), *device_, *alone_[0]);
  auto x = *executor->buffer<int32_t>("x");
  std::iota(x.begin(), x.end(), 0);
  ASSERT_EQ(executor->run("flip"), absl::OkStatus());
  EXPECT_EQ((*executor->buffer<int32_t>("y"))[0], 63);
  EXPECT_EQ((*executor->buffer<int32_t>("kept"))[0], 63);
}

TEST_F(CudaExecutorTest, EverySlotHasARecordingOfItsOwn) {
  auto executor = *Executor::create(package(), *device_, *alone_[0]);
  auto x = *executor->buffer<int32_t>("x"), kept = *executor->buffer<int32_t>("kept");
  for (int slot : {2, 0, 1, 2}) {
    std::fill(x.begin(), x.end(), slot + 1);
    ASSERT_EQ(executor->run("flip", slot), absl::OkStatus());
  }
  EXPECT_THAT(kept, Each(0)) << "state moves when it is asked for";
  ASSERT_EQ(executor->readState("kept"), absl::OkStatus());
  for (int slot : {0, 1, 2})
    EXPECT_EQ(kept[slot * 1536], slot + 1);
}

TEST_F(CudaExecutorTest, StateIsWrittenWhenTheCallerSaysSo) {
  auto executor = *Executor::create(package(), *device_, *alone_[0]);
  auto kept = *executor->buffer<int32_t>("kept");
  kept[5] = 42;
  ASSERT_EQ(executor->readState("kept"), absl::OkStatus());
  EXPECT_EQ(kept[5], 0);
  kept[5] = 42;
  ASSERT_EQ(executor->writeState("kept"), absl::OkStatus());
  kept[5] = 0;
  ASSERT_EQ(executor->readState("kept"), absl::OkStatus());
  EXPECT_EQ(kept[5], 42);
  EXPECT_EQ(executor->readState("none").code(), absl::StatusCode::kNotFound);
}

TEST_F(CudaExecutorTest, TracesStepByStep) {
  auto executor = *Executor::create(package(), *device_, *alone_[0]);
  std::vector<std::string> seen;
  executor->setStepHook([&](const StepTrace &trace) { seen.push_back(std::string(trace.action)); });
  ASSERT_EQ(executor->run("flip"), absl::OkStatus());
  EXPECT_THAT(seen, ::testing::ElementsAre("reverse", "copy", "copy"));
}

TEST_F(CudaExecutorTest, RanksMeetThroughTheHost) {
  auto shared = package(2);
  auto group = createLocalGroup(2);
  auto runRank = [&](int rank) {
    auto device = *createEmulatedCudaDevice({.threads = 1});
    auto executor = *Executor::create(shared, *device, *group[static_cast<size_t>(rank)]);
    auto sums = *executor->buffer<float>("sums");
    std::iota(sums.begin(), sums.end(), rank == 0 ? 0.0f : 1000.0f);
    ASSERT_EQ(executor->writeState("sums"), absl::OkStatus());
    for (int round = 0; round < 2; ++round)
      ASSERT_EQ(executor->run("share"), absl::OkStatus());
    auto copied = *executor->buffer<float>("scratch");
    for (int i = 0; i < 32; ++i)
      EXPECT_EQ(copied[i], 2 * (1000.0f + 2.0f * static_cast<float>(i))) << "rank " << rank;
  };
  std::thread other([&] { runRank(1); });
  runRank(0);
  other.join();
}

TEST_F(CudaExecutorTest, ACpuRefusesTheFolderByName) {
  auto cpu = *createCpuDevice({1, -1});
  absl::Status status = Executor::create(package(), *cpu, *alone_[0]).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder_ + ": compiled for nvidia:sm_80"));
}

} // namespace
} // namespace oriel::runtime
