#include "runtime/device/cuda/TensorMaps.h"

#include <array>

namespace oriel::runtime::cuda {

static constexpr size_t mostDims = 5;

static int swizzleOf(int64_t bytes) {
  switch (bytes) {
  case 32:
    return swizzle32;
  case 64:
    return swizzle64;
  case 128:
    return swizzle128;
  default:
    return swizzleNone;
  }
}

Result encodeTensorMap(const Driver &driver, const TensorMapSpec &spec, Address address, TensorMap &map) {
  if (spec.sizes.empty() || spec.sizes.size() > mostDims || spec.box.size() != spec.sizes.size() ||
      spec.strides.size() + 1 != spec.sizes.size() || spec.dtype == DType::I32)
    return invalidValue;
  std::array<uint32_t, mostDims> everyElement;
  everyElement.fill(1);
  return driver.tensorMapEncodeTiled(&map, spec.dtype == DType::BF16 ? tensorMapBfloat16 : tensorMapFloat32,
                                     static_cast<uint32_t>(spec.sizes.size()), reinterpret_cast<void *>(address),
                                     spec.sizes.data(), spec.strides.data(), spec.box.data(), everyElement.data(),
                                     /*interleave=*/0, swizzleOf(spec.swizzleBytes), promote128, /*fill=*/0);
}

TensorMaps::TensorMaps(std::vector<TensorMapSpec> specs)
    : specs_(std::move(specs)), maps_(specs_.size()), addresses_(specs_.size()) {}

Result TensorMaps::update(const Driver &driver, void *const *addresses) {
  for (size_t i = 0; i < specs_.size(); ++i) {
    auto address = reinterpret_cast<Address>(addresses[specs_[i].argument]);
    if (address == addresses_[i])
      continue;
    if (Result result = encodeTensorMap(driver, specs_[i], address, maps_[i]); result != success)
      return result;
    addresses_[i] = address;
  }
  return success;
}

} // namespace oriel::runtime::cuda
