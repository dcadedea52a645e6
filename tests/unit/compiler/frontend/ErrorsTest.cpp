// Messages as users see them: place, line, caret, and what to write instead.
#include "tests/unit/compiler/frontend/ModelText.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oriel::frontend {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;

size_t countErrors(const std::string &messages) {
  size_t count = 0;
  for (size_t at = messages.find(": error: "); at != std::string::npos; at = messages.find(": error: ", at + 1))
    ++count;
  return count;
}

TEST(Errors, ShowTheLineAndACaret) {
  EXPECT_EQ(messagesOf("model m {\n  embed(10, 64)\n\tresidual { rms_norm | ratention(4, window = 8) }\n"
                       "  unembed(tied) cross_entropy\n}\n"),
            "m.oriel:3:24: error: unknown mixer 'ratention'; did you mean 'rattention'?\n"
            "  \tresidual { rms_norm | ratention(4, window = 8) }\n"
            "  \t                      ^~~~~~~~~\n");
}

TEST(Errors, ExplainHeadGroups) {
  std::string messages = messagesOf(around("residual { attention(heads = 12, kv_heads = 5, head_dim = 8) }"));
  EXPECT_THAT(messages, HasSubstr("heads = 12 is not a multiple of kv_heads = 5"));
  EXPECT_THAT(messages, HasSubstr("write kv_heads = 6"));
}

TEST(Errors, ComeSeveralAtATime) {
  std::string messages =
      messagesOf("model m {\n  d = 64 + q\n  embed(vocab = 10, dmi = 64)\n  residual { rms_nrom | attention(4) }\n"
                 "  residual { gated_mlp(hidden = 9, activation = sillu) }\n  unembed(teid) cross_entropy\n}\n");
  EXPECT_EQ(countErrors(messages), 6u) << messages;
  for (const char *part :
       {"unknown name 'q'", "'embed' has no option 'dmi'; did you mean 'dim'?",
        "unknown norm 'rms_nrom'; did you mean 'rms_norm'?", "'attention' needs 'head_dim'",
        "'activation' cannot be 'sillu'; did you mean 'silu'?", "unknown name 'teid'; did you mean 'tied'?"})
    EXPECT_THAT(messages, HasSubstr(part));
}

TEST(Errors, ComeFromSyntaxAndMeaningTogether) {
  std::string messages = messagesOf(around("residual { attention(4, , 8) }\nresidual { gated_mpl(8) }"));
  EXPECT_THAT(messages, HasSubstr("expected a value, found ','"));
  EXPECT_THAT(messages, HasSubstr("unknown mlp 'gated_mpl'; did you mean 'gated_mlp'?"));
  EXPECT_EQ(countErrors(messages), 2u) << messages;
}

TEST(Errors, AreReportedOncePerPlace) {
  std::string messages = messagesOf(around("repeat 9 { l }", "block l { residual { linear(foo) } }"));
  EXPECT_EQ(countErrors(messages), 1u) << messages;
}

TEST(Errors, StopAtALimit) {
  std::string body;
  for (int i = 0; i < 100; ++i)
    body += "nothing" + std::to_string(i) + "_like_it\n";
  std::string messages = messagesOf(around(body));
  EXPECT_EQ(countErrors(messages), Diagnostics::kMaxErrors);
  EXPECT_THAT(messages, HasSubstr("stopped after 20 errors"));
}

struct Case {
  const char *body;
  const char *message;
};

class OneError : public testing::TestWithParam<Case> {};

TEST_P(OneError, IsExplained) {
  std::string messages = messagesOf(around(GetParam().body, "d = 64\nblock b(x) { residual { x } }"));
  EXPECT_THAT(messages, HasSubstr(GetParam().message));
  EXPECT_EQ(countErrors(messages), 1u) << messages;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, OneError,
    testing::Values(
        Case{"b(embed(1, 1))", "embed can only be the first stage"},
        Case{"unembed(tied)", "unembed can only stand at the end"},
        Case{"residual { }", "this residual stream is empty"},
        Case{"residual { rattention(4, 2, 16, rope = none) }", "'rattention' needs 'window'"},
        Case{"residual { rattention(4, 2, 16, window = 8) }", "'rattention' needs 'rope'"},
        Case{"residual { rattention(4, 2, 16, window = -2, rope = none) }", "takes a whole number from -1 to"},
        Case{"residual { rattention(4, 2, 15, window = 8, rope = 1e4) }",
             "rope turns channels in pairs, but head_dim = 15 is odd"},
        Case{"residual { rattention(4, 2, 16, window = 8, rope = 1e4, rotary_dim = 18) }",
             "rotary_dim = 18 is more than head_dim = 16"},
        Case{"residual { rattention(4, 2, 16, window = -1, rope = none, qk_norm) }", "'qk_norm' acts on the window"},
        Case{"residual { attention(4, heads = 4, head_dim = 8, 3, 4, 5) }", "takes no further value by position"},
        Case{"residual { attention(4, head_dim = 8, head_dim = 8) }", "'head_dim' is given twice"},
        Case{"residual { attention(4, head_dim = 8, windows = 3) }", "did you mean 'window'?"},
        Case{"residual { attention(4, head_dim = 8, qk_nrom) }", "did you mean 'qk_norm'?"},
        Case{"residual { attention(4, kv_heads, head_dim = 8) }",
             "'kv_heads' alone stands for a definition of that name, and there is none"},
        Case{"repaet", "unknown layer or block 'repaet'; did you mean 'repeat'?"},
        Case{"residul { rms_norm }", "'residul' has no body in braces; did you mean 'residual'?"},
        Case{"b { rms_norm }", "only residual { … } and repeat N { … } have one"},
        Case{"residual { attention(4, head_dim = 8, rope = full) }",
             "'rope' of 'attention' takes a number from 1e-30 to 1e+30 or 'none', not 'full'"},
        Case{"residual { attention(4, head_dim = 8, rope = 0) }", "takes a number from 1e-30 to 1e+30"},
        Case{"residual { attention(4, head_dim = 8, rope = 1e33) }", "to 1e+30 or 'none', not '1e+33'"},
        Case{"residual { attention(4, head_dim = 8, bias = 1) }", "takes true or false, not '1'"},
        Case{"residual { gated_mlp(rms_norm) }", "takes a whole number from 1 to 16777216, not a layer"},
        Case{"b", "block 'b' needs 'x'"}, Case{"b(d)", "'x' is '64' here, not a layer"},
        Case{"b(rms_norm, 3)", "'b' takes no further value by position"},
        Case{"b(y = rms_norm)", "'b' has no option 'y'"}, Case{"d", "'d' is '64' here, not a layer"},
        Case{"repeat rms_norm { rms_norm }", "'repeat' takes a whole number"},
        Case{"rms_norm tied", "'tied' is a word, not a layer"}, Case{"linear(out 64)", "expected '=' after 'out'"},
        Case{"residual { gated_mlp(hidden: 64) }", "':' has no meaning"},
        Case{"residual { gated_mlp(64, activation = \"silu\") }", "the language has no strings"},
        Case{"mlp(8)", "unknown mlp 'mlp'; did you mean 'gated_mlp'?"},
        Case{"cross_entropy", "cross_entropy can only stand at the end"}));

TEST(Errors, AboutDefinitions) {
  EXPECT_THAT(messagesOf(around("", "d = 1\nd = 2")), HasSubstr("'d' is defined twice"));
  EXPECT_THAT(messagesOf(around("", "silu = 1")), HasSubstr("'silu' is a word of the language"));
  EXPECT_THAT(messagesOf(around("", "linear = 1")), HasSubstr("'linear' is the name of a layer"));
  EXPECT_THAT(messagesOf(around("a", "block a { a }")), HasSubstr("block 'a' cannot contain itself"));
  EXPECT_THAT(messagesOf(around("a", "block a { b }\nblock b { rms_norm }")),
              HasSubstr("block 'b' is defined further down"));
  EXPECT_THAT(messagesOf(around("", "init_std = -1")), HasSubstr("'init_std' takes a number above 0"));
}

TEST(Errors, AboutTheEndsOfAModel) {
  EXPECT_THAT(messagesOf("model m { }"), HasSubstr("model 'm' has no stages"));
  EXPECT_THAT(messagesOf("model m { rms_norm unembed(tied) cross_entropy }"), HasSubstr("a model begins with embed"));
  EXPECT_THAT(messagesOf("model m { embed(8, 8) unembed(tied) }"), HasSubstr("a model ends with cross_entropy"));
  EXPECT_THAT(messagesOf("model m { embed(8, 8) cross_entropy }"),
              HasSubstr("cross_entropy needs an unembed in front of it"));
  EXPECT_THAT(messagesOf("model m { embed(8, 8) unembed cross_entropy }"), HasSubstr("write 'tied' or 'untied'"));
}

TEST(Errors, LeaveWarningsToThemselves) {
  std::string messages = messagesOf(around("rms_norm", "init_sdt = 0.1"));
  EXPECT_THAT(messages, HasSubstr("warning: 'init_sdt' is never used; did you mean 'init_std'?"));
  EXPECT_THAT(messages, Not(HasSubstr("error")));
}

TEST(Errors, CutLongLines) {
  std::string messages = messagesOf(
      around("rms_norm " + std::string(2000, ' ') + "nothing_like_it " + std::string(2000, ' ') + "rms_norm"));
  EXPECT_LT(messages.size(), 1000u);
  EXPECT_THAT(messages, HasSubstr("^~~~~"));
}

} // namespace
} // namespace oriel::frontend
