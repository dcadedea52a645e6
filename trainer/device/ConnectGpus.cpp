#include "trainer/device/ConnectGpus.h"

#include "runtime/base/Status.h"
#include "runtime/device/cuda/CudaDevice.h"

namespace oriel::trainer {

absl::StatusOr<std::unique_ptr<runtime::DeviceCollectives>>
connectGpus(const runtime::nccl::Nccl &library, runtime::Communicator &host, runtime::Device &device,
            runtime::SumOrder order, runtime::Deadline deadline) {
  ORIEL_ASSIGN_OR_RETURN(std::shared_ptr<runtime::cuda::SideStream> side, runtime::openCudaSideStream(device));
  runtime::CollectiveStream stream;
  stream.enter = [side] { return static_cast<void *>(side->enter()); };
  stream.followDevice = [side] { return side->followDevice(); };
  stream.mark = [side] { return side->mark(); };
  stream.letDeviceWait = [side](uint64_t mark) { return side->letDeviceWait(mark); };
  stream.isDone = [side](uint64_t mark) { return side->isDone(mark); };
  stream.isIdle = [side] { return side->isIdle(); };
  stream.deviceIsIdle = [&device] { return runtime::isCudaDeviceIdle(device); };
  return runtime::createNcclCollectives(library, host, std::move(stream), order, deadline);
}

} // namespace oriel::trainer
