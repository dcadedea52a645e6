// Shape of the tree, ranges, and recovery after syntax errors.
#include "compiler/frontend/Parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oriel::frontend {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A tree as text: stages as `name(args)`, pipelines in brackets, expressions fully parenthesised.
std::string show(const ast::Pipeline &stages);

std::string show(const ast::Expr &expr) {
  switch (expr.kind) {
  case ast::ExprKind::Invalid:
    return "?";
  case ast::ExprKind::Integer:
    return std::to_string(expr.integer);
  case ast::ExprKind::Number:
    return "f" + std::to_string(expr.number);
  case ast::ExprKind::Name:
    return std::string(expr.name);
  case ast::ExprKind::Negate:
    return "-" + show(*expr.lhs);
  case ast::ExprKind::Binary:
    return "(" + show(*expr.lhs) + expr.op + show(*expr.rhs) + ")";
  case ast::ExprKind::Stages:
    return show(expr.stages);
  }
  return "";
}

std::string show(const ast::Stage &stage) {
  std::string text(stage.name.text);
  if (stage.count)
    text += " " + show(*stage.count);
  if (stage.kind != ast::StageKind::Use)
    return text + show(stage.body);
  std::string arguments;
  for (const ast::Argument &argument : stage.arguments) {
    arguments += arguments.empty() ? "" : ",";
    arguments += (argument.name ? std::string(argument.name->text) + "=" : "") + show(*argument.value);
  }
  return text + (stage.hasParentheses ? "(" + arguments + ")" : "");
}

std::string show(const ast::Pipeline &stages) {
  std::string text = "[";
  for (const ast::Stage &stage : stages)
    text += (text.size() > 1 ? " " : "") + show(stage);
  return text + "]";
}

struct Parsed {
  std::string body;
  std::string messages;
  size_t items = 0;
};

Parsed parseText(const std::string &text) {
  SourceFile file("m.oriel", text);
  Diagnostics diagnostics(file);
  std::optional<ast::Model> model = parse(lex(file, diagnostics), diagnostics);
  return {model ? show(model->body) : "none", diagnostics.render(), model ? model->items.size() : 0};
}

std::string bodyOf(const std::string &body) {
  Parsed parsed = parseText("model m { " + body + " }");
  return parsed.messages.empty() ? parsed.body : parsed.messages;
}

TEST(Parser, ComposesWithAndWithoutBars) {
  EXPECT_EQ(bodyOf("a | b c(1)\n| d"), "[a b c(1) d]");
  EXPECT_EQ(bodyOf("repeat 2 { a b } residual { c }"), "[repeat 2[a b] residual[c]]");
}

TEST(Parser, BindsTighterInTheUsualOrder) {
  EXPECT_EQ(bodyOf("a(1 + 2 * 3 - 4 / 5 % 6)"), "[a(((1+(2*3))-((4/5)%6)))]");
  EXPECT_EQ(bodyOf("a(-(1 - 2) * x)"), "[a((-(1-2)*x))]");
}

TEST(Parser, TakesStagesAsArguments) {
  EXPECT_EQ(bodyOf("a(b(1), m = c | d(2), residual { e }, f)"), "[a([b(1)],m=[c d(2)],[residual[e]],f)]");
}

TEST(Parser, ReadsDefinitionsOnOneLineAndOnMany) {
  EXPECT_EQ(parseText("model m { d = 1   e = d * 2\nf = silu block g(x, y = 3) { z = 1 x } g(1) }").items, 4u);
}

TEST(Parser, EndsADefinitionOfStagesAtTheLine) { EXPECT_EQ(bodyOf("n = a | b\nc | d"), "[c d]"); }

TEST(Parser, GivesWholeRanges) {
  SourceFile file("m.oriel", "model m { a(x = 1) | repeat 2 { b } }");
  Diagnostics diagnostics(file);
  std::optional<ast::Model> model = parse(lex(file, diagnostics), diagnostics);
  ASSERT_TRUE(model);
  EXPECT_EQ(file.text(model->body[0].range), "a(x = 1)");
  EXPECT_EQ(file.text(model->body[0].arguments[0].range), "x = 1");
  EXPECT_EQ(file.text(model->body[1].range), "repeat 2 { b }");
  EXPECT_EQ(file.text(model->range), file.text());
}

TEST(Parser, ReportsSeveralIndependentErrors) {
  Parsed parsed = parseText("model m {\n  a(1, , 2)\n  b(3\n  c\n  repeat { d }\n  e(x = )\n  f\n}\n");
  for (const char *place : {"m.oriel:2:8: error", "m.oriel:4:3: error", "m.oriel:5:10: error", "m.oriel:6:9: error"})
    EXPECT_THAT(parsed.messages, HasSubstr(place));
  EXPECT_THAT(parsed.messages, Not(HasSubstr("m.oriel:7")));
}

TEST(Parser, NamesWhatItExpected) {
  EXPECT_THAT(parseText("").messages, HasSubstr("expected 'model', found the end of the file"));
  EXPECT_THAT(parseText("model m {\n a").messages, HasSubstr("expected '}' to close the model"));
  EXPECT_THAT(parseText("model m { a } model n { b }").messages, HasSubstr("a file holds one model"));
  EXPECT_THAT(parseText("model m { a d = 1 }").messages, HasSubstr("definitions come before the first stage"));
}

TEST(Parser, LimitsNesting) {
  std::string deepBraces = "model m { ", deepParens = "model m { a(", longSum = "model m { a(1";
  for (int i = 0; i < 100'000; ++i) {
    deepBraces += "residual {";
    deepParens += "(";
    longSum += "+1";
  }
  EXPECT_THAT(parseText(deepBraces).messages, HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(parseText(deepParens).messages, HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(parseText(longSum + ") }").messages, HasSubstr("this expression is too long"));
}

TEST(Parser, LimitsNumbers) {
  EXPECT_THAT(parseText("model m { a(99999999999999999999) }").messages, HasSubstr("too large"));
  EXPECT_THAT(parseText("model m { a(1e999) }").messages, HasSubstr("too large"));
}

} // namespace
} // namespace oriel::frontend
