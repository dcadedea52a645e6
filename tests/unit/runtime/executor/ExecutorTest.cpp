// The executor on small packages: every kind of step, slots, buffers, ranks, errors.
#include "runtime/executor/Executor.h"

#include "tests/unit/runtime/executor/TestPackage.h"

#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cpu/CpuDevice.h"

#include "gmock/gmock.h"

#include <numeric>
#include <thread>

namespace oriel::runtime {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// `forward`: y = (2 x)·table where table is a constant [8,8] identity, by way of the arena; then a copy of y to z.
/// `store` puts x into slot s of "stack", `add` adds slot s+1 onto slot s.
const char *const planText = R"pb(
  arena_bytes: 256
  buffers { name: "x" dtype: F32 shape: [ 2, 8 ] bytes: 64 placement: IO }
  buffers { name: "y" dtype: F32 shape: [ 2, 8 ] bytes: 64 placement: IO }
  buffers { name: "z" dtype: F32 shape: [ 2, 8 ] bytes: 64 placement: STATE }
  buffers { name: "work" dtype: F32 shape: [ 2, 8 ] bytes: 64 placement: ARENA offset: 64 }
  buffers { name: "table" dtype: F32 shape: [ 8, 8 ] bytes: 256 placement: CONSTANT }
  buffers { name: "stack" dtype: F32 shape: 8 bytes: 192 slot_bytes: 64 placement: STATE }
  buffers { name: "ids" dtype: I32 shape: 3 bytes: 64 placement: IO }
  entry_points {
    name: "forward"
    steps { layer: "a" launch { symbol: "doubleRow" grid: [ 2, 1, 1 ] scratch_bytes: 32 args { buffer: 0 } args { buffer: 3 } } flops: 16 }
    steps { layer: "b" gemm { a { buffer: 3 } b { buffer: 4 } c { buffer: 1 } m: 2 n: 8 k: 8 lda: 8 ldb: 8 ldc: 8 dtype: F32 c_dtype: F32 } }
    steps { layer: "c" copy { source { buffer: 1 } target { buffer: 2 } bytes: 64 } }
  }
  entry_points { name: "clear" steps { fill { target { buffer: 2 byte_offset: 32 } bytes: 32 } } }
  entry_points { name: "store" steps { copy { source { buffer: 0 } target { buffer: 5 } bytes: 32 } } }
  entry_points {
    name: "add"
    steps { launch { symbol: "addRow" grid: [ 1, 1, 1 ] args { buffer: 5 byte_offset: 64 } args { buffer: 5 } } }
  }
)pb";

std::string identityTable() {
  std::vector<float> table(64, 0.0f);
  for (int i = 0; i < 8; ++i)
    table[static_cast<size_t>(i * 9)] = 1;
  return std::string(reinterpret_cast<const char *>(table.data()), 256);
}

class ExecutorTest : public ::testing::Test {
protected:
  void SetUp() override {
    device_ = *createCpuDevice({2, -1});
    communicator_ = std::move(createLocalGroup(1).front());
    auto package = files_.load();
    ASSERT_TRUE(package.ok()) << package.status();
    auto executor = Executor::create(*package, *device_, *communicator_);
    ASSERT_TRUE(executor.ok()) << executor.status();
    executor_ = std::move(*executor);
    x_ = *executor_->buffer<float>("x");
    std::iota(x_.begin(), x_.end(), 1.0f);
  }

  TestPackage files_{planText, identityTable()};
  std::unique_ptr<Device> device_;
  std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<Executor> executor_;
  absl::Span<float> x_;
};

TEST_F(ExecutorTest, RunsKernelsProductsAndCopies) {
  EXPECT_EQ(executor_->run("forward"), absl::OkStatus());
  auto y = *executor_->buffer<float>("y"), z = *executor_->buffer<float>("z");
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(y[i], 2 * x_[i]);
    EXPECT_EQ(z[i], y[i]);
  }
  EXPECT_EQ(executor_->run("clear"), absl::OkStatus());
  EXPECT_THAT(z.subspan(8), Each(0.0f));
  EXPECT_EQ(z[7], y[7]);
}

TEST_F(ExecutorTest, StateStartsAtZero) {
  EXPECT_THAT(*executor_->buffer<float>("z"), Each(0.0f));
  EXPECT_THAT(*executor_->buffer<float>("stack"), Each(0.0f));
}

TEST_F(ExecutorTest, SlotsMoveTheirBuffersOnly) {
  for (int slot : {2, 0, 1}) {
    x_[0] = static_cast<float>(slot + 1);
    ASSERT_EQ(executor_->run("store", slot), absl::OkStatus());
  }
  auto stack = *executor_->buffer<float>("stack");
  ASSERT_EQ(stack.size(), 48u);
  EXPECT_THAT((std::vector<float>{stack[0], stack[16], stack[32]}), ElementsAre(1, 2, 3));
  ASSERT_EQ(executor_->run("add", 1), absl::OkStatus());
  ASSERT_EQ(executor_->run("add", 0), absl::OkStatus());
  EXPECT_THAT((std::vector<float>{stack[0], stack[16], stack[32]}), ElementsAre(6, 5, 3));
}

TEST_F(ExecutorTest, SlotsBeyondTheBufferAreRefused) {
  EXPECT_EQ(executor_->run("store", 3).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(executor_->run("store", -1).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(executor_->run("add", 2).code(), absl::StatusCode::kOutOfRange); // would read slot 3
  EXPECT_EQ(executor_->run("forward", 1).code(), absl::StatusCode::kOutOfRange);
}

TEST_F(ExecutorTest, ChecksNamesAndTypes) {
  EXPECT_TRUE(executor_->hasEntry("forward"));
  EXPECT_FALSE(executor_->hasEntry("backward"));
  EXPECT_EQ(executor_->run("backward").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(executor_->buffer<float>("none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(executor_->buffer<float>("work").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(executor_->buffer<float>("ids").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(executor_->buffer<int32_t>("ids")->size(), 3u);
}

TEST_F(ExecutorTest, TracesEveryStep) {
  std::vector<std::string> seen;
  executor_->setStepHook([&](const StepTrace &trace) {
    EXPECT_LE(trace.start, trace.end);
    EXPECT_EQ(trace.flops, trace.index == 0 ? 16 : 0);
    seen.push_back(std::string(trace.entry) + " " + std::string(trace.layer) + " " + std::string(trace.action));
  });
  ASSERT_EQ(executor_->run("forward"), absl::OkStatus());
  EXPECT_THAT(seen, ElementsAre("forward a doubleRow", "forward b gemm 2x8x8 NN", "forward c copy"));
  executor_->setStepHook(nullptr);
  ASSERT_EQ(executor_->run("forward"), absl::OkStatus());
  EXPECT_EQ(seen.size(), 3u);
}

TEST_F(ExecutorTest, OneBlockHoldsEverything) { EXPECT_EQ(executor_->memoryBytes(), 256u + 64 * 4 + 192 + 256); }

TEST(ExecutorErrors, AMissingKernelIsNamedWithItsPlace) {
  TestPackage files(R"pb(
    buffers { name: "x" dtype: F32 shape: 8 bytes: 64 placement: IO }
    entry_points { name: "micro" steps { layer: "layers.1.mixer" launch { symbol: "absent" grid: [ 1, 1, 1 ] args { buffer: 0 } } } }
  )pb",
                    "");
  auto device = *createCpuDevice({1, -1});
  auto group = createLocalGroup(1);
  absl::Status status = Executor::create(*files.load(), *device, *group[0]).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("entry 'micro', step 0 (layers.1.mixer, kernel absent)"));
}

/// Two ranks: `update` sums "grads" over ranks, copies this rank's slice to "params" and gathers it.
const char *const collectivePlan = R"pb(
  mesh { name: "fsdp" size: 2 }
  arena_bytes: 64
  buffers { name: "grads" dtype: F32 shape: 32 bytes: 128 placement: STATE }
  buffers { name: "params" dtype: F32 shape: 32 bytes: 128 placement: STATE }
  buffers { name: "scratch" dtype: F32 shape: 16 bytes: 64 placement: ARENA }
  entry_points {
    name: "update"
    steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 0 } scratch { buffer: 2 } count: 16 dtype: F32 } }
    steps { copy { source { buffer: 0 rank_stride: 64 } target { buffer: 1 rank_stride: 64 } bytes: 64 } }
    steps { layer: "end" collective { kind: ALL_GATHER axis: "fsdp" data { buffer: 1 } count: 16 dtype: F32 } }
  }
)pb";

TEST(ExecutorRanks, ReduceScatterSliceAndGather) {
  TestPackage files(collectivePlan, "");
  auto group = createLocalGroup(2);
  auto runRank = [&](int rank) {
    auto device = *createCpuDevice({1, -1});
    auto executor = *Executor::create(*files.load(), *device, *group[static_cast<size_t>(rank)]);
    auto grads = *executor->buffer<float>("grads");
    std::iota(grads.begin(), grads.end(), rank == 0 ? 0.0f : 1000.0f);
    EXPECT_EQ(executor->run("update"), absl::OkStatus());
    auto params = *executor->buffer<float>("params");
    for (size_t i = 0; i < 32; ++i)
      EXPECT_EQ(params[i], 1000.0f + 2.0f * static_cast<float>(i)) << "rank " << rank;
  };
  std::thread other([&] { runRank(1); });
  runRank(0);
  other.join();
}

TEST(ExecutorRanks, RefusesAPackageForAnotherNumberOfRanks) {
  TestPackage files(collectivePlan, "");
  auto device = *createCpuDevice({1, -1});
  auto group = createLocalGroup(1);
  absl::Status status = Executor::create(*files.load(), *device, *group[0]).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("compiled for 2 ranks, and there are 1"));
}

TEST(ExecutorRanks, ALostPeerIsAnErrorThatNamesStepOpAndPeer) {
  TestPackage files(collectivePlan, "");
  auto device = *createCpuDevice({1, -1});
  auto group = createLocalGroup(2);
  auto executor = *Executor::create(*files.load(), *device, *group[0]);
  executor->setCollectiveTimeout(0.1);
  absl::Status status = executor->run("update");
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(
      std::string(status.message()),
      HasSubstr("entry 'update', step 0 (reduce_scatter_tree): reduce_scatter_tree #1 (rank 0 of 2, 64 B per rank, "
                "f32): no answer from rank 1 within 0.1 s"));
}

} // namespace
} // namespace oriel::runtime
