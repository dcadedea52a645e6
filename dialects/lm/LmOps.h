// Op classes of the lm dialect, generated from LmOps.td and LmGradientOps.td.
#ifndef ORIEL_DIALECTS_LM_LMOPS_H
#define ORIEL_DIALECTS_LM_LMOPS_H

#include "dialects/lm/LmDialect.h"
#include "dialects/lm/LmInterfaces.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/lm/LmOps.h.inc"

#endif
