#include "compiler/transforms/KernelProbe.h"

#include "llvm/Support/FormatVariadic.h"

namespace oriel::transforms {

std::string refusalOf(llvm::StringRef symbol, const KernelDemand &demand, const schedule::DeviceDescriptor &device) {
  if (!demand.error.empty())
    return llvm::formatv("{0}: {1}", symbol, demand.error);
  if (demand.spillBytes > 0)
    return llvm::formatv("{0} spills {1} bytes of a thread at {2} registers", symbol, demand.spillBytes,
                         demand.block.registers);
  if (device.multiprocessor && schedule::occupancyOf(*device.multiprocessor, demand.block).blocks == 0)
    return llvm::formatv(
        "{0}: {1} threads of {2} registers with {3} bytes of shared memory do not fit a multiprocessor of {4}", symbol,
        demand.block.threads, demand.block.registers, demand.block.sharedBytes, device.name);
  return {};
}

} // namespace oriel::transforms
