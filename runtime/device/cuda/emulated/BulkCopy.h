// One cp.async.bulk.tensor (TMA): a box of a tensor in global memory, on its way to shared memory.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_BULKCOPY_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_BULKCOPY_H

#include "runtime/device/cuda/emulated/TensorMap.h"

#include "absl/functional/function_ref.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace oriel::runtime::emulated {

struct BulkCopy {
  TensorMapFields map;
  std::array<int32_t, mostTensorDims> coordinates = {}; // of the box's first element, innermost first; may be outside
  size_t target = 0;                                    // byte of shared memory

  static constexpr size_t pieceBytes = 16;
  /// 16 bytes of shared memory. Elements outside of the tensor are zeros: of the piece, [begin, begin + insideBytes)
  /// come from `source`.
  struct Piece {
    size_t target;
    uintptr_t source = 0;
    int64_t begin = 0, insideBytes = 0;
  };

  /// What it brings to the mbarrier, zeros included.
  int64_t bytes() const;
  /// Calls for every piece, in the order of the box.
  void visit(absl::FunctionRef<void(const Piece &)> visitor) const;
};

} // namespace oriel::runtime::emulated

#endif
