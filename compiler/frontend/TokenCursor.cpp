#include "compiler/frontend/TokenCursor.h"

#include "compiler/frontend/Ast.h"
#include "compiler/frontend/Suggest.h"

#include <utility>

namespace oriel::frontend {

bool TokenCursor::accept(TokenKind kind) {
  if (!at(kind))
    return false;
  advance();
  return true;
}

void TokenCursor::fail(SourceRange range, std::string message, std::string hint) {
  if (!failed_)
    diagnostics_.error(range, std::move(message), std::move(hint));
  failed_ = true;
}

void TokenCursor::unexpected(const std::string &wanted, std::string hint) {
  bool ends = at(TokenKind::End);
  std::string found = ends ? std::string(describe(TokenKind::End)) : quoted(current().text.substr(0, 40));
  fail(ends ? endRange() : current().range, "expected " + wanted + ", found " + found, std::move(hint));
}

bool TokenCursor::expect(TokenKind kind, std::string_view where) {
  if (accept(kind))
    return true;
  unexpected(std::string(describe(kind)) + " " + std::string(where));
  return false;
}

void TokenCursor::skipBalanced() {
  int open = 0;
  do {
    if (at(TokenKind::LeftBrace) || at(TokenKind::LeftParen))
      ++open;
    else if (at(TokenKind::RightBrace) || at(TokenKind::RightParen))
      --open;
    else if (at(TokenKind::End))
      return;
    advance();
  } while (open > 0);
}

bool TokenCursor::enter(SourceRange range) {
  if (++depth_ <= ast::kMaxNesting)
    return true;
  fail(range, "nested more than " + std::to_string(ast::kMaxNesting) + " deep", "give parts names: blocks and parameters");
  return false;
}

} // namespace oriel::frontend
