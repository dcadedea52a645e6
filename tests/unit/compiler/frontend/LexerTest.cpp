// Tokens, comments and stray characters.
#include "compiler/frontend/Lexer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oriel::frontend {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Lexed {
  std::vector<std::string> texts;
  std::vector<TokenKind> kinds;
  std::vector<std::string> comments;
  std::string messages;
};

Lexed lexText(const std::string &text) {
  SourceFile file("m.oriel", text);
  Diagnostics diagnostics(file);
  Tokens tokens = lex(file, diagnostics);
  Lexed result;
  for (const Token &token : tokens.tokens) {
    result.texts.emplace_back(token.text);
    result.kinds.push_back(token.kind);
  }
  for (const Token &comment : tokens.comments)
    result.comments.emplace_back(comment.text);
  result.messages = diagnostics.render();
  return result;
}

TEST(Lexer, SplitsNamesNumbersAndPunctuation) {
  Lexed lexed = lexText("d=3*x2 | repeat(5e-5,1_024)");
  EXPECT_THAT(lexed.texts, ElementsAre("d", "=", "3", "*", "x2", "|", "repeat", "(", "5e-5", ",", "1_024", ")", ""));
  EXPECT_EQ(lexed.messages, "");
}

TEST(Lexer, TellsIntegersFromNumbers) {
  EXPECT_THAT(lexText("5 5.0 5e5 .5 5e+2").kinds, ElementsAre(TokenKind::Integer, TokenKind::Number, TokenKind::Number,
                                                              TokenKind::Number, TokenKind::Number, TokenKind::End));
}

TEST(Lexer, KeepsCommentsApart) {
  Lexed lexed = lexText("a # one  \r\n# two\nb#three");
  EXPECT_THAT(lexed.texts, ElementsAre("a", "b", ""));
  EXPECT_THAT(lexed.comments, ElementsAre("# one", "# two", "#three"));
}

TEST(Lexer, KnowsWhichTokenStartsALine) {
  SourceFile file("m.oriel", "a b\n  c");
  Diagnostics diagnostics(file);
  Tokens tokens = lex(file, diagnostics);
  EXPECT_TRUE(tokens.tokens[0].startsLine);
  EXPECT_FALSE(tokens.tokens[1].startsLine);
  EXPECT_TRUE(tokens.tokens[2].startsLine);
}

TEST(Lexer, RejectsNumbersWithTails) {
  EXPECT_THAT(lexText("128k").messages, HasSubstr("m.oriel:1:1: error: '128k' is not a number"));
  EXPECT_THAT(lexText("1.2.3").messages, HasSubstr("'1.2.3' is not a number"));
}

TEST(Lexer, ReportsARunOfStrayBytesOnce) {
  Lexed lexed = lexText("a @@@é b");
  EXPECT_THAT(lexed.texts, ElementsAre("a", "b", ""));
  EXPECT_EQ(lexed.messages, "m.oriel:1:3: error: this has no meaning in a model file\n  a @@@é b\n    ^~~~\n");
}

TEST(Lexer, SurvivesZeroBytes) { EXPECT_THAT(lexText(std::string("a\0b\0", 4)).texts, ElementsAre("a", "b", "")); }

} // namespace
} // namespace oriel::frontend
