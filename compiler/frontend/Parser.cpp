// The parser of the model language. See Parser.h; the grammar is in README.md.
#include "compiler/frontend/Parser.h"

#include "compiler/frontend/Suggest.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

namespace oriel::frontend {
namespace {

using namespace ast;

class Parser {
public:
  Parser(const std::vector<Token> &tokens, Diagnostics &diagnostics) : tokens_(tokens), diagnostics_(diagnostics) {}

  std::optional<Model> parseFile();

private:
  // Tokens.
  const Token &current() const { return tokens_[position_]; }
  const Token &next() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  const Token &previous() const { return tokens_[position_ == 0 ? 0 : position_ - 1]; }
  bool at(TokenKind kind) const { return current().kind == kind; }
  void advance() { position_ += position_ + 1 < tokens_.size() ? 1 : 0; }
  bool accept(TokenKind kind);
  bool expect(TokenKind kind, std::string_view where);
  void unexpected(const std::string &wanted, std::string hint = "");
  /// Where the text stops: right behind the last token, not behind blank lines.
  SourceRange endRange() const { return {previous().range.end, previous().range.end}; }
  SourceRange rangeFrom(size_t begin) const { return {begin, std::max(begin, previous().range.end)}; }

  // Errors.
  void recover();
  void skipBalanced();
  bool enter(SourceRange range);

  // Grammar.
  void parseModelBody(Model &model);
  Definition parseDefinition();
  Name parseNameAndEquals();
  Block parseBlock();
  std::vector<Definition> parseBlockParameters();
  Pipeline parseBody();
  void parseStages(Pipeline &stages);
  bool atDefinition() const { return at(TokenKind::Identifier) && next().kind == TokenKind::Equals; }
  /// `d 256`: can only be a definition or argument without its '='.
  bool atMissingEquals() const {
    return at(TokenKind::Identifier) && !next().startsLine &&
           (next().kind == TokenKind::Integer || next().kind == TokenKind::Number);
  }
  bool atStage() const { return at(TokenKind::Identifier) || at(TokenKind::KwRepeat) || at(TokenKind::KwResidual); }
  Stage parseStage();
  Stage parseUse();
  Stage parseStrayBody(Stage stage);
  void parseArguments(Stage &stage);
  Argument parseArgument();
  ExprPtr parseArgumentValue();
  ExprPtr parseExpr();
  ExprPtr parseTerm();
  ExprPtr parseFactor();
  ExprPtr parseNumber();
  ExprPtr makeBinary(char op, ExprPtr lhs, ExprPtr rhs);
  ExprPtr invalid();

  const std::vector<Token> &tokens_;
  Diagnostics &diagnostics_;
  size_t position_ = 0;
  int depth_ = 0;
  bool failed_ = false; ///< The current stage or definition has an error: skip to the next one.
};

// ---------------------------------------------------------------------------------------------------------------------
// Tokens and errors
// ---------------------------------------------------------------------------------------------------------------------

bool Parser::accept(TokenKind kind) {
  if (!at(kind))
    return false;
  advance();
  return true;
}

void Parser::unexpected(const std::string &wanted, std::string hint) {
  if (!failed_) {
    std::string found =
        at(TokenKind::End) ? std::string(describe(TokenKind::End)) : quoted(current().text.substr(0, 40));
    diagnostics_.error(at(TokenKind::End) ? endRange() : current().range, "expected " + wanted + ", found " + found,
                       std::move(hint));
  }
  failed_ = true;
}

bool Parser::expect(TokenKind kind, std::string_view where) {
  if (accept(kind))
    return true;
  unexpected(std::string(describe(kind)) + " " + std::string(where));
  return false;
}

/// Skips over a parenthesised or braced group, or one token.
void Parser::skipBalanced() {
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

/// After an error: on to the next token that begins a line or a stage, or to the brace that closes the body.
void Parser::recover() {
  failed_ = false;
  while (!at(TokenKind::End) && !at(TokenKind::RightBrace) && !at(TokenKind::Bar)) {
    bool canStart = atStage() || at(TokenKind::KwBlock);
    if (canStart && (current().startsLine || atDefinition() || !at(TokenKind::Identifier)))
      return;
    skipBalanced();
  }
}

/// False, with an error, when the text is nested too deeply to go on. Balance with `--depth_`.
bool Parser::enter(SourceRange range) {
  if (++depth_ <= kMaxNesting)
    return true;
  if (!failed_)
    diagnostics_.error(range, "nested more than " + std::to_string(kMaxNesting) + " deep",
                       "give parts names: blocks and parameters");
  failed_ = true;
  return false;
}

// ---------------------------------------------------------------------------------------------------------------------
// Models and blocks
// ---------------------------------------------------------------------------------------------------------------------

std::optional<Model> Parser::parseFile() {
  Model model;
  size_t begin = current().range.begin;
  if (!accept(TokenKind::KwModel)) {
    unexpected("'model'", "a file holds one model: model name { … }");
    return std::nullopt;
  }
  model.name = {current().text, current().range};
  if (!accept(TokenKind::Identifier))
    unexpected("a name after 'model'", "names have letters, digits and '_': model ra_nano { … }");
  else if (!at(TokenKind::LeftBrace))
    unexpected("'{' after the model's name", "names have letters, digits and '_'");
  while (!at(TokenKind::LeftBrace) && !at(TokenKind::End) && !current().startsLine)
    advance();
  failed_ = false;
  if (!expect(TokenKind::LeftBrace, "after the model's name"))
    return std::nullopt;
  parseModelBody(model);
  if (!accept(TokenKind::RightBrace))
    unexpected("'}' to close the model");
  model.range = rangeFrom(begin);
  failed_ = false;
  if (!at(TokenKind::End))
    diagnostics_.error(current().range, "the model has ended here, but the file goes on",
                       at(TokenKind::KwModel) ? "a file holds one model: put the second one into a file of its own"
                                              : "remove the rest, or a '}' too many above");
  return model;
}

void Parser::parseModelBody(Model &model) {
  bool saidOrder = false;
  while (!at(TokenKind::RightBrace) && !at(TokenKind::End)) {
    if (at(TokenKind::KwBlock)) {
      model.items.push_back({std::nullopt, parseBlock()});
    } else if (atDefinition() || atMissingEquals()) {
      if (!model.body.empty() && !std::exchange(saidOrder, true))
        diagnostics_.error(current().range, "definitions come before the first stage",
                           "move the definition up, above " + quoted(model.body.front().name.text));
      model.items.push_back({parseDefinition(), std::nullopt});
    } else {
      parseStages(model.body);
    }
    if (failed_)
      recover();
  }
}

Definition Parser::parseDefinition() {
  Definition definition{parseNameAndEquals(), nullptr};
  definition.value = parseArgumentValue();
  return definition;
}

/// At a definition, or at one that lacks its '=': then says so and goes on as if it were there.
Name Parser::parseNameAndEquals() {
  Name name{current().text, current().range};
  advance();
  if (!accept(TokenKind::Equals))
    diagnostics_.error(current().range, "expected '=' after " + quoted(name.text),
                       "write " + std::string(name.text) + " = " + std::string(current().text));
  return name;
}

Block Parser::parseBlock() {
  Block block;
  size_t begin = current().range.begin;
  advance();
  block.name = {current().text, current().range};
  if (!accept(TokenKind::Identifier))
    unexpected("a name after 'block'");
  if (!failed_ && at(TokenKind::LeftParen))
    block.parameters = parseBlockParameters();
  if (failed_ && !at(TokenKind::LeftBrace))
    return block;
  failed_ = false;
  if (!expect(TokenKind::LeftBrace, "to open the block"))
    return block;
  while (!failed_ && (atDefinition() || atMissingEquals()))
    block.locals.push_back(parseDefinition());
  if (failed_)
    recover();
  block.body = parseBody();
  block.range = rangeFrom(begin);
  return block;
}

std::vector<Definition> Parser::parseBlockParameters() {
  std::vector<Definition> parameters;
  advance();
  while (!failed_ && !at(TokenKind::RightParen)) {
    Definition parameter{{current().text, current().range}, nullptr};
    if (!accept(TokenKind::Identifier)) {
      unexpected("the name of a parameter");
      break;
    }
    if (accept(TokenKind::Equals))
      parameter.value = parseArgumentValue();
    parameters.push_back(std::move(parameter));
    if (!accept(TokenKind::Comma))
      break;
  }
  if (!failed_)
    expect(TokenKind::RightParen, "after the parameters");
  if (failed_)
    while (!at(TokenKind::LeftBrace) && !at(TokenKind::RightBrace) && !at(TokenKind::End) && !current().startsLine)
      advance();
  return parameters;
}

// ---------------------------------------------------------------------------------------------------------------------
// Stages
// ---------------------------------------------------------------------------------------------------------------------

/// After '{': stages up to and including the closing brace.
Pipeline Parser::parseBody() {
  Pipeline stages;
  while (!at(TokenKind::RightBrace) && !at(TokenKind::End)) {
    if (at(TokenKind::KwBlock) || atDefinition()) {
      unexpected("a stage", at(TokenKind::KwBlock) ? "blocks are written directly inside the model"
                                                   : "definitions stand before the first stage of a model or block");
      advance();
      if (at(TokenKind::Equals))
        advance();
    } else {
      parseStages(stages);
    }
    if (failed_)
      recover();
  }
  if (!accept(TokenKind::RightBrace))
    unexpected("'}' to close what was opened above");
  return stages;
}

/// Stages follow each other with or without '|' between them.
void Parser::parseStages(Pipeline &stages) {
  if (stages.empty() && at(TokenKind::Bar)) {
    unexpected("a stage before '|'");
    advance();
    return;
  }
  accept(TokenKind::Bar);
  if (!atStage()) {
    unexpected("a layer, a block, 'residual' or 'repeat'");
    if (!at(TokenKind::RightBrace) && !at(TokenKind::End))
      skipBalanced();
    return;
  }
  stages.push_back(parseStage());
}

Stage Parser::parseStage() {
  if (at(TokenKind::Identifier))
    return parseUse();
  Stage stage;
  stage.name = {current().text, current().range};
  stage.kind = at(TokenKind::KwRepeat) ? StageKind::Repeat : StageKind::Residual;
  size_t begin = current().range.begin;
  advance();
  if (enter(stage.name.range)) {
    if (stage.kind == StageKind::Repeat)
      stage.count = parseExpr();
    if (!failed_ &&
        expect(TokenKind::LeftBrace, stage.kind == StageKind::Repeat ? "after the count" : "after 'residual'"))
      stage.body = parseBody();
  } else {
    skipBalanced();
  }
  --depth_;
  stage.range = rangeFrom(begin);
  return stage;
}

Stage Parser::parseUse() {
  Stage stage;
  stage.name = {current().text, current().range};
  advance();
  if (at(TokenKind::LeftBrace))
    return parseStrayBody(std::move(stage));
  if (at(TokenKind::LeftParen))
    parseArguments(stage);
  stage.isBroken = failed_;
  stage.range = rangeFrom(stage.name.range.begin);
  return stage;
}

/// `residul { … }`, `layer { … }`: read on as a residual, for the errors that the body has.
Stage Parser::parseStrayBody(Stage stage) {
  static constexpr std::string_view kWithBody = "residual";
  std::string suggestion = didYouMean(stage.name.text, {kWithBody});
  diagnostics_.error(stage.name.range, quoted(stage.name.text) + " has no body in braces" + suggestion,
                     suggestion.empty() ? "only residual { … } and repeat N { … } have one" : "");
  stage.kind = StageKind::Residual;
  if (enter(stage.name.range)) {
    advance();
    stage.body = parseBody();
  } else {
    skipBalanced();
  }
  --depth_;
  stage.range = rangeFrom(stage.name.range.begin);
  return stage;
}

void Parser::parseArguments(Stage &stage) {
  stage.hasParentheses = true;
  SourceRange open = current().range;
  advance();
  if (enter(open)) {
    while (!failed_ && !at(TokenKind::RightParen)) {
      stage.arguments.push_back(parseArgument());
      if (!accept(TokenKind::Comma))
        break;
    }
    if (!failed_ && !accept(TokenKind::RightParen))
      unexpected("',' or ')' in the arguments of " + quoted(stage.name.text));
  }
  --depth_;
}

Argument Parser::parseArgument() {
  Argument argument;
  size_t begin = current().range.begin;
  if (atDefinition() || atMissingEquals())
    argument.name = parseNameAndEquals();
  argument.value = parseArgumentValue();
  argument.range = rangeFrom(begin);
  return argument;
}

/// An expression, or stages: `attention(4)`, `rms_norm | mixer`, `residual { … }`.
ExprPtr Parser::parseArgumentValue() {
  size_t begin = current().range.begin;
  bool isCall = at(TokenKind::Identifier) && next().kind == TokenKind::LeftParen;
  bool isStages = isCall || at(TokenKind::KwRepeat) || at(TokenKind::KwResidual) ||
                  (at(TokenKind::Identifier) && next().kind == TokenKind::Bar && !next().startsLine);
  if (!isStages)
    return parseExpr();
  auto expr = std::make_unique<Expr>();
  expr->kind = ExprKind::Stages;
  if (enter(current().range)) {
    do {
      if (!atStage()) {
        unexpected("a stage after '|'");
        break;
      }
      expr->stages.push_back(parseStage());
    } while (!failed_ && at(TokenKind::Bar) && !current().startsLine && accept(TokenKind::Bar));
  }
  --depth_;
  expr->range = rangeFrom(begin);
  return expr;
}

// ---------------------------------------------------------------------------------------------------------------------
// Expressions
// ---------------------------------------------------------------------------------------------------------------------

ExprPtr Parser::invalid() {
  auto expr = std::make_unique<Expr>();
  expr->range = current().range;
  return expr;
}

ExprPtr Parser::makeBinary(char op, ExprPtr lhs, ExprPtr rhs) {
  auto expr = std::make_unique<Expr>();
  expr->kind = ExprKind::Binary;
  expr->op = op;
  expr->range = spanning(lhs->range, rhs->range);
  expr->height = 1 + std::max(lhs->height, rhs->height);
  if (expr->height > kMaxNesting) {
    if (!failed_)
      diagnostics_.error(expr->range, "this expression is too long", "give its parts names");
    failed_ = true;
    return invalid();
  }
  expr->lhs = std::move(lhs);
  expr->rhs = std::move(rhs);
  return expr;
}

ExprPtr Parser::parseExpr() {
  ExprPtr lhs = parseTerm();
  while (!failed_ && (at(TokenKind::Plus) || at(TokenKind::Minus))) {
    char op = current().text.front();
    advance();
    lhs = makeBinary(op, std::move(lhs), parseTerm());
  }
  return lhs;
}

ExprPtr Parser::parseTerm() {
  ExprPtr lhs = parseFactor();
  while (!failed_ && (at(TokenKind::Star) || at(TokenKind::Slash) || at(TokenKind::Percent))) {
    char op = current().text.front();
    advance();
    lhs = makeBinary(op, std::move(lhs), parseFactor());
  }
  return lhs;
}

ExprPtr Parser::parseFactor() {
  const Token &token = current();
  if (token.kind == TokenKind::Integer || token.kind == TokenKind::Number)
    return parseNumber();
  auto expr = std::make_unique<Expr>();
  expr->range = token.range;
  if (accept(TokenKind::Identifier)) {
    expr->kind = ExprKind::Name;
    expr->name = token.text;
    return expr;
  }
  bool isNegation = token.kind == TokenKind::Minus;
  if (!isNegation && token.kind != TokenKind::LeftParen) {
    unexpected("a value", token.kind == TokenKind::KwModel || token.kind == TokenKind::KwBlock
                              ? quoted(token.text) + " is a keyword"
                              : "");
    return expr;
  }
  advance();
  if (enter(token.range)) {
    expr = isNegation ? parseFactor() : parseExpr();
    if (isNegation) {
      auto negation = std::make_unique<Expr>();
      negation->kind = ExprKind::Negate;
      negation->range = spanning(token.range, expr->range);
      negation->height = expr->height + 1;
      negation->lhs = std::move(expr);
      expr = std::move(negation);
    } else if (!failed_) {
      expect(TokenKind::RightParen, "to close the parenthesis");
    }
  }
  --depth_;
  return expr;
}

ExprPtr Parser::parseNumber() {
  auto expr = std::make_unique<Expr>();
  const Token &token = current();
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
    diagnostics_.error(token.range, "this number is too large to represent");
    expr->kind = ExprKind::Invalid;
  } else if (result.ec != std::errc() || result.ptr != end) {
    expr->kind = ExprKind::Invalid; // The lexer has reported it.
  }
  advance();
  return expr;
}

} // namespace

std::optional<ast::Model> parse(const Tokens &tokens, Diagnostics &diagnostics) {
  return Parser(tokens.tokens, diagnostics).parseFile();
}

} // namespace oriel::frontend
