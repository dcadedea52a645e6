#include "runtime/device/cuda/emulated/TensorMap.h"

#include <cstring>

namespace oriel::runtime::emulated {

static constexpr uint64_t encodedMark = 0x6f7269656c746d61;
static constexpr uint64_t mostSize = uint64_t(1) << 32, mostStride = uint64_t(1) << 40;
static constexpr uint32_t mostBox = 256, unitBytes = 16;

static uint32_t elementBytesOf(int type) {
  return type == cuda::tensorMapFloat32 ? 4 : type == cuda::tensorMapBfloat16 ? 2 : 0;
}

static bool isAllowed(const TensorMapFields &fields) {
  if (fields.rank < 1 || fields.rank > mostTensorDims || fields.elementBytes == 0 || fields.address % unitBytes != 0)
    return false;
  for (uint32_t dim = 0; dim < fields.rank; ++dim) {
    bool isSize = fields.sizes[dim] >= 1 && fields.sizes[dim] <= mostSize;
    bool isBox = fields.box[dim] >= 1 && fields.box[dim] <= mostBox;
    bool isStride = dim == 0 || (fields.strides[dim] % unitBytes == 0 && fields.strides[dim] < mostStride);
    if (!isSize || !isBox || !isStride)
      return false;
  }
  uint32_t rowBytes = fields.box[0] * fields.elementBytes;
  return rowBytes % unitBytes == 0 && (fields.swizzleBytes == 0 || rowBytes <= fields.swizzleBytes);
}

cuda::Result encodeTensorMap(cuda::TensorMap *map, int type, uint32_t rank, void *address, const uint64_t *sizes,
                             const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,
                             int interleave, int swizzle, int, int fill) {
  bool isKnown = interleave == 0 && fill == 0 && swizzle >= cuda::swizzleNone && swizzle <= cuda::swizzle128;
  if (!isKnown || rank > mostTensorDims || reinterpret_cast<uintptr_t>(map) % alignof(cuda::TensorMap) != 0)
    return cuda::invalidValue;
  TensorMapFields fields{encodedMark, reinterpret_cast<uint64_t>(address), rank, elementBytesOf(type)};
  fields.swizzleBytes = swizzle == cuda::swizzleNone ? 0 : 16u << swizzle;
  for (uint32_t dim = 0; dim < rank; ++dim) {
    fields.sizes[dim] = sizes[dim], fields.box[dim] = box[dim];
    fields.strides[dim] = dim == 0 ? fields.elementBytes : strides[dim - 1];
    if (elementStrides[dim] != 1)
      return cuda::invalidValue;
  }
  if (!isAllowed(fields))
    return cuda::invalidValue;
  std::memcpy(map, &fields, sizeof(fields));
  return cuda::success;
}

std::optional<TensorMapFields> readTensorMap(const void *map) {
  TensorMapFields fields;
  std::memcpy(&fields, map, sizeof(fields));
  return fields.mark == encodedMark ? std::optional(fields) : std::nullopt;
}

} // namespace oriel::runtime::emulated
