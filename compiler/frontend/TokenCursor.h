// Where a parser of the model language stands in the tokens, and what it has to say about them. What the parsers of stages
// (Parser.cpp) and of expressions (ParseExpression.cpp) share; no grammar here.
#ifndef ORIEL_COMPILER_FRONTEND_TOKENCURSOR_H
#define ORIEL_COMPILER_FRONTEND_TOKENCURSOR_H

#include "compiler/frontend/Diagnostics.h"
#include "compiler/frontend/Lexer.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace oriel::frontend {

/// Tokens and diagnostics outlive it. The last token is End, and the cursor stays on it.
class TokenCursor {
public:
  TokenCursor(const std::vector<Token> &tokens, Diagnostics &diagnostics)
      : diagnostics_(diagnostics), tokens_(tokens) {}

  const Token &current() const { return tokens_[position_]; }
  const Token &next() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  const Token &previous() const { return tokens_[position_ == 0 ? 0 : position_ - 1]; }
  bool at(TokenKind kind) const { return current().kind == kind; }
  void advance() { position_ += position_ + 1 < tokens_.size() ? 1 : 0; }
  bool accept(TokenKind kind);
  /// accept(), or an error: "expected ')' after the parameters, found '}'".
  bool expect(TokenKind kind, std::string_view where);
  /// Skips over a parenthesised or braced group, or one token.
  void skipBalanced();

  /// Where the text stops: right behind the last token, not behind blank lines.
  SourceRange endRange() const { return {previous().range.end, previous().range.end}; }
  SourceRange rangeFrom(size_t begin) const { return {begin, std::max(begin, previous().range.end)}; }

  /// Errors at the current token, or at `range`; silent where the stage or definition has one already.
  void unexpected(const std::string &wanted, std::string hint = "");
  void fail(SourceRange range, std::string message, std::string hint);
  /// Of anything, whether or not there were errors before.
  Diagnostics &diagnostics() { return diagnostics_; }

  /// The current stage or definition has an error: skip to the next one, then forget it.
  bool hasFailed() const { return failed_; }
  void forgetFailure() { failed_ = false; }

  /// False, with an error, when the text is nested too deeply to go on. Balance with leave().
  bool enter(SourceRange range);
  void leave() { --depth_; }

private:
  Diagnostics &diagnostics_;
  const std::vector<Token> &tokens_;
  size_t position_ = 0;
  int depth_ = 0;
  bool failed_ = false;
};

} // namespace oriel::frontend

#endif
