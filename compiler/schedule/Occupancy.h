// How many blocks of a kernel a multiprocessor of a GPU runs at a time.
//
// Source: the rules of the CUDA C++ programming guide, "Occupancy Calculator", for compute capability 8.0 to 10.0:
// registers are given to warps in pieces of 256, and a multiprocessor's four parts hold equally many warps; each block
// takes 1 KiB of shared memory for the system beside its own, in pieces of 128 bytes.
#ifndef ORIEL_COMPILER_SCHEDULE_OCCUPANCY_H
#define ORIEL_COMPILER_SCHEDULE_OCCUPANCY_H

#include "compiler/schedule/Device.h"

namespace oriel::schedule {

/// What one block asks for.
struct BlockNeeds {
  int64_t threads = 0;
  int64_t registers = 0; // of a thread
  int64_t sharedBytes = 0;
  bool operator==(const BlockNeeds &) const = default;
};

struct Occupancy {
  int64_t blocks = 0; // at a time on one multiprocessor; 0: the kernel cannot run
  double warps = 0;   // share of the warps that a multiprocessor can hold
};

/// Of one block.
int64_t warpsOf(const BlockNeeds &block);

Occupancy occupancyOf(const MultiprocessorLimits &limits, const BlockNeeds &block);

} // namespace oriel::schedule

#endif
