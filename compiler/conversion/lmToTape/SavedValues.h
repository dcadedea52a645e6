// Says in the text of a program what waits for the backward.
#ifndef ORIEL_COMPILER_CONVERSION_LMTOTAPE_SAVEDVALUES_H
#define ORIEL_COMPILER_CONVERSION_LMTOTAPE_SAVEDVALUES_H

#include "mlir/IR/Operation.h"

namespace oriel::conversion {

/// Inserts behind `lastForward` one `tape.save` per layer, with the values that were made up to there and are used
/// later. Views count as what they show; arguments and constants do not count.
void listSavedValues(mlir::Operation *lastForward);

} // namespace oriel::conversion

#endif
