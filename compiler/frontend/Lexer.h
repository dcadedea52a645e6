// Characters to tokens. Comments (`#` to the end of the line) come out in a list of their own, for the formatter.
#ifndef ORIEL_COMPILER_FRONTEND_LEXER_H
#define ORIEL_COMPILER_FRONTEND_LEXER_H

#include "compiler/frontend/Diagnostics.h"
#include "compiler/frontend/Source.h"

#include <string_view>
#include <vector>

namespace oriel::frontend {

enum class TokenKind {
  Identifier,
  Integer, // 256, 32_000
  Number,  // 0.02, 5e5
  KwModel,
  KwBlock,
  KwRepeat,
  KwResidual,
  LeftBrace,
  RightBrace,
  LeftParen,
  RightParen,
  Comma,
  Equals,
  Bar,
  Plus,
  Minus,
  Star,
  Slash,
  Percent,
  Comment, // Only in Tokens::comments.
  End,
};

struct Token {
  TokenKind kind = TokenKind::End;
  SourceRange range;
  std::string_view text;
  bool startsLine = false; ///< First token of its line.
};

struct Tokens {
  std::vector<Token> tokens; ///< Ends with one End token.
  std::vector<Token> comments;
};

/// Characters that no token begins with are reported and skipped. `file` must outlive the tokens.
Tokens lex(const SourceFile &file, Diagnostics &diagnostics);

/// How a message names a kind of token: "'{'", "a name", "a number", "the end of the file".
std::string_view describe(TokenKind kind);

} // namespace oriel::frontend

#endif
