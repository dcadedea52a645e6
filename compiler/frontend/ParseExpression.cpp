#include "compiler/frontend/ParseExpression.h"

#include "compiler/frontend/Suggest.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace oriel::frontend {
namespace {

using namespace ast;

class ExpressionParser {
public:
  explicit ExpressionParser(TokenCursor &in) : in_(in) {}

  ExprPtr parse();

private:
  ExprPtr parseTerm();
  ExprPtr parseFactor();
  ExprPtr parseNumber();
  ExprPtr makeBinary(char op, ExprPtr lhs, ExprPtr rhs);
  ExprPtr invalid();

  TokenCursor &in_;
};

ExprPtr ExpressionParser::invalid() {
  auto expr = std::make_unique<Expr>();
  expr->range = in_.current().range;
  return expr;
}

ExprPtr ExpressionParser::makeBinary(char op, ExprPtr lhs, ExprPtr rhs) {
  auto expr = std::make_unique<Expr>();
  expr->kind = ExprKind::Binary;
  expr->op = op;
  expr->range = spanning(lhs->range, rhs->range);
  expr->height = 1 + std::max(lhs->height, rhs->height);
  if (expr->height > kMaxNesting) {
    in_.fail(expr->range, "this expression is too long", "give its parts names");
    return invalid();
  }
  expr->lhs = std::move(lhs);
  expr->rhs = std::move(rhs);
  return expr;
}

ExprPtr ExpressionParser::parse() {
  ExprPtr lhs = parseTerm();
  while (!in_.hasFailed() && (in_.at(TokenKind::Plus) || in_.at(TokenKind::Minus))) {
    char op = in_.current().text.front();
    in_.advance();
    lhs = makeBinary(op, std::move(lhs), parseTerm());
  }
  return lhs;
}

ExprPtr ExpressionParser::parseTerm() {
  ExprPtr lhs = parseFactor();
  while (!in_.hasFailed() && (in_.at(TokenKind::Star) || in_.at(TokenKind::Slash) || in_.at(TokenKind::Percent))) {
    char op = in_.current().text.front();
    in_.advance();
    lhs = makeBinary(op, std::move(lhs), parseFactor());
  }
  return lhs;
}

ExprPtr ExpressionParser::parseFactor() {
  const Token &token = in_.current();
  if (token.kind == TokenKind::Integer || token.kind == TokenKind::Number)
    return parseNumber();
  auto expr = std::make_unique<Expr>();
  expr->range = token.range;
  if (in_.accept(TokenKind::Identifier)) {
    expr->kind = ExprKind::Name;
    expr->name = token.text;
    return expr;
  }
  bool isNegation = token.kind == TokenKind::Minus;
  if (!isNegation && token.kind != TokenKind::LeftParen) {
    in_.unexpected("a value", token.kind == TokenKind::KwModel || token.kind == TokenKind::KwBlock
                                  ? quoted(token.text) + " is a keyword"
                                  : "");
    return expr;
  }
  in_.advance();
  if (in_.enter(token.range)) {
    expr = isNegation ? parseFactor() : parse();
    if (isNegation) {
      auto negation = std::make_unique<Expr>();
      negation->kind = ExprKind::Negate;
      negation->range = spanning(token.range, expr->range);
      negation->height = expr->height + 1;
      negation->lhs = std::move(expr);
      expr = std::move(negation);
    } else if (!in_.hasFailed()) {
      in_.expect(TokenKind::RightParen, "to close the parenthesis");
    }
  }
  in_.leave();
  return expr;
}

ExprPtr ExpressionParser::parseNumber() {
  auto expr = std::make_unique<Expr>();
  const Token &token = in_.current();
  expr->range = token.range;
  std::string digits(token.text);
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  const char *begin = digits.data(), *end = begin + digits.size();
  std::from_chars_result result{begin, std::errc()};
  if (token.kind == TokenKind::Integer) {
    expr->kind = ExprKind::Integer;
    result = std::from_chars(begin, end, expr->integer);
  } else {
    expr->kind = ExprKind::Number;
    result = std::from_chars(begin, end, expr->number);
  }
  if (result.ec == std::errc::result_out_of_range) {
    in_.diagnostics().error(token.range, "this number is too large to represent");
    expr->kind = ExprKind::Invalid;
  } else if (result.ec != std::errc() || result.ptr != end) {
    expr->kind = ExprKind::Invalid; // The lexer has reported it.
  }
  in_.advance();
  return expr;
}

} // namespace

ast::ExprPtr parseExpression(TokenCursor &in) { return ExpressionParser(in).parse(); }

} // namespace oriel::frontend
