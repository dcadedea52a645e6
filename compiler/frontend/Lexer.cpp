// The lexer of the model language. See Lexer.h.
#include "compiler/frontend/Lexer.h"

#include "compiler/frontend/Suggest.h"

#include <string>

namespace oriel::frontend {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isNamePart(char c) { return isNameStart(c) || isDigit(c); }

TokenKind keywordOrIdentifier(std::string_view text) {
  if (text == "model")
    return TokenKind::KwModel;
  if (text == "block")
    return TokenKind::KwBlock;
  if (text == "repeat")
    return TokenKind::KwRepeat;
  if (text == "residual")
    return TokenKind::KwResidual;
  return TokenKind::Identifier;
}

/// End when `c` is no punctuation.
TokenKind punctuation(char c) {
  switch (c) {
  case '{':
    return TokenKind::LeftBrace;
  case '}':
    return TokenKind::RightBrace;
  case '(':
    return TokenKind::LeftParen;
  case ')':
    return TokenKind::RightParen;
  case ',':
    return TokenKind::Comma;
  case '=':
    return TokenKind::Equals;
  case '|':
    return TokenKind::Bar;
  case '+':
    return TokenKind::Plus;
  case '-':
    return TokenKind::Minus;
  case '*':
    return TokenKind::Star;
  case '/':
    return TokenKind::Slash;
  case '%':
    return TokenKind::Percent;
  default:
    return TokenKind::End;
  }
}

class Lexer {
public:
  Lexer(const SourceFile &file, Diagnostics &diagnostics) : text_(file.text()), diagnostics_(diagnostics) {}

  Tokens run() {
    while (position_ < text_.size())
      step();
    push(TokenKind::End, position_);
    return std::move(result_);
  }

private:
  char peek(size_t ahead = 0) const { return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0'; }

  void push(TokenKind kind, size_t begin) {
    Token token{kind, {begin, position_}, text_.substr(begin, position_ - begin), atLineStart_};
    (kind == TokenKind::Comment ? result_.comments : result_.tokens).push_back(token);
    atLineStart_ = false;
  }

  void step() {
    size_t begin = position_;
    char c = peek();
    if (c == '\n') {
      atLineStart_ = true;
      ++position_;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++position_;
    } else if (c == '#') {
      lexComment();
    } else if (isNameStart(c)) {
      while (isNamePart(peek()))
        ++position_;
      push(keywordOrIdentifier(text_.substr(begin, position_ - begin)), begin);
    } else if (isDigit(c) || (c == '.' && isDigit(peek(1)))) {
      lexNumber();
    } else if (TokenKind kind = punctuation(c); kind != TokenKind::End) {
      ++position_;
      push(kind, begin);
    } else {
      skipUnknown();
    }
  }

  void lexComment() {
    size_t begin = position_;
    while (position_ < text_.size() && peek() != '\n')
      ++position_;
    size_t lineEnd = position_;
    while (position_ > begin &&
           (text_[position_ - 1] == ' ' || text_[position_ - 1] == '\t' || text_[position_ - 1] == '\r'))
      --position_;
    push(TokenKind::Comment, begin);
    position_ = lineEnd;
  }

  void skipDigits() {
    while (isDigit(peek()) || (peek() == '_' && isDigit(peek(1))))
      ++position_;
  }

  void lexNumber() {
    size_t begin = position_;
    TokenKind kind = TokenKind::Integer;
    skipDigits();
    if (peek() == '.' && isDigit(peek(1))) {
      kind = TokenKind::Number;
      ++position_;
      skipDigits();
    }
    size_t signLength = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if ((peek() == 'e' || peek() == 'E') && isDigit(peek(1 + signLength))) {
      kind = TokenKind::Number;
      position_ += 1 + signLength;
      skipDigits();
    }
    if (isNamePart(peek()) || peek() == '.') {
      while (isNamePart(peek()) || peek() == '.')
        ++position_;
      diagnostics_.error({begin, position_}, quoted(text_.substr(begin, position_ - begin)) + " is not a number",
                         "write numbers like 256, 32_000, 0.02 or 5e5");
    }
    push(kind, begin);
  }

  /// One error for a whole run of stray bytes, not one per byte.
  void skipUnknown() {
    size_t begin = position_;
    char c = peek();
    if (c == '"' || c == '\'')
      return skipString(c);
    if (c == ':') {
      ++position_;
      diagnostics_.error({begin, position_}, "':' has no meaning in a model file",
                         "write = between a name and its value");
      return push(TokenKind::Equals, begin); // What was meant, so that the parser goes on.
    }
    while (position_ < text_.size() && isStray(peek()))
      ++position_;
    diagnostics_.error({begin, position_}, "this has no meaning in a model file",
                       c == ';' ? "no separator is needed between definitions or stages" : "");
  }

  static bool isStray(char c) {
    return !isNamePart(c) && punctuation(c) == TokenKind::End &&
           std::string_view("#:\"' \t\r\n").find(c) == std::string_view::npos;
  }

  /// To the closing quote or the end of the line. Stands for a value, an invalid one.
  void skipString(char quote) {
    size_t begin = position_++;
    while (position_ < text_.size() && peek() != quote && peek() != '\n')
      ++position_;
    position_ += peek() == quote && position_ < text_.size() ? 1 : 0;
    diagnostics_.error({begin, position_}, "the language has no strings", "write words bare, as in activation = silu");
    push(TokenKind::Integer, begin);
  }

  std::string_view text_;
  Diagnostics &diagnostics_;
  Tokens result_;
  size_t position_ = 0;
  bool atLineStart_ = true;
};

} // namespace

Tokens lex(const SourceFile &file, Diagnostics &diagnostics) { return Lexer(file, diagnostics).run(); }

std::string_view describe(TokenKind kind) {
  switch (kind) {
  case TokenKind::Identifier:
    return "a name";
  case TokenKind::Integer:
  case TokenKind::Number:
    return "a number";
  case TokenKind::KwModel:
    return "'model'";
  case TokenKind::KwBlock:
    return "'block'";
  case TokenKind::KwRepeat:
    return "'repeat'";
  case TokenKind::KwResidual:
    return "'residual'";
  case TokenKind::LeftBrace:
    return "'{'";
  case TokenKind::RightBrace:
    return "'}'";
  case TokenKind::LeftParen:
    return "'('";
  case TokenKind::RightParen:
    return "')'";
  case TokenKind::Comma:
    return "','";
  case TokenKind::Equals:
    return "'='";
  case TokenKind::Bar:
    return "'|'";
  case TokenKind::Plus:
    return "'+'";
  case TokenKind::Minus:
    return "'-'";
  case TokenKind::Star:
    return "'*'";
  case TokenKind::Slash:
    return "'/'";
  case TokenKind::Percent:
    return "'%'";
  case TokenKind::Comment:
    return "a comment";
  case TokenKind::End:
    return "the end of the file";
  }
  return "a token";
}

} // namespace oriel::frontend
