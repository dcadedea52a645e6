// Which argument goes to which option or block parameter, and whether a layer's options make sense.
//
// Rules, for layers and blocks alike, of the arguments of one use:
//   name = value   gives that option;
//   name           alone gives the option of that name, if there is one: a definition of the same name in scope lends
//   its
//                  value (`heads` means heads = heads), otherwise a switch is turned on (`qk_norm` means qk_norm =
//                  true);
//   value          any other value goes to the first positional option that no argument names.
#ifndef ORIEL_COMPILER_FRONTEND_ARGUMENTS_H
#define ORIEL_COMPILER_FRONTEND_ARGUMENTS_H

#include "compiler/frontend/Evaluator.h"
#include "compiler/frontend/Model.h"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace oriel::frontend {

/// An option of a layer or a parameter of a block, as far as handing out arguments is concerned.
struct Formal {
  std::string_view name;
  bool takesPosition = false;
  const OptionSpec *option = nullptr; ///< Null for the parameters of blocks, which take anything.
};

struct Actual {
  Value value;
  SourceRange range;
};

struct Bound {
  std::vector<std::optional<Actual>> actuals; ///< One per formal; empty where no argument was given.
  bool hasStray = false; ///< Some argument found no place: do not also complain about what is missing.
};

/// Errors: unknown names, an option given twice, too many.
Bound bindArguments(const ast::Stage &use, const std::vector<Formal> &formals, const std::shared_ptr<Scope> &scope,
                    const BlockTable &blocks, Diagnostics &diagnostics);

/// The use of a layer with all its options resolved and checked; an empty spec when anything was wrong.
LayerUse resolveLayer(const LayerSpec &spec, const ast::Stage &use, const std::shared_ptr<Scope> &scope,
                      const BlockTable &blocks, Diagnostics &diagnostics);

} // namespace oriel::frontend

#endif
