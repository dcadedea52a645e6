// NCCL's collectives between ranks that are threads with emulated CUDA devices.
#include "runtime/communicator/nccl/NcclCollectives.h"

#include "tests/support/nccl/MockNccl.h"

#include "runtime/base/Status.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "trainer/device/ConnectGpus.h"

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
  explicit Rank(Communicator &host)
      : host(host), device(*createEmulatedCudaDevice({.threads = 1, .seed = static_cast<uint64_t>(host.rank())})) {}

  absl::Status connect(SumOrder order = SumOrder::Library, double seconds = 30) {
    auto made = trainer::connectGpus(mockNccl(), host, *device, order, Deadline::after(seconds));
    if (made.ok())
      collectives = std::move(*made);
    return made.status();
  }
  void upload(const std::vector<float> &values) {
    memory = *device->allocate(values.size() * sizeof(float));
    sent = values; // stays as it is until the device is done
    EXPECT_EQ(device->copy(memory->data(), sent.data(), memory->bytes()), absl::OkStatus());
  }
  std::vector<float> download() {
    std::vector<float> values(memory->bytes() / sizeof(float));
    EXPECT_EQ(device->copy(values.data(), memory->data(), memory->bytes()), absl::OkStatus());
    EXPECT_EQ(collectives->finish(Deadline::after(30)), absl::OkStatus());
    return values;
  }
  /// Issues an all-gather of one number and waits for it.
  absl::Status gather(double seconds) {
    absl::StatusOr<CollectiveTicket> ticket =
        collectives->allGather(memory->data(), 1, DType::F32, Deadline::after(seconds));
    ORIEL_RETURN_IF_ERROR(ticket.status());
    ORIEL_RETURN_IF_ERROR(collectives->letDeviceWait(*ticket));
    return collectives->finish(Deadline::after(seconds));
  }

  Communicator &host;
  std::unique_ptr<Device> device;
  std::unique_ptr<DeviceMemory> memory;
  std::vector<float> sent;
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
      absl::StatusOr<CollectiveTicket> ticket = self.collectives->allGather(self.memory->data(), 4, DType::F32, soon());
      ASSERT_TRUE(ticket.ok()) << ticket.status();
      ASSERT_EQ(self.collectives->letDeviceWait(*ticket), absl::OkStatus());
      values = self.download();
      for (int i = 0; i < size * 4; ++i)
        EXPECT_EQ(values[static_cast<size_t>(i)], static_cast<float>(i / 4));
    });
}

TEST_F(NcclCollectivesTest, SumsSlicesInPlaceAgainAndAgain) {
  for (auto [order, size] : {std::pair(SumOrder::Library, 3), std::pair(SumOrder::Tree, 4)})
    runRanks(size, [order = order, size = size](Rank &self) {
      ASSERT_EQ(self.connect(order), absl::OkStatus());
      int rank = self.host.rank();
      for (int round = 0; round < 3; ++round) {
        std::vector<float> values(2 * static_cast<size_t>(size));
        std::iota(values.begin(), values.end(), static_cast<float>(100 * rank + round));
        self.upload(values);
        absl::StatusOr<CollectiveTicket> ticket =
            self.collectives->reduceScatter(self.memory->data(), 2, DType::F32, soon());
        ASSERT_TRUE(ticket.ok()) << ticket.status();
        ASSERT_EQ(self.collectives->letDeviceWait(*ticket), absl::OkStatus());
        values = self.download();
        for (int i = 2 * rank; i < 2 * rank + 2; ++i)
          EXPECT_EQ(values[static_cast<size_t>(i)], static_cast<float>(50 * size * (size - 1) + size * (round + i)));
      }
    });
}

TEST_F(NcclCollectivesTest, SumsInTreeOrderNeedAPowerOfTwo) {
  runRanks(3, [](Rank &self) {
    EXPECT_THAT(self.connect(SumOrder::Tree).ToString(),
                HasSubstr("INVALID_ARGUMENT: sums in a fixed order need a power"));
  });
}

TEST_F(NcclCollectivesTest, ALostPeerIsNamedInTimeAndEndsTheCommunicator) {
  runRanks(3, [](Rank &self) {
    ASSERT_EQ(self.connect(), absl::OkStatus());
    if (self.host.rank() == 1)
      return;
    self.upload({0, 0, 0});
    absl::Status status = self.gather(0.5);
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_THAT(std::string(status.message()), HasSubstr("all_gather #2 (rank "));
    EXPECT_THAT(std::string(status.message()), HasSubstr("not done within 0.5 s"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("no answer from rank 1"));
    EXPECT_EQ(self.gather(30).code(), absl::StatusCode::kUnavailable);
  });
}

TEST_F(NcclCollectivesTest, APeerThatNeverConnectsIsAnErrorInTime) {
  runRanks(2, [](Rank &self) {
    if (self.host.rank() == 1) {
      std::string id(sizeof(nccl::UniqueId), '\0');
      EXPECT_TRUE(self.host.allGatherBytes(id, soon()).ok()); // hears the id, and goes
      return;
    }
    EXPECT_EQ(self.connect(SumOrder::Library, 0.1).code(), absl::StatusCode::kDeadlineExceeded);
  });
}

TEST_F(NcclCollectivesTest, AnAsynchronousErrorIsNamed) {
  runRanks(2, [](Rank &self) {
    ASSERT_EQ(self.connect(), absl::OkStatus());
    ASSERT_EQ(self.host.barrier(soon()), absl::OkStatus());
    setMockFaults({.asyncError = nccl::remoteError});
    self.upload({0, 0});
    absl::Status status = self.gather(30);
    EXPECT_THAT(status.ToString(), HasSubstr("UNAVAILABLE: all_gather #2"));
    EXPECT_THAT(status.ToString(), HasSubstr("NCCL: remote process exited; all ranks still answer on the host"));
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
    EXPECT_EQ(self.collectives->reduceScatter(self.memory->data(), 1, DType::BF16, soon()).status().code(),
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
