// The order of a model's parts and the widths between them. The second step of sema; see Sema.h.
//
//   model = embed, then any layers and residual streams, then unembed, then cross_entropy
//
// A residual stream gives back the width it takes; a tied unembedding needs the width of the embedding.
#ifndef ORIEL_COMPILER_FRONTEND_STRUCTURE_H
#define ORIEL_COMPILER_FRONTEND_STRUCTURE_H

#include "compiler/frontend/Elaborator.h"

namespace oriel::frontend {

/// Splits the elements into embed, trunk and unembed and sets the width of every layer. Elements that elaboration could
/// not understand fit anywhere. The result is complete only when `diagnostics` has no errors.
Model buildStructure(Elaborated elaborated, const ast::Model &model, Diagnostics &diagnostics);

} // namespace oriel::frontend

#endif
