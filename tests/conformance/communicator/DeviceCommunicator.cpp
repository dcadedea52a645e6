#include "tests/conformance/communicator/DeviceCommunicator.h"

#include "tests/support/nccl/MockNccl.h"

#include "runtime/base/Status.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "trainer/device/ConnectGpus.h"

namespace oriel::runtime {

namespace {

class DeviceCommunicator final : public Communicator {
public:
  DeviceCommunicator(Communicator &host, std::unique_ptr<Device> device, std::unique_ptr<DeviceCollectives> collectives)
      : host_(host), device_(std::move(device)), collectives_(std::move(collectives)) {}

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  absl::string_view backend() const override { return "nccl"; }

  absl::Status allGather(void *data, int64_t count, DType dtype, Deadline deadline) override {
    size_t slice = static_cast<size_t>(count) * bytesOf(dtype);
    ORIEL_RETURN_IF_ERROR(upload(data, slice * static_cast<size_t>(size())));
    ORIEL_ASSIGN_OR_RETURN(CollectiveTicket ticket, collectives_->allGather(memory_->data(), count, dtype, deadline));
    return download(ticket, data, 0, slice * static_cast<size_t>(size()), deadline);
  }

  /// Only this rank's slice comes back: the others are undefined on the device.
  absl::Status reduceScatterTree(void *data, void *, int64_t count, DType dtype, Deadline deadline) override {
    size_t slice = static_cast<size_t>(count) * bytesOf(dtype);
    ORIEL_RETURN_IF_ERROR(upload(data, slice * static_cast<size_t>(size())));
    ORIEL_ASSIGN_OR_RETURN(CollectiveTicket ticket,
                           collectives_->reduceScatter(memory_->data(), count, dtype, deadline));
    return download(ticket, data, slice * static_cast<size_t>(rank()), slice, deadline);
  }

  absl::Status broadcast(void *data, int64_t bytes, int root, Deadline deadline) override {
    return host_.broadcast(data, bytes, root, deadline);
  }
  absl::Status barrier(Deadline deadline) override { return host_.barrier(deadline); }
  absl::StatusOr<std::vector<std::string>> allGatherBytes(absl::string_view message, Deadline deadline) override {
    return host_.allGatherBytes(message, deadline);
  }

private:
  absl::Status upload(const void *data, size_t bytes) {
    if (!memory_ || memory_->bytes() < bytes) {
      ORIEL_ASSIGN_OR_RETURN(memory_, device_->allocate(bytes));
    }
    return device_->copy(memory_->data(), data, bytes);
  }
  absl::Status download(CollectiveTicket ticket, void *data, size_t offset, size_t bytes, Deadline deadline) {
    ORIEL_RETURN_IF_ERROR(collectives_->letDeviceWait(ticket));
    ORIEL_RETURN_IF_ERROR(device_->copy(static_cast<std::byte *>(data) + offset, memory_->data() + offset, bytes));
    return collectives_->finish(deadline);
  }

  Communicator &host_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<DeviceMemory> memory_;
  std::unique_ptr<DeviceCollectives> collectives_;
};

} // namespace

absl::StatusOr<std::unique_ptr<Communicator>> createDeviceCommunicator(Communicator &host) {
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<Device> device,
                         createEmulatedCudaDevice({.threads = 1, .seed = static_cast<uint64_t>(host.rank())}));
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<DeviceCollectives> collectives,
                         trainer::connectGpus(mockNccl(), host, *device, SumOrder::Tree, Deadline::after(60)));
  return std::make_unique<DeviceCommunicator>(host, std::move(device), std::move(collectives));
}

} // namespace oriel::runtime
