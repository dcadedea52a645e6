// The steps of sema in order. See Sema.h.
#include "compiler/frontend/Sema.h"

#include "compiler/frontend/Elaborator.h"
#include "compiler/frontend/Lexer.h"
#include "compiler/frontend/Parameters.h"
#include "compiler/frontend/Parser.h"
#include "compiler/frontend/Structure.h"

namespace oriel::frontend {
namespace {

/// Model files are pages, not books; anything larger was passed by mistake.
constexpr size_t kMaxFileBytes = 1 << 20;
/// 2^44 elements: 64 TiB of f32. Keeps all arithmetic on sizes far from overflow.
constexpr int64_t kMaxParameterElements = int64_t(1) << 44;

} // namespace

std::optional<Model> analyze(const ast::Model &tree, const Overrides &overrides, Diagnostics &diagnostics) {
  bool hasHoles = diagnostics.hasErrors(); // Then missing parts may be the parser's fault, not the author's.
  Elaborated elaborated = elaborate(tree, overrides, diagnostics);
  if (hasHoles)
    return std::nullopt;
  Model model = buildStructure(std::move(elaborated), tree, diagnostics);
  if (diagnostics.hasErrors())
    return std::nullopt;
  nameLayers(model);
  if (countElements(parametersOf(model)) > kMaxParameterElements) {
    diagnostics.error(tree.name.range, "model '" + model.name + "' has more than 2^44 parameters");
    return std::nullopt;
  }
  return model;
}

std::optional<Model> loadModel(const SourceFile &file, const Overrides &overrides, Diagnostics &diagnostics) {
  if (file.text().size() > kMaxFileBytes) {
    diagnostics.error("the file has " + std::to_string(file.text().size()) + " bytes; a model file has at most 1 MiB",
                      "is this a model file?");
    return std::nullopt;
  }
  Tokens tokens = lex(file, diagnostics);
  std::optional<ast::Model> tree = parse(tokens, diagnostics);
  if (!tree)
    return std::nullopt;
  return analyze(*tree, overrides, diagnostics);
}

} // namespace oriel::frontend
