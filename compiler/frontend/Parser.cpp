// Models, blocks and stages. See Parser.h; the grammar is in README.md. Expressions: ParseExpression.h.
#include "compiler/frontend/Parser.h"

#include "compiler/frontend/ParseExpression.h"
#include "compiler/frontend/Suggest.h"
#include "compiler/frontend/TokenCursor.h"

#include <string>
#include <utility>

namespace oriel::frontend {
namespace {

using namespace ast;

class Parser : private TokenCursor {
public:
  using TokenCursor::TokenCursor;

  std::optional<Model> parseFile();

private:
  void recover();
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
};

/// After an error: on to the next token that begins a line or a stage, or to the brace that closes the body.
void Parser::recover() {
  forgetFailure();
  while (!at(TokenKind::End) && !at(TokenKind::RightBrace) && !at(TokenKind::Bar)) {
    bool canStart = atStage() || at(TokenKind::KwBlock);
    if (canStart && (current().startsLine || atDefinition() || !at(TokenKind::Identifier)))
      return;
    skipBalanced();
  }
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
  forgetFailure();
  if (!expect(TokenKind::LeftBrace, "after the model's name"))
    return std::nullopt;
  parseModelBody(model);
  if (!accept(TokenKind::RightBrace))
    unexpected("'}' to close the model");
  model.range = rangeFrom(begin);
  forgetFailure();
  if (!at(TokenKind::End))
    diagnostics().error(current().range, "the model has ended here, but the file goes on",
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
        diagnostics().error(current().range, "definitions come before the first stage",
                           "move the definition up, above " + quoted(model.body.front().name.text));
      model.items.push_back({parseDefinition(), std::nullopt});
    } else {
      parseStages(model.body);
    }
    if (hasFailed())
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
    diagnostics().error(current().range, "expected '=' after " + quoted(name.text),
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
  if (!hasFailed() && at(TokenKind::LeftParen))
    block.parameters = parseBlockParameters();
  if (hasFailed() && !at(TokenKind::LeftBrace))
    return block;
  forgetFailure();
  if (!expect(TokenKind::LeftBrace, "to open the block"))
    return block;
  while (!hasFailed() && (atDefinition() || atMissingEquals()))
    block.locals.push_back(parseDefinition());
  if (hasFailed())
    recover();
  block.body = parseBody();
  block.range = rangeFrom(begin);
  return block;
}

std::vector<Definition> Parser::parseBlockParameters() {
  std::vector<Definition> parameters;
  advance();
  while (!hasFailed() && !at(TokenKind::RightParen)) {
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
  if (!hasFailed())
    expect(TokenKind::RightParen, "after the parameters");
  if (hasFailed())
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
    if (hasFailed())
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
      stage.count = parseExpression(*this);
    if (!hasFailed() &&
        expect(TokenKind::LeftBrace, stage.kind == StageKind::Repeat ? "after the count" : "after 'residual'"))
      stage.body = parseBody();
  } else {
    skipBalanced();
  }
  leave();
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
  stage.isBroken = hasFailed();
  stage.range = rangeFrom(stage.name.range.begin);
  return stage;
}

/// `residul { … }`, `layer { … }`: read on as a residual, for the errors that the body has.
Stage Parser::parseStrayBody(Stage stage) {
  static constexpr std::string_view kWithBody = "residual";
  std::string suggestion = didYouMean(stage.name.text, {kWithBody});
  diagnostics().error(stage.name.range, quoted(stage.name.text) + " has no body in braces" + suggestion,
                     suggestion.empty() ? "only residual { … } and repeat N { … } have one" : "");
  stage.kind = StageKind::Residual;
  if (enter(stage.name.range)) {
    advance();
    stage.body = parseBody();
  } else {
    skipBalanced();
  }
  leave();
  stage.range = rangeFrom(stage.name.range.begin);
  return stage;
}

void Parser::parseArguments(Stage &stage) {
  stage.hasParentheses = true;
  SourceRange open = current().range;
  advance();
  if (enter(open)) {
    while (!hasFailed() && !at(TokenKind::RightParen)) {
      stage.arguments.push_back(parseArgument());
      if (!accept(TokenKind::Comma))
        break;
    }
    if (!hasFailed() && !accept(TokenKind::RightParen))
      unexpected("',' or ')' in the arguments of " + quoted(stage.name.text));
  }
  leave();
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
    return parseExpression(*this);
  auto expr = std::make_unique<Expr>();
  expr->kind = ExprKind::Stages;
  if (enter(current().range)) {
    do {
      if (!atStage()) {
        unexpected("a stage after '|'");
        break;
      }
      expr->stages.push_back(parseStage());
    } while (!hasFailed() && at(TokenKind::Bar) && !current().startsLine && accept(TokenKind::Bar));
  }
  leave();
  expr->range = rangeFrom(begin);
  return expr;
}

} // namespace

std::optional<ast::Model> parse(const Tokens &tokens, Diagnostics &diagnostics) {
  return Parser(tokens.tokens, diagnostics).parseFile();
}

} // namespace oriel::frontend
