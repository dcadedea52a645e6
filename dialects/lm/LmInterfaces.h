// Op interfaces through which passes speak to lm ops: differentiation, decomposition, recurrence. See LmInterfaces.td.
#ifndef ORIEL_DIALECTS_LM_LMINTERFACES_H
#define ORIEL_DIALECTS_LM_LMINTERFACES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"

#include "dialects/lm/LmInterfaces.h.inc"

#endif
