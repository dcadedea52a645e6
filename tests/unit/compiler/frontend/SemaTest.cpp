// Meaning of definitions, blocks, repeats and arguments.
#include "tests/unit/compiler/frontend/ModelText.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oriel::frontend {
namespace {

using namespace test;
using testing::HasSubstr;

/// The width of `linear(expr)`, which is the value of expr.
int64_t valueOf(const std::string &expr, const std::string &definitions = "") {
  Model model = modelOf(around("linear(" + expr + ") linear(64)", definitions));
  return model.trunk.front().layer.integer("out");
}

TEST(Sema, EvaluatesArithmetic) {
  EXPECT_EQ(valueOf("1 + 2 * 3"), 7);
  EXPECT_EQ(valueOf("(1 + 2) * 3"), 9);
  EXPECT_EQ(valueOf("7 % 4 + 8 / 2 - -1"), 8);
  EXPECT_EQ(valueOf("8 / 3 * 3"), 8) << "a quotient that does not come out even is not cut off";
  EXPECT_EQ(valueOf("2.5e2"), 250) << "a whole number is one in any spelling";
  EXPECT_EQ(valueOf("d * e", "d = 4   e = d + 1"), 20);
}

TEST(Sema, TellsWhatIsWrongWithANumber) {
  EXPECT_THAT(messagesOf(around("linear(10 / 4)")),
              HasSubstr("'out' of 'linear' takes a whole number from 1 to 1048576, not '2.5'"));
  EXPECT_THAT(messagesOf(around("linear(1 / 0)")), HasSubstr("division by zero"));
  EXPECT_THAT(messagesOf(around("linear(9223372036854775807 + 1)")), HasSubstr("too large"));
  EXPECT_THAT(messagesOf(around("linear((-9223372036854775807 - 1) / -1)")), HasSubstr("too large"));
  EXPECT_THAT(messagesOf(around("linear(silu * 2)")), HasSubstr("arithmetic needs numbers, but this is 'silu'"));
}

TEST(Sema, LetsABareNameGiveTheOptionOfThatName) {
  Model model = modelOf(around("residual { attention(head_dim, heads, bias, 2) }", "heads = 4   head_dim = 16"));
  const LayerUse &layer = model.trunk.front().body.front().layer;
  EXPECT_EQ(layer.integer("heads"), 4);
  EXPECT_EQ(layer.integer("kv_heads"), 2) << "the one value by position takes the first free place";
  EXPECT_EQ(layer.integer("head_dim"), 16);
  EXPECT_TRUE(layer.isOn("bias"));
  EXPECT_FALSE(layer.isOn("out_bias"));
}

TEST(Sema, FillsInDefaults) {
  Model model = modelOf(around("residual { rattention(4, 2, 16, window = 8, rope = 1e4) }"));
  const LayerUse &layer = model.trunk.front().body.front().layer;
  EXPECT_EQ(layer.integer("value_dim"), 16);
  EXPECT_EQ(layer.numberOr("norm_eps", 0), 1e-8);
  EXPECT_EQ(layer.word("feature_map"), "softmax");
  EXPECT_EQ(layer.word("rope_layout"), "half");
  EXPECT_EQ(layer.numberOr("soft_cap", 0), 0) << "none";
  Model full = modelOf(around("residual { attention(4, head_dim = 16) }"));
  EXPECT_EQ(full.trunk.front().body.front().layer.integer("kv_heads"), 4);
  EXPECT_EQ(full.trunk.front().body.front().layer.integerOr("window", -1), -1) << "full";
}

TEST(Sema, ExpandsBlocksWithStagesAsArguments) {
  std::string text = around("b(attention(h, head_dim = 8), post = rms_norm | rms_norm) b(linear(64, bias))",
                            "h = 4\nblock b(mixer, post = rms_norm) { h = 99 residual { rms_norm | mixer | post } }");
  EXPECT_EQ(
      namesAndShapes(modelOf(text)),
      "embed.weight[100,64] "
      "layers.0.norm1.weight[64] layers.0.mixer.wq[32,64] layers.0.mixer.wk[32,64] layers.0.mixer.wv[32,64] "
      "layers.0.mixer.wo[64,32] layers.0.norm2.weight[64] layers.0.norm3.weight[64] "
      "layers.1.norm1.weight[64] layers.1.linear.weight[64,64] layers.1.linear.bias[64] layers.1.norm2.weight[64] "
      "final_norm.weight[64]")
      << "an argument means what it means where it is written: h is 4, not the block's 99";
}

TEST(Sema, LetsBlocksUseBlocksAbove) {
  std::string definitions = "block ff(n) { residual { rms_norm | gated_mlp(n) } }\n"
                            "block layer(mixer) { residual { rms_norm | mixer } ff(64) }";
  Model model = modelOf(around("repeat 2 { layer(attention(4, head_dim = 8)) }", definitions));
  EXPECT_EQ(model.layerCount, 2) << "only the outermost block is a layer";
  EXPECT_EQ(model.residualCount, 4);
}

TEST(Sema, TakesDefaultsOfBlockParametersFromTheModel) {
  Model model = modelOf(around("b b(n = 8)", "d = 4\nblock b(n = 2 * d) { linear(n) | linear(64) }"));
  EXPECT_EQ(model.trunk[0].layer.integer("out"), 8);
  EXPECT_EQ(model.trunk[2].layer.integer("out"), 8);
}

TEST(Sema, ReplacesDefinitions) {
  std::string text = around("linear(depth) | linear(64)", "depth = 4");
  EXPECT_EQ(modelOf(text, {{"depth", "32"}}).trunk.front().layer.integer("out"), 32);
  EXPECT_THAT(messagesOf(text, {{"dept", "32"}}),
              HasSubstr("model 'm' has no parameter 'dept'; did you mean 'depth'?"));
  EXPECT_THAT(messagesOf(text, {{"depth", "3x"}}), HasSubstr("parameter 'depth' cannot be '3x'"));
}

TEST(Sema, TracksWidths) {
  EXPECT_THAT(messagesOf(around("residual { linear(32) }")),
              HasSubstr("the residual stream is 64 wide, but its body gives 32"));
  EXPECT_THAT(messagesOf(around("linear(32)")),
              HasSubstr("a tied unembedding needs the width of embed, 64, but gets 32"));
  Model model = modelOf("model m { embed(10, 8) | linear(16) | unembed(untied) | cross_entropy }");
  EXPECT_EQ(namesAndShapes(model), "embed.weight[10,8] linear.weight[16,8] unembed.weight[10,16]");
}

TEST(Sema, BoundsTheWork) {
  std::string explosive = "block b0 { rms_norm rms_norm }\n";
  for (int i = 1; i < 60; ++i)
    explosive += "block b" + std::to_string(i) + " { b" + std::to_string(i - 1) + " b" + std::to_string(i - 1) + " }\n";
  EXPECT_THAT(messagesOf(around("b59", explosive)), HasSubstr("the model unrolls to more than 16384 stages"));
  EXPECT_THAT(messagesOf(around("repeat 4096 { repeat 4096 { } }")), HasSubstr("the model unrolls to more than"));
  EXPECT_THAT(messagesOf(around("repeat 5000 { rms_norm }")),
              HasSubstr("'repeat' takes a whole number from 0 to 4096, not '5000'"));
  std::string loop = "model m { x = rms_norm | b\nblock b { x }\nembed(8, 8) b unembed(tied) cross_entropy }";
  EXPECT_THAT(messagesOf(loop), HasSubstr("inside each other more than 64 deep"));
}

} // namespace
} // namespace oriel::frontend
