// Which cores of the host lie near a GPU: those of the NUMA node that its PCI slot belongs to.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_GPUCORES_H
#define ORIEL_RUNTIME_DEVICE_CUDA_GPUCORES_H

#include <string>
#include <vector>

namespace oriel::runtime::cuda {

/// Ascending; empty where the system does not tell. `ordinal` counts the NVIDIA GPUs among `visible` (the value of
/// CUDA_VISIBLE_DEVICES: numbers; null: all) in PCI order, as CUDA does for GPUs of one model. `sysfs` is "/sys".
std::vector<int> coresNearGpu(int ordinal, const char *visible, const std::string &sysfs);

} // namespace oriel::runtime::cuda

#endif
