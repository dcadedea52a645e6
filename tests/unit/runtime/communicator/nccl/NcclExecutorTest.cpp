// Collective steps of a plan on device memory, between the copies that stand before and after them.
#include "runtime/communicator/nccl/NcclCollectives.h"

#include "tests/unit/runtime/communicator/nccl/MockNccl.h"

#include "runtime/base/Files.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/executor/Executor.h"
#include "runtime/plan/PlanFile.h"

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include <filesystem>
#include <numeric>
#include <thread>
#include <unistd.h>

namespace oriel::runtime {
namespace {

/// `update`: "work" = "grads"; its sum over ranks, gathered; back to "grads".
const char *const planText = R"pb(
  format_version: 1
  target { kind: "nvidia" chip: "sm_80" }
  mesh { name: "fsdp" size: 2 }
  arena_bytes: 128
  buffers { name: "grads" dtype: F32 shape: 32 bytes: 128 placement: STATE }
  buffers { name: "work" dtype: F32 shape: 32 bytes: 128 placement: ARENA }
  buffers { name: "scratch" dtype: F32 shape: 16 bytes: 64 placement: STATE }
  entry_points {
    name: "update"
    steps { copy { source { buffer: 0 } target { buffer: 1 } bytes: 128 } }
    steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 1 } scratch { buffer: 2 } count: 16 dtype: F32 } }
    steps { collective { kind: ALL_GATHER axis: "fsdp" data { buffer: 1 } count: 16 dtype: F32 } }
    steps { copy { source { buffer: 1 } target { buffer: 0 } bytes: 128 } }
  }
)pb";

TEST(NcclExecutor, CollectiveStepsStayOnTheDevice) {
  std::string folder = ::testing::TempDir() + "oriel-nccl-executor-" + std::to_string(::getpid());
  plan::Plan plan;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(planText, &plan));
  ASSERT_TRUE(makeFolders(folder).ok());
  ASSERT_TRUE(writeFileAtomically(folder + "/plan.pb", encodePlan(plan)).ok());
  auto package = Package::load(folder);
  ASSERT_TRUE(package.ok()) << package.status();
  auto group = createLocalGroup(2);
  auto runRank = [&](int rank) {
    Communicator &host = *group[static_cast<size_t>(rank)];
    auto device = *createEmulatedCudaDevice({.threads = 1});
    auto executor = *Executor::create(*package, *device, host);
    DeviceStream stream{cudaStreamOf(*device), [&] { return isCudaStreamIdle(*device); }};
    auto collectives = createNcclCollectives(mockNccl(), host, stream, Deadline::after(30));
    ASSERT_TRUE(collectives.ok()) << collectives.status();
    executor->setDeviceCollectives(collectives->get());
    auto grads = *executor->buffer<float>("grads");
    std::iota(grads.begin(), grads.end(), rank == 0 ? 0.0f : 1000.0f);
    ASSERT_EQ(executor->writeState("grads"), absl::OkStatus());
    for (int round = 0; round < 2; ++round)
      ASSERT_EQ(executor->run("update"), absl::OkStatus());
    ASSERT_EQ(executor->readState("grads"), absl::OkStatus());
    for (int i = 0; i < 32; ++i)
      EXPECT_EQ(grads[static_cast<size_t>(i)], 2 * (1000.0f + 2.0f * static_cast<float>(i))) << "rank " << rank;
  };
  std::thread other([&] { runRank(1); });
  runRank(0);
  other.join();
  std::filesystem::remove_all(folder);
}

} // namespace
} // namespace oriel::runtime
