// Which elements of a tile each thread of a block holds in registers.
//
// A dimension of a tile is shared out to warps, then to lanes, then to slots (registers) of a thread; both dimensions
// are alike:
//
//   place(slot) = warp·(size/warps) + (slot / vector)·(lanes·vector) + lane·vector + slot mod vector
//   warp = warp number / warpStep mod warps           lane = lane number / laneStep mod lanes
//
// The accumulator of mma.m16n8 is one such layout (PTX ISA, "Matrix fragments for mma.m16n8k16"): rows {lanes 8,
// laneStep 4, vector 1}, columns {lanes 4, laneStep 1, vector 2}. For a tile 16x16 and one warp, lane 5 (row lane 1,
// column lane 1) holds
//
//   row slots 0, 1 → rows 1, 9        column slots 0, 1, 2, 3 → columns 2, 3, 10, 11
//
// A dimension of size 1 has one slot, which all lanes and warps along it hold: a column R×1 in the layout of a tile R×C
// is what a reduction of that tile along its rows gives, and what broadcasts to it without moving data.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_LAYOUT_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_LAYOUT_H

#include <cstdint>
#include <utility>

namespace oriel::codegen::nvidia {

struct LayoutDim {
  int64_t warps = 1, warpStep = 1, lanes = 1, laneStep = 1, vector = 1;

  int64_t slots(int64_t size) const { return size == 1 ? 1 : size / (warps * lanes); }
  bool operator==(const LayoutDim &) const = default;
};

struct Layout {
  LayoutDim rows, cols;

  int64_t slots(int64_t rowCount, int64_t colCount) const { return rows.slots(rowCount) * cols.slots(colCount); }
  Layout transposed() const { return {cols, rows}; }
  bool operator==(const Layout &) const = default;
};

/// Whether a value of size `rows`×`cols` in layout `from` can be read, broadcast where a size is 1, by a thread that
/// works in layout `to` without moving data.
inline bool isReadableIn(const Layout &from, int64_t rows, int64_t cols, const Layout &to) {
  return (rows == 1 || from.rows == to.rows) && (cols == 1 || from.cols == to.cols);
}

/// The accumulators of mma.m16n8, `major` being the dimension of 16. Sizes are multiples of 16; warps go along `major`
/// first, as far as its size allows; what is left over holds copies.
Layout mmaLayout(int64_t rows, int64_t cols, bool isMajorCols, int64_t warps);

/// Consecutive elements of a row in consecutive lanes: for programs without products.
Layout rowLayout(int64_t rows, int64_t cols, int64_t warps);

inline bool isMmaMajor(const LayoutDim &dim) { return dim.lanes == 8 && dim.laneStep == 4 && dim.vector == 1; }
inline bool isMmaMinor(const LayoutDim &dim) { return dim.lanes == 4 && dim.laneStep == 1 && dim.vector == 2; }

} // namespace oriel::codegen::nvidia

#endif
