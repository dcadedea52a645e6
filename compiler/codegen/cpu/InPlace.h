// Which tiles need no copy in scratch: those that lie wholly inside their buffer, where loops read or write the buffer
// itself, and those that are folded as they are made.
//
// A tile at the edge of its buffer still goes through scratch, where the rest is zero, or is left out when it is
// stored. Which of the two holds is known when the kernel runs; the loops are the same, their pointer and row stride
// differ.
#ifndef ORIEL_COMPILER_CODEGEN_CPU_INPLACE_H
#define ORIEL_COMPILER_CODEGEN_CPU_INPLACE_H

#include "dialects/tile/TileOps.h"

namespace oriel::codegen {

/// True if the tile is read only by ops that pass over it once (map, cast, reduce; or one dot that packs it), in the
/// block of the load and before anything is stored that may lie where it is read.
bool isReadInPlace(tile::LoadOp load);

/// The store that alone takes this result of a map, if the map can write the buffer itself: nothing between the two
/// looks at memory, and the place is known before the map. Null otherwise.
tile::StoreOp storeInPlace(mlir::OpResult result);

/// True if one reduction alone takes the only result of this map and follows it: it makes the vectors as it needs them,
/// and the tile is never written.
bool isFoldedIntoReduce(tile::MapOp map);

/// The accumulating store that alone takes the result of this dot, if the dot can add to the f32 buffer itself. Null
/// otherwise.
tile::StoreOp accumulateInPlace(tile::DotOp dot);

} // namespace oriel::codegen

#endif
