// Expressions of the model language: sums, products, numbers, names (README.md has the grammar).
#ifndef ORIEL_COMPILER_FRONTEND_PARSEEXPRESSION_H
#define ORIEL_COMPILER_FRONTEND_PARSEEXPRESSION_H

#include "compiler/frontend/Ast.h"
#include "compiler/frontend/TokenCursor.h"

namespace oriel::frontend {

/// Reads one expression; an Invalid one, with an error, where none stands. Never null.
ast::ExprPtr parseExpression(TokenCursor &in);

} // namespace oriel::frontend

#endif
