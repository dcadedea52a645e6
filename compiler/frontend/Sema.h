// From the tree to the elaborated model: evaluates parameters, expands blocks and repeats, resolves and checks the
// options of every layer, checks widths and the order of the parts, names the layers.
//
//   elaborate (Elaborator.h) ──▶ check the structure (Structure.h) ──▶ name the layers (Parameters.h)
//
// Goes on after errors; work is bounded whatever the file says (kMaxStages, kMaxExpansionDepth).
#ifndef ORIEL_COMPILER_FRONTEND_SEMA_H
#define ORIEL_COMPILER_FRONTEND_SEMA_H

#include "compiler/frontend/Ast.h"
#include "compiler/frontend/Diagnostics.h"
#include "compiler/frontend/Model.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oriel::frontend {

/// Stages of a whole model, after unrolling.
inline constexpr int64_t kMaxStages = 16384;
/// The count of one `repeat`.
inline constexpr int64_t kMaxRepeat = 4096;
/// Blocks and stage arguments inside one another.
inline constexpr int kMaxExpansionDepth = 64;

/// Values that replace definitions of the model: a number or a word each.
using Overrides = std::vector<std::pair<std::string, std::string>>;

/// Nothing when there are errors (in `diagnostics`, perhaps from parsing).
std::optional<Model> analyze(const ast::Model &model, const Overrides &overrides, Diagnostics &diagnostics);

/// Lexes, parses and analyzes.
std::optional<Model> loadModel(const SourceFile &file, const Overrides &overrides, Diagnostics &diagnostics);

} // namespace oriel::frontend

#endif
