// The formatter: one spelling, nothing lost, nothing changed the second time.
#include "compiler/frontend/Format.h"
#include "compiler/frontend/Lexer.h"
#include "tests/unit/compiler/frontend/ModelText.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

namespace oriel::frontend {
namespace {

using namespace test;

std::string formatted(const std::string &text) {
  std::string errors;
  return format("m.oriel", text, errors).value_or(errors);
}

/// The tokens and comments of a text, without any spacing.
std::string essence(const std::string &text) {
  SourceFile file("m.oriel", text);
  Diagnostics diagnostics(file);
  Tokens tokens = lex(file, diagnostics);
  std::string result;
  for (const Token &token : tokens.tokens)
    result += std::string(token.text) + "\n";
  for (const Token &comment : tokens.comments)
    result += std::string(comment.text) + "\n";
  return result;
}

TEST(Format, SpacesAndIndents) {
  EXPECT_EQ(
      formatted("model  m{d=1 e = - d*(2+3)\n\n\n\nblock b( x ,y=1 )\n{\nx}\nembed( vocab=1,dim=d )|b( rms_norm )\n"
                "repeat 2{a\nb}}"),
      "model m { d = 1   e = -d * (2 + 3)\n"
      "\n"
      "  block b(x, y = 1) {\n"
      "    x }\n"
      "  embed(vocab = 1, dim = d) | b(rms_norm)\n"
      "  repeat 2 { a\n"
      "    b } }\n");
}

TEST(Format, KeepsAndAlignsComments) {
  EXPECT_EQ(
      formatted("# head\nmodel m {# opens\n   dim = 1# one\nd = 22   # two\n\n# alone\n\n  a\n# last\n}\n# after"),
      "# head\n"
      "model m {  # opens\n"
      "  dim = 1  # one\n"
      "  d = 22   # two\n"
      "\n"
      "  # alone\n"
      "\n"
      "  a\n"
      "  # last\n"
      "}\n"
      "# after\n");
}

TEST(Format, IndentsContinuedArguments) {
  EXPECT_EQ(formatted("model m {\na(1,\n2,\nb = c(\n3)\n)\n}"), "model m {\n"
                                                                "  a(1,\n"
                                                                "      2,\n"
                                                                "      b = c(\n"
                                                                "          3)\n"
                                                                "  )\n"
                                                                "}\n");
}

TEST(Format, RefusesWhatDoesNotParse) {
  std::string errors;
  EXPECT_FALSE(format("m.oriel", "model m { a( }", errors));
  EXPECT_THAT(errors, testing::HasSubstr("m.oriel:1:14: error"));
}

TEST(Format, LeavesTheExamplesAlone) {
  for (const auto &path : exampleFiles())
    EXPECT_EQ(formatted(readFile(path)), readFile(path)) << path;
}

TEST(Format, IsIdempotentAndLosesNothing) {
  std::mt19937 random(7);
  const std::string gaps[] = {" ", "\n", "\n\n\n", " # note\n", "\t", "\r\n", "\n  # of its own\n"};
  for (const auto &path : exampleFiles()) {
    std::string original = readFile(path);
    for (int round = 0; round < 50; ++round) {
      std::string text;
      for (char c : original) // Other spacing, more comments: never a different model.
        text += c == ' ' && random() % 4 == 0 ? gaps[random() % std::size(gaps)] : std::string(1, c);
      std::string errors;
      std::optional<std::string> once = format("m.oriel", text, errors);
      if (!once)
        continue; // The new line break fell into a comment.
      EXPECT_EQ(formatted(*once), *once) << text;
      EXPECT_EQ(essence(*once), essence(text));
    }
  }
}

} // namespace
} // namespace oriel::frontend
