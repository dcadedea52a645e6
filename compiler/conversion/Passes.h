// Declares and registers the passes of Passes.td: createLmToTapePass(LmToTapePassOptions).
#ifndef ORIEL_COMPILER_CONVERSION_PASSES_H
#define ORIEL_COMPILER_CONVERSION_PASSES_H

#include "mlir/Pass/Pass.h"

namespace oriel::conversion {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/conversion/Passes.h.inc"

} // namespace oriel::conversion

#endif
