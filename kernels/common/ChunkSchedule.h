// The schedule of a recurrent mixer along one row: chunks, and which states between them are saved.
#ifndef ORIEL_KERNELS_COMMON_CHUNKSCHEDULE_H
#define ORIEL_KERNELS_COMMON_CHUNKSCHEDULE_H

#include "kernels/common/KernelSpec.h"

#include <algorithm>

namespace oriel::kernels {

/// Any chunk (a multiple of 16) and any saveEvery give the same values within rounding.
struct ChunkSchedule {
  int64_t tokens = 0;
  int64_t chunk = 64;
  /// The state before every saveEvery-th chunk is saved by the forward and read by the backward, which re-makes the
  /// states between. 0: nothing is saved; the backward re-makes every state from the start of the row.
  int64_t saveEvery = 0;

  int64_t chunks() const { return ceilDiv(tokens, chunk); }
  /// States that are saved for one key/value head of one row; entry j is the state before chunk j * saveEvery.
  int64_t savedStates() const { return saveEvery ? ceilDiv(chunks(), saveEvery) : 0; }
  /// States that the backward re-makes at a time: the workspace of one cell holds this many.
  int64_t segmentChunks() const { return saveEvery ? std::min(saveEvery, chunks()) : chunks(); }
  int64_t segmentTokens() const { return segmentChunks() * chunk; }
  int64_t segments() const { return ceilDiv(chunks(), segmentChunks()); }
};

} // namespace oriel::kernels

#endif
