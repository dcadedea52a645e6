// How a large product is cut into pieces that threads take as they come.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_TILEGRID_H
#define ORIEL_RUNTIME_DEVICE_CPU_TILEGRID_H

#include "runtime/device/Device.h"

#include <cstdint>

namespace oriel::runtime {

/// How an m x n x k product is cut: rows x columns tiles of the result, and splits ranges of K. The last of each
/// direction may be smaller.
struct TileGrid {
  int64_t tileM, tileN, tileK;
  int64_t rows, columns, splits;
  bool columnsInTurn; // pieces of one column, which share b, follow each other; else those of one row, which share a

  /// Halves wide tiles' columns, then rows, then K (of f32 results), then columns again, until there are enough pieces
  /// for many threads or pieces would become inefficiently small. Looks at sizes, types and the CPU's kind only.
  static TileGrid of(const GemmSpec &spec);
  int64_t pieces() const { return rows * columns * splits; }

  struct Place {
    int64_t row, column, split;
  };
  Place at(int64_t piece) const {
    int64_t split = piece / (columns * rows), tile = piece % (columns * rows);
    return columnsInTurn ? Place{tile % rows, tile / rows, split} : Place{tile / columns, tile % columns, split};
  }
};

} // namespace oriel::runtime

#endif
