// Op interfaces through which passes speak to lm ops: differentiation, decomposition, recurrence. See LmInterfaces.td.
#ifndef ORIEL_DIALECTS_LM_LMINTERFACES_H
#define ORIEL_DIALECTS_LM_LMINTERFACES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"

#include "dialects/lm/LmInterfaces.h.inc"

namespace oriel::lm {

/// Whether `gradient` is the gradient op of `forward`: its name is forward's with "_grad" behind, forward's operands
/// stand among its operands in their order, and attributes of one name are equal (those of other dialects aside).
bool isGradientOf(mlir::Operation *gradient, mlir::Operation *forward);

} // namespace oriel::lm

#endif
