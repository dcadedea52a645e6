// Which loads are copied to shared memory by TMA (cp.async.bulk.tensor), and how it is told where they lie.
//
// A home that wgmma reads consists of panels, `swizzleBytes` of every row each (TilePlacement.h). That is what one copy
// of a box of `rows`×`swizzleBytes` with that swizzle writes, so that a tile is one copy for each panel, started by one
// thread and completed by an mbarrier. What lies outside of the map's sizes arrives as zeros: rows past the end of a
// sequence or before its start, and columns past a head's.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_TENSORCOPIES_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_TENSORCOPIES_H

#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/TilePlacement.h"

namespace oriel::codegen::nvidia {

/// The map of a load that products alone read, to `home`. Nothing where TMA cannot make the same tile, so that cp.async
/// does: a home without a swizzle; rows or columns whose bounds are not known here; more than 5 dimensions or 256 rows;
/// a buffer that the kernel writes, since TMA would not see it without a fence.
std::optional<NvidiaTensorMap> tensorMapOf(tile::LoadOp load, const Home &home, tile::KernelOp kernel);

} // namespace oriel::codegen::nvidia

#endif
