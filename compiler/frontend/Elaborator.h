// Unrolls repeats, expands blocks and numbers the layers. The first step of sema; see Sema.h.
//
// Numbers: each use of a block that stands directly in the model (or in its repeats) is one layer, and so is each
// unbroken run of other stages in one pass of a repeat. Stages outside every block and repeat belong to no numbered
// layer.
#ifndef ORIEL_COMPILER_FRONTEND_ELABORATOR_H
#define ORIEL_COMPILER_FRONTEND_ELABORATOR_H

#include "compiler/frontend/Sema.h"

namespace oriel::frontend {

/// What elaboration knows; names, widths and the order of the parts are not looked at yet. A layer whose use has errors
/// is in `elements` with a null spec, so that the later steps can work around it.
struct Elaborated {
  std::vector<Element> elements;
  int64_t layerCount = 0;
  int64_t residualCount = 0;
  double initStd = 0.02;
};

Elaborated elaborate(const ast::Model &model, const Overrides &overrides, Diagnostics &diagnostics);

} // namespace oriel::frontend

#endif
