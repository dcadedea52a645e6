#include "runtime/device/cuda/emulated/BulkCopy.h"

#include <algorithm>

namespace oriel::runtime::emulated {

int64_t BulkCopy::bytes() const {
  int64_t bytes = map.elementBytes;
  for (uint32_t dim = 0; dim < map.rank; ++dim)
    bytes *= map.box[dim];
  return bytes;
}

void BulkCopy::visit(absl::FunctionRef<void(const Piece &)> visitor) const {
  int64_t elementBytes = map.elementBytes, rowBytes = map.box[0] * elementBytes, rows = bytes() / rowBytes;
  for (int64_t row = 0; row < rows; ++row) {
    bool isInside = true;
    uintptr_t source = map.address;
    int64_t rest = row;
    for (uint32_t dim = 1; dim < map.rank; ++dim) {
      int64_t at = coordinates[dim] + rest % map.box[dim];
      rest /= map.box[dim];
      isInside &= at >= 0 && at < static_cast<int64_t>(map.sizes[dim]);
      source += static_cast<uintptr_t>(at) * map.strides[dim];
    }
    for (int64_t byte = 0; byte < rowBytes; byte += static_cast<int64_t>(pieceBytes)) {
      // In bytes of the tensor's row.
      int64_t first = coordinates[0] * elementBytes + byte, size = static_cast<int64_t>(map.sizes[0]) * elementBytes;
      int64_t begin = std::max<int64_t>(first, 0), end = std::min(first + static_cast<int64_t>(pieceBytes), size);
      Piece piece{map.swizzled(target + static_cast<size_t>(row * rowBytes + byte))};
      if (isInside && begin < end) {
        piece.source = source + static_cast<uintptr_t>(begin);
        piece.begin = begin - first;
        piece.insideBytes = end - begin;
      }
      visitor(piece);
    }
  }
}

} // namespace oriel::runtime::emulated
