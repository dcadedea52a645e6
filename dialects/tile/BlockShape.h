// How a block of a GPU works on a kernel, where whoever made the kernel says so: attributes of a tile.kernel, which CPUs
// do not read.
//
//   tile.kernel @dq(…) grid(%x, %y, %z) in [64, 4, 1] outputs 1 attributes {tile.stages = 2 : i64, tile.warps = 8 : i64}
#ifndef ORIEL_DIALECTS_TILE_BLOCKSHAPE_H
#define ORIEL_DIALECTS_TILE_BLOCKSHAPE_H

#include <cstdint>

namespace oriel::tile {

class KernelOp;

/// 0: the code generator decides.
struct BlockShape {
  int64_t warps = 0;  // of 32 threads
  int64_t stages = 0; // iterations of a loop whose tiles are in shared memory at one time; 1: no copy runs ahead
  bool operator==(const BlockShape &) const = default;
};

BlockShape blockShapeOf(KernelOp kernel);
void setBlockShape(KernelOp kernel, const BlockShape &shape);

} // namespace oriel::tile

#endif
