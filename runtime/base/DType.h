// Element types of buffers and messages, free of protobuf so that the communicator and devices need not know the plan.
#ifndef ORIEL_RUNTIME_BASE_DTYPE_H
#define ORIEL_RUNTIME_BASE_DTYPE_H

#include <cstddef>
#include <cstdint>

namespace oriel::runtime {

enum class DType : uint8_t { F32, BF16, I32 };

constexpr size_t bytesOf(DType dtype) { return dtype == DType::BF16 ? 2 : 4; }

constexpr const char *nameOf(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return "f32";
  case DType::BF16:
    return "bf16";
  case DType::I32:
    return "i32";
  }
  return "unknown";
}

/// The DType that stores elements of C++ type T (float or int32_t).
template <typename T> constexpr DType dtypeOf();
template <> constexpr DType dtypeOf<float>() { return DType::F32; }
template <> constexpr DType dtypeOf<int32_t>() { return DType::I32; }

} // namespace oriel::runtime

#endif
