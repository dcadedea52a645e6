// The tensor maps of one launch: encoded for the addresses of its buffers, kept until these change.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_TENSORMAPS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_TENSORMAPS_H

#include "runtime/device/Device.h"
#include "runtime/device/cuda/CudaDriver.h"

#include <vector>

namespace oriel::runtime::cuda {

/// Encodes a view of the buffer at `address`. InvalidValue when the driver does not take it.
Result encodeTensorMap(const Driver &driver, const TensorMapSpec &spec, Address address, TensorMap &map);

/// Not thread safe.
class TensorMaps {
public:
  explicit TensorMaps(std::vector<TensorMapSpec> specs);

  size_t size() const { return specs_.size(); }
  /// Makes the maps those of buffers at `addresses`, by argument.
  Result update(const Driver &driver, void *const *addresses);
  /// Stays where it is.
  void *at(size_t index) { return &maps_[index]; }

private:
  std::vector<TensorMapSpec> specs_;
  std::vector<TensorMap> maps_;
  std::vector<Address> addresses_; // that maps_ are for; 0: none yet
};

} // namespace oriel::runtime::cuda

#endif
