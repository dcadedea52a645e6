// Declares and registers the passes of Passes.td: createDecomposePass(), createDifferentiatePass() …
#ifndef ORIEL_COMPILER_TRANSFORMS_PASSES_H
#define ORIEL_COMPILER_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"

namespace oriel::transforms {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/transforms/Passes.h.inc"

} // namespace oriel::transforms

#endif
