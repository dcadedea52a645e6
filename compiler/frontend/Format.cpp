// The formatter: works on tokens and comments, so nothing an author wrote can get lost. See Format.h.
//
// Line breaks stay where they are (an opening brace moves up to the line it belongs to, several blank lines become
// one). Indentation is 2 per brace and 4 per parenthesis; definitions on one line stand 3 apart; trailing comments of
// neighbouring lines are aligned.
#include "compiler/frontend/Format.h"

#include "compiler/frontend/Diagnostics.h"
#include "compiler/frontend/Lexer.h"
#include "compiler/frontend/Parser.h"

#include <algorithm>
#include <vector>

namespace oriel::frontend {
namespace {

bool endsOperand(TokenKind kind) {
  return kind == TokenKind::Identifier || kind == TokenKind::Integer || kind == TokenKind::Number ||
         kind == TokenKind::RightParen;
}

/// Characters, not bytes.
size_t widthOf(const std::string &text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

class Formatter {
public:
  explicit Formatter(const SourceFile &file) : text_(file.text()) {}

  std::string run(const Tokens &tokens) {
    merge(tokens);
    for (position_ = 0; position_ < all_.size(); ++position_)
      place(all_[position_]);
    alignComments();
    std::string out;
    for (const Line &line : lines_)
      out += line.code + line.comment + "\n";
    return out;
  }

private:
  struct Line {
    std::string code;
    std::string comment;
  };

  void merge(const Tokens &tokens) {
    all_.assign(tokens.tokens.begin(), tokens.tokens.end() - 1); // Without End.
    all_.insert(all_.end(), tokens.comments.begin(), tokens.comments.end());
    std::sort(all_.begin(), all_.end(), [](const Token &a, const Token &b) { return a.range.begin < b.range.begin; });
  }

  const Token *neighbour(int offset) const {
    size_t index = position_ + static_cast<size_t>(offset);
    return index < all_.size() ? &all_[index] : nullptr;
  }
  bool follows(TokenKind kind) const {
    const Token *previous = neighbour(-1);
    return previous && previous->kind == kind;
  }

  void place(const Token &token) {
    bool closes = token.kind == TokenKind::RightBrace || token.kind == TokenKind::RightParen;
    if (closes && !open_.empty())
      open_.pop_back();
    if (breaksLine(token))
      startLine(token);
    if (token.kind == TokenKind::Comment && !lines_.back().code.empty() && !isBlank(lines_.back().code))
      lines_.back().comment = token.text;
    else
      lines_.back().code += spaceBefore(token) + std::string(token.text);
    if (token.kind == TokenKind::LeftBrace || token.kind == TokenKind::LeftParen)
      open_.push_back(token.kind);
  }

  static bool isBlank(const std::string &text) { return text.find_first_not_of(' ') == std::string::npos; }

  bool breaksLine(const Token &token) const {
    if (lines_.empty() || follows(TokenKind::Comment))
      return true;
    return token.startsLine && token.kind != TokenKind::LeftBrace;
  }

  void startLine(const Token &token) {
    if (const Token *previous = neighbour(-1)) {
      std::string_view gap = text_.substr(previous->range.end, token.range.begin - previous->range.end);
      bool isInside = previous->kind != TokenKind::LeftBrace && token.kind != TokenKind::RightBrace;
      if (std::count(gap.begin(), gap.end(), '\n') > 1 && isInside)
        lines_.emplace_back();
    }
    size_t indent = 0;
    for (TokenKind kind : open_)
      indent += kind == TokenKind::LeftBrace ? 2 : 4;
    lines_.push_back({std::string(indent, ' '), ""});
  }

  std::string spaceBefore(const Token &token) const {
    const Token *previous = neighbour(-1);
    if (isBlank(lines_.back().code) || !previous)
      return "";
    if (previous->kind == TokenKind::LeftParen || token.kind == TokenKind::RightParen || token.kind == TokenKind::Comma)
      return "";
    if (token.kind == TokenKind::LeftParen && previous->kind == TokenKind::Identifier)
      return "";
    const Token *beforeThat = neighbour(-2);
    if (previous->kind == TokenKind::Minus && !(beforeThat && endsOperand(beforeThat->kind)))
      return ""; // A sign, not a subtraction.
    const Token *next = neighbour(1);
    bool isDefinition = token.kind == TokenKind::Identifier && next && next->kind == TokenKind::Equals &&
                        (open_.empty() || open_.back() == TokenKind::LeftBrace);
    return isDefinition && endsOperand(previous->kind) ? "   " : " ";
  }

  /// Trailing comments of an unbroken run of lines begin in one column, two behind the longest line.
  void alignComments() {
    for (size_t begin = 0; begin < lines_.size();) {
      size_t end = begin;
      size_t width = 0;
      while (end < lines_.size() && !lines_[end].comment.empty())
        width = std::max(width, widthOf(lines_[end++].code));
      for (size_t i = begin; i < end; ++i)
        lines_[i].code.append(width + 2 - widthOf(lines_[i].code), ' ');
      begin = std::max(end, begin + 1);
    }
  }

  std::string_view text_;
  std::vector<Token> all_;
  size_t position_ = 0;
  std::vector<TokenKind> open_;
  std::vector<Line> lines_;
};

} // namespace

std::optional<std::string> format(std::string_view path, std::string_view text, std::string &errors) {
  SourceFile file(path, text);
  Diagnostics diagnostics(file);
  Tokens tokens = lex(file, diagnostics);
  parse(tokens, diagnostics);
  if (diagnostics.hasErrors()) {
    errors += diagnostics.render();
    return std::nullopt;
  }
  return Formatter(file).run(tokens);
}

} // namespace oriel::frontend
