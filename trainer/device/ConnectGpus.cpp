#include "trainer/device/ConnectGpus.h"

#include "runtime/base/Status.h"
#include "runtime/device/cuda/CudaDevice.h"

#include "spdlog/spdlog.h"

namespace oriel::trainer {

void logPeers() {
  absl::StatusOr<runtime::CudaPeers> peers = runtime::findCudaPeers();
  if (!peers.ok())
    spdlog::warn("whether GPUs reach each other's memory is not known: {}", peers.status().ToString());
  else if (peers->gpus > 1)
    spdlog::log(peers->allReachEachOther ? spdlog::level::info : spdlog::level::warn, "{}", peers->description);
}

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
