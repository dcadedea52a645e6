// The memory of a placed module, as the runtime will allocate it: one block with the largest arena, the state, the
// caller's buffers and the constants.
#ifndef ORIEL_COMPILER_ANALYSIS_PLANNEDMEMORY_H
#define ORIEL_COMPILER_ANALYSIS_PLANNEDMEMORY_H

#include "dialects/tape/TapeOps.h"
#include "mlir/IR/BuiltinOps.h"
#include <vector>

namespace oriel::analysis {

struct PlannedMemory {
  int64_t arenaBytes = 0; // of the program with the largest arena
  int64_t stateBytes = 0, ioBytes = 0, constantBytes = 0;
  int64_t fixedBytes() const { return stateBytes + ioBytes + constantBytes; }
  int64_t totalBytes() const { return arenaBytes + fixedBytes(); }
};

/// Precondition: `oriel-assign-buffers` ran. Equals runtime/memory's MemoryLayout of the plan, byte for byte.
PlannedMemory plannedMemory(mlir::ModuleOp module);

/// Bytes of the arena that hold values at each op of `program`, the terminator among them. The high-water mark is at
/// least the largest. Precondition as above.
std::vector<int64_t> arenaTimeline(tape::ProgramOp program);

} // namespace oriel::analysis

#endif
