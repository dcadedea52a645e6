// The two halves of a recurrent mixer and the schedule between them: what its forward leaves for its gradient. The
// schedule stands on both ops as attributes: tape.chunk, tape.save_every, tape.two_pass, tape.key_tile, tape.site.
#ifndef ORIEL_COMPILER_CONVERSION_LMTOTAPE_SAVEDSTATES_H
#define ORIEL_COMPILER_CONVERSION_LMTOTAPE_SAVEDSTATES_H

#include "compiler/conversion/lmToTape/LowerOps.h"

namespace oriel::conversion {

/// Tokens per chunk, and chunks between saved states; defaults where no schedule was made.
int64_t scheduledChunk(mlir::Operation *mixer);
int64_t scheduledSaveEvery(mlir::Operation *mixer);
/// Tokens per key tile of a fused kernel's window part; 0: the kernel's own.
int64_t scheduledKeyTile(mlir::Operation *mixer);
/// Whether the segments between saved states run side by side.
bool runsInTwoPasses(mlir::Operation *mixer);

/// Whether the block of `forward` has its gradient.
bool hasGradient(mlir::Operation *forward);

/// What the last run of the forward half of `gradient` saved; null if nothing.
const Lowering::SavedStates *savedStatesFor(const Lowering &lowering, mlir::Operation *gradient);

} // namespace oriel::conversion

#endif
