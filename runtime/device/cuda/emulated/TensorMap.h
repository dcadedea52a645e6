// What the emulator's driver writes into a tensor map (CUtensorMap), and what its TMA reads from it.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_TENSORMAP_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_TENSORMAP_H

#include "runtime/device/cuda/CudaDriver.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace oriel::runtime::emulated {

constexpr size_t mostTensorDims = 5;

/// Dimensions are innermost first.
struct TensorMapFields {
  uint64_t mark = 0; // of a map that was encoded
  uint64_t address = 0;
  uint32_t rank = 0, elementBytes = 0, swizzleBytes = 0; // no swizzle: 0
  std::array<uint32_t, mostTensorDims> box = {};         // elements of one copy
  std::array<uint64_t, mostTensorDims> sizes = {};       // elements
  std::array<uint64_t, mostTensorDims> strides = {};     // bytes

  /// Where a byte of shared memory lies by the swizzle: bits 4 and up, as many as number the 16-byte units of a row of
  /// `swizzleBytes`, are flipped by bits 7 and up (CUDA C++ Programming Guide, "The swizzle modes").
  size_t swizzled(size_t at) const { return swizzleBytes == 0 ? at : at ^ (at >> 3 & (swizzleBytes - 16)); }
};
static_assert(sizeof(TensorMapFields) == sizeof(cuda::TensorMap));

/// cuTensorMapEncodeTiled, which checks what it is given as cuda.h says it must be. Interleaved layouts, element strides
/// and other fills than zeros are refused: nothing here uses them.
cuda::Result encodeTensorMap(cuda::TensorMap *map, int type, uint32_t rank, void *address, const uint64_t *sizes,
                             const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,
                             int interleave, int swizzle, int promotion, int fill);

/// Nothing when the 128 bytes at `map` are no tensor map.
std::optional<TensorMapFields> readTensorMap(const void *map);

} // namespace oriel::runtime::emulated

#endif
