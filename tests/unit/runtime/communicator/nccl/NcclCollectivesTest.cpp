// NCCL's collectives between ranks that are threads with emulated CUDA devices.
#include "runtime/communicator/nccl/NcclCollectives.h"

#include "tests/unit/runtime/communicator/nccl/MockNccl.h"

#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cuda/CudaDevice.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <dlfcn.h>
#include <functional>
#include <numeric>
#include <thread>

namespace oriel::runtime {
namespace {

using ::testing::HasSubstr;

/// One rank: its device, some memory of it, and collectives.
struct Rank {
  explicit Rank(Communicator &host) : host(host), device(*createEmulatedCudaDevice({.threads = 1})) {}

  absl::Status connect(double seconds = 30) {
    DeviceStream stream{cudaStreamOf(*device), [this] { return isCudaStreamIdle(*device); }};
    auto made = createNcclCollectives(mockNccl(), host, stream, Deadline::after(seconds));
    if (made.ok())
      collectives = std::move(*made);
    return made.status();
  }
  void upload(const std::vector<float> &values) {
    memory = *device->allocate(values.size() * sizeof(float));
    EXPECT_EQ(device->copy(memory->data(), values.data(), memory->bytes()), absl::OkStatus());
  }
  std::vector<float> download() {
    std::vector<float> values(memory->bytes() / sizeof(float));
    EXPECT_EQ(device->copy(values.data(), memory->data(), memory->bytes()), absl::OkStatus());
    EXPECT_EQ(device->synchronize(), absl::OkStatus());
    return values;
  }

  Communicator &host;
  std::unique_ptr<Device> device;
  std::unique_ptr<DeviceMemory> memory;
  std::unique_ptr<DeviceCollectives> collectives;
};

class NcclCollectivesTest : public ::testing::Test {
protected:
  void TearDown() override { setMockFaults({}); }

  static void runRanks(int size, const std::function<void(Rank &)> &body) {
    auto group = createLocalGroup(size);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank)
      threads.emplace_back([&, rank] {
        Rank self(*group[static_cast<size_t>(rank)]);
        body(self);
      });
    for (std::thread &thread : threads)
      thread.join();
  }
  static Deadline soon() { return Deadline::after(30); }
};

TEST_F(NcclCollectivesTest, GathersInPlaceAfterTheWorkBeforeIt) {
  for (int size : {1, 2, 3})
    runRanks(size, [&](Rank &self) {
      ASSERT_EQ(self.connect(), absl::OkStatus());
      int rank = self.host.rank();
      std::vector<float> values(static_cast<size_t>(size) * 4, -1);
      std::fill_n(values.begin() + rank * 4, 4, static_cast<float>(rank));
      self.upload(values); // only issued
      ASSERT_EQ(self.collectives->allGather(self.memory->data(), 4, DType::F32, soon()), absl::OkStatus());
      values = self.download();
      for (int i = 0; i < size * 4; ++i)
        EXPECT_EQ(values[static_cast<size_t>(i)], static_cast<float>(i / 4));
    });
}

TEST_F(NcclCollectivesTest, SumsSlicesInPlaceAgainAndAgain) {
  runRanks(3, [](Rank &self) {
    ASSERT_EQ(self.connect(), absl::OkStatus());
    int rank = self.host.rank();
    for (int round = 0; round < 3; ++round) {
      std::vector<float> values(6);
      std::iota(values.begin(), values.end(), static_cast<float>(100 * rank + round));
      self.upload(values);
      ASSERT_EQ(self.collectives->reduceScatter(self.memory->data(), 2, DType::F32, soon()), absl::OkStatus());
      values = self.download();
      for (int i = 2 * rank; i < 2 * rank + 2; ++i)
        EXPECT_EQ(values[static_cast<size_t>(i)], static_cast<float>(300 + 3 * (round + i)));
    }
  });
}

TEST_F(NcclCollectivesTest, ALostPeerIsAnErrorInTimeAndEndsTheCommunicator) {
  runRanks(2, [](Rank &self) {
    ASSERT_EQ(self.connect(), absl::OkStatus());
    if (self.host.rank() == 1)
      return;
    self.upload({0, 0});
    absl::Status status = self.collectives->allGather(self.memory->data(), 1, DType::F32, Deadline::after(0.1));
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("all_gather #2 (rank 0 of 2, 4 B per rank, f32): not done within 0.1 s"));
    status = self.collectives->allGather(self.memory->data(), 1, DType::F32, soon());
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  });
}

TEST_F(NcclCollectivesTest, APeerThatNeverConnectsIsAnErrorInTime) {
  runRanks(2, [](Rank &self) {
    if (self.host.rank() == 1) {
      EXPECT_TRUE(self.host.allGatherBytes("", soon()).ok()); // hears the id, and goes
      return;
    }
    EXPECT_EQ(self.connect(0.1).code(), absl::StatusCode::kDeadlineExceeded);
  });
}

TEST_F(NcclCollectivesTest, AnAsynchronousErrorIsNamed) {
  runRanks(2, [](Rank &self) {
    ASSERT_EQ(self.connect(), absl::OkStatus());
    ASSERT_EQ(self.host.barrier(soon()), absl::OkStatus());
    setMockFaults({.asyncError = nccl::remoteError});
    self.upload({0, 0});
    absl::Status status = absl::OkStatus();
    if (self.host.rank() == 0)
      status = self.collectives->allGather(self.memory->data(), 1, DType::F32, soon());
    if (self.host.rank() == 0)
      EXPECT_THAT(status.ToString(), HasSubstr("UNAVAILABLE: all_gather #2"));
    if (self.host.rank() == 0)
      EXPECT_THAT(status.ToString(), HasSubstr("NCCL: remote process exited"));
  });
}

TEST_F(NcclCollectivesTest, AllRanksHearThatThereIsNoId) {
  setMockFaults({.noId = true});
  runRanks(2,
           [](Rank &self) { EXPECT_THAT(self.connect().ToString(), HasSubstr("UNAVAILABLE: rank 0 got no NCCL id")); });
}

TEST_F(NcclCollectivesTest, OnlyF32IsSummed) {
  runRanks(1, [](Rank &self) {
    ASSERT_EQ(self.connect(), absl::OkStatus());
    self.upload({0, 0});
    EXPECT_EQ(self.collectives->reduceScatter(self.memory->data(), 1, DType::BF16, soon()).code(),
              absl::StatusCode::kFailedPrecondition);
  });
}

TEST(OpenNccl, FindsEveryFunctionOfAnInstalledLibraryOrSaysWhatToDo) {
  absl::Status status = nccl::openNccl().status();
  if (::dlopen("libnccl.so.2", RTLD_LAZY))
    EXPECT_EQ(status, absl::OkStatus());
  else
    EXPECT_THAT(status.ToString(), HasSubstr("NOT_FOUND: no NCCL found (libnccl.so.2)"));
}

} // namespace
} // namespace oriel::runtime
