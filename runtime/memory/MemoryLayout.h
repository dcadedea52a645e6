// Where every buffer of a plan lies in the one block of memory that an executor allocates:
//
//   | arena, reused by all entry points | state | io | constants |      each buffer at a multiple of 64 bytes
//
// Known from the plan alone, so `oriel plan` prints it for machines that are not there. Allocates nothing itself.
#ifndef ORIEL_RUNTIME_MEMORY_MEMORYLAYOUT_H
#define ORIEL_RUNTIME_MEMORY_MEMORYLAYOUT_H

#include "runtime/plan/plan.pb.h"

#include <cstdint>
#include <string>
#include <vector>

namespace oriel::runtime {

struct MemoryLayout {
  /// Places the buffers of a plan that checkPlan has passed.
  static MemoryLayout of(const plan::Plan &plan);

  uint64_t arenaBytes = 0, stateBytes = 0, ioBytes = 0, constantBytes = 0;
  uint64_t totalBytes = 0;
  std::vector<uint64_t> offsets; // of each buffer, from the start of the block

  /// "123.0 MiB: arena 100.0 MiB, state 20.0 MiB, io 2.0 MiB, constants 1.0 MiB"
  std::string describe() const;
};

} // namespace oriel::runtime

#endif
