#include "runtime/device/cpu/TileGrid.h"

#include "runtime/device/cpu/TileProduct.h"

namespace oriel::runtime {

namespace {

/// Limits of tiles, found by measurement on Zen 4 (tests/bench/NOTES.md). Weight gradients, whose K is tokens, want
/// wide tiles and K in ranges; products with a short K want the columns cut before the rows. A tile of bf16 is worth
/// packing when it is larger than one of f32: it takes half the time. Paired tiles pack less, so they may be smaller,
/// and gain more from a longer range; one that follows another down the same columns packs nothing.
struct TileLimits {
  int64_t widestTile;    // columns
  int64_t shortestTile;  // rows
  int64_t smallestTile;  // elements; with a smaller one packing costs too much
  int64_t shortestRange; // of K
  int64_t wantedPieces = 16;
  bool columnsInTurn = false; // TileGrid
};

constexpr int64_t tileMultiple = 16; // of f32 in a wide register

/// oneDNN's brgemm wants dense matrices, so tiles of whole rows of the result. In f32 it is faster where the second
/// operand is turned and K is long.
TileLimits limitsFor(const GemmSpec &spec) {
  if (TileProduct::isPaired(spec)) {
    if (spec.transposeA)
      return {512, 128, 128 * 256, 2048};
    if (int64_t columns = PairedTile::mostColumnsPackedWhole(spec.k))
      return {columns, 128, 128 * 128, 512, 32, true};
  }
  if (spec.dtype == DType::BF16)
    return {1024, 256, 256 * 256, 512};
  if (!spec.transposeA && spec.transposeB && spec.n <= 1024 && spec.k >= 512)
    return {1024, 128, 128 * 256, 1024};
  return {512, 16, 128 * 256, 1024};
}

} // namespace

TileGrid TileGrid::of(const GemmSpec &spec) {
  TileLimits limits = limitsFor(spec);
  TileGrid grid{spec.m, spec.n, spec.k, 1, 1, 1, limits.columnsInTurn};
  bool splitsK = spec.cDType == DType::F32; // sums over ranges of K are added in f32
  auto halve = [](int64_t size) { return (size / 2 + tileMultiple - 1) / tileMultiple * tileMultiple; };
  auto count = [](int64_t size, int64_t piece) { return (size + piece - 1) / piece; };
  while (grid.pieces() < limits.wantedPieces) {
    bool mayShrink = grid.tileM * grid.tileN >= 2 * limits.smallestTile;
    if (grid.tileN > limits.widestTile)
      grid.tileN = halve(grid.tileN);
    else if (mayShrink && grid.tileM >= 2 * limits.shortestTile)
      grid.tileM = halve(grid.tileM);
    else if (splitsK && grid.tileK >= 2 * limits.shortestRange)
      grid.tileK = halve(grid.tileK);
    else if (mayShrink && grid.tileN >= 2 * tileMultiple)
      grid.tileN = halve(grid.tileN);
    else
      break;
    grid.rows = count(spec.m, grid.tileM);
    grid.columns = count(spec.n, grid.tileN);
    grid.splits = count(spec.k, grid.tileK);
  }
  return grid;
}

} // namespace oriel::runtime
