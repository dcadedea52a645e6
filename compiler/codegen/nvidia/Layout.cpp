#include "compiler/codegen/nvidia/Layout.h"
#include <algorithm>

namespace oriel::codegen::nvidia {

static constexpr int64_t lanesPerWarp = 32;

/// The largest power of two that divides `value` and is at most `limit`.
static int64_t powerDividing(int64_t value, int64_t limit) {
  int64_t power = 1;
  while (power * 2 <= limit && value % (power * 2) == 0)
    power *= 2;
  return power;
}

/// The largest number that divides `value` and is at most `limit`.
static int64_t divisorUpTo(int64_t value, int64_t limit) {
  while (value % limit != 0)
    --limit;
  return limit;
}

Layout mmaLayout(int64_t rows, int64_t cols, bool isMajorCols, int64_t warps) {
  int64_t major = isMajorCols ? cols : rows, minor = isMajorCols ? rows : cols;
  int64_t majorWarps = major == 1 ? 1 : divisorUpTo(major / 16, warps);
  int64_t minorWarps = minor == 1 ? 1 : divisorUpTo(minor / 8, warps / majorWarps);
  Layout layout{{majorWarps, 1, 8, 4, 1}, {minorWarps, majorWarps, 4, 1, 2}};
  return isMajorCols ? layout.transposed() : layout;
}

Layout rowLayout(int64_t rows, int64_t cols, int64_t warps) {
  if (cols == 1) {
    int64_t lanes = powerDividing(rows, lanesPerWarp);
    return {{powerDividing(rows / lanes, warps), 1, lanes, 1, 1}, {1, warps, 1, lanes, 1}};
  }
  // Up to 16 bytes of f32 at a time; a single row first gives every lane something.
  int64_t vector = powerDividing(rows > 1 ? cols : cols / powerDividing(cols, lanesPerWarp), 4);
  int64_t lanes = powerDividing(cols / vector, lanesPerWarp), rowLanes = powerDividing(rows, lanesPerWarp / lanes);
  int64_t rowWarps = powerDividing(rows / rowLanes, warps);
  int64_t colWarps = powerDividing(cols / vector / lanes, warps / rowWarps);
  return {{rowWarps, 1, rowLanes, lanes, 1}, {colWarps, rowWarps, lanes, 1, vector}};
}

} // namespace oriel::codegen::nvidia
