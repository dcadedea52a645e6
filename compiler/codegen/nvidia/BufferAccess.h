// What is known of the columns that a tile.load or tile.store touches: how many lie side by side, aligned, and inside
// or outside together.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_BUFFERACCESS_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_BUFFERACCESS_H

#include "dialects/tile/TileOps.h"
#include <optional>

namespace oriel::codegen::nvidia {

/// The common operands of tile.load and tile.store.
struct BufferAccess {
  explicit BufferAccess(tile::LoadOp op);
  explicit BufferAccess(tile::StoreOp op);

  mlir::MemRefType type() const { return mlir::cast<mlir::MemRefType>(buffer.getType()); }
  /// Bytes of an element in the buffer.
  int64_t elementBytes() const { return type().getElementTypeBitWidth() / 8; }
  /// The greatest power of two, at most 16 bytes, so that columns [n·c, n·c + n) of the tile are one aligned vector in
  /// memory that lies wholly inside or wholly outside.
  int64_t vectorColumns() const;
  /// Whether every column of the tile lies inside the buffer and the limit.
  bool hasAllColumns() const;

  mlir::Value tile, buffer;
  mlir::OperandRange indices;
  mlir::Value rowBegin, rowEnd;
  int64_t rowDim, colDim, colStride;
  std::optional<uint64_t> colLimit;
};

/// Whether the load can be copied to shared memory in pieces of 16 bytes as it lies.
bool isCopyable(tile::LoadOp load);

/// The greatest power of two, at most 64, that is known to divide an index.
int64_t knownDivisor(mlir::Value index);

} // namespace oriel::codegen::nvidia

#endif
