// Tokens to a tree, by recursive descent. The grammar is in README.md. After an error the parser goes on at the next
// stage, definition or closing brace, so that one run reports several independent errors.
#ifndef ORIEL_COMPILER_FRONTEND_PARSER_H
#define ORIEL_COMPILER_FRONTEND_PARSER_H

#include "compiler/frontend/Ast.h"
#include "compiler/frontend/Diagnostics.h"
#include "compiler/frontend/Lexer.h"

#include <optional>

namespace oriel::frontend {

/// Parses the one model of a file. When `diagnostics` has errors afterwards the tree may have holes (Invalid
/// expressions) and should only be searched for further errors. Nothing at all when no model was recognised.
std::optional<ast::Model> parse(const Tokens &tokens, Diagnostics &diagnostics);

} // namespace oriel::frontend

#endif
