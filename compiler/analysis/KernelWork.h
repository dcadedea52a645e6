// How much one run of a tile kernel does: its arithmetic, and what its cells read and write.
//
// Counted from the tile program itself, so that a kernel needs no formula beside it: loops are walked as they run (a
// causal kernel's later cells have longer ones), and everything is counted as executed, recomputation and padding
// included. The plan's FLOPs of a launch and the predictions of a schedule are these numbers.
#ifndef ORIEL_COMPILER_ANALYSIS_KERNELWORK_H
#define ORIEL_COMPILER_ANALYSIS_KERNELWORK_H

#include "dialects/tile/TileOps.h"

namespace oriel::analysis {

struct KernelWork {
  double dotFlops = 0;        // of tile.dot; a multiply-add counts 2
  double pointwiseFlops = 0;  // float arithmetic of maps and reductions, one per operation and element
  double transcendentals = 0; // exp, log, tanh … per element; each takes some 10 to 20 operations
  double bytesRead = 0;       // by the tile loads of all cells together, whether or not a cache holds them
  double bytesWritten = 0;    // by the tile stores of all cells; accumulating ones count as read too

  double rounds = 0;          // how often cells wait for loads: runs of loop bodies, branches and kernel bodies with any

  double flops() const { return dotFlops + pointwiseFlops + transcendentals; }
};

/// The work of all cells of the grid. Contents of buffers are taken as zero where control flow depends on them: rows
/// of a batch are one document each, prefill lengths are empty. An scf.if whose condition is no index arithmetic counts
/// its dearer side. Tiles count whole, also where they hang over an edge.
KernelWork workOf(tile::KernelOp kernel);

} // namespace oriel::analysis

#endif
