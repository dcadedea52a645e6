// Names, shapes, initial values and counts of parameters.
#include "tests/unit/compiler/frontend/ModelText.h"

#include <cmath>
#include <gtest/gtest.h>

namespace oriel::frontend {
namespace {

using namespace test;

Model example(const std::string &name, const Overrides &overrides = {}) {
  return modelOf(readFile(std::string(ORIEL_EXAMPLES) + "/" + name + ".oriel"), overrides);
}

int64_t countOf(const Model &model) { return countElements(parametersOf(model)); }

const Parameter *find(const std::vector<Parameter> &parameters, const std::string &name) {
  for (const Parameter &parameter : parameters)
    if (parameter.name == name)
      return &parameter;
  return nullptr;
}

TEST(Parameters, NumberTheLayersOfTheExamples) {
  Model model = example("ra-nano");
  EXPECT_EQ(model.layerCount, 8);
  EXPECT_EQ(model.residualCount, 16);
  std::vector<Parameter> parameters = parametersOf(model);
  EXPECT_EQ(parameters.front().name, "embed.weight");
  EXPECT_EQ(parameters.back().name, "final_norm.weight");
  EXPECT_TRUE(find(parameters, "layers.0.mixer.swa_norm"));
  EXPECT_TRUE(find(parameters, "layers.7.mixer.wo"));
  EXPECT_FALSE(find(parameters, "layers.7.mixer.rla_norm")) << "the eighth layer is full attention";
  EXPECT_EQ(find(parameters, "layers.3.mlp.down")->shape, (std::vector<int64_t>{256, 768}));
}

TEST(Parameters, CountThoseOfTheBenchmarks) {
  EXPECT_NEAR(countOf(example("ra-nano")) / 1e6, 7.35, 0.005);
  EXPECT_NEAR(countOf(example("ra-small")) / 1e6, 100.7, 0.05);
  EXPECT_NEAR(countOf(example("ra-tiny")) / 1e6, 1.0, 0.25);
}

TEST(Parameters, CountThoseOfThePaper) {
  // Without embeddings and norms: 2.877e9 and 12.583e9.
  auto matrices = [](const Model &model) {
    int64_t sum = 0;
    for (const Parameter &parameter : parametersOf(model))
      if (parameter.name.starts_with("layers.") && parameter.decay)
        sum += parameter.elements();
    return static_cast<double>(sum);
  };
  EXPECT_NEAR(matrices(example("ra-3b")) / 1e9, 2.877, 0.001);
  EXPECT_NEAR(matrices(example("ra-12b")) / 1e9, 12.583, 0.001);
  EXPECT_EQ(example("ra-3b", {{"vocab", "50304"}}).vocab, 50304);
  EXPECT_EQ(example("ra-12b").layerCount, 40);
}

TEST(Parameters, StartAtScaledNormals) {
  std::vector<Parameter> parameters = parametersOf(example("ra-nano"));
  EXPECT_DOUBLE_EQ(find(parameters, "embed.weight")->std, 0.02);
  EXPECT_DOUBLE_EQ(find(parameters, "layers.0.mixer.wq")->std, 0.02);
  EXPECT_DOUBLE_EQ(find(parameters, "layers.0.mixer.wo")->std, 0.02 / std::sqrt(2.0 * 8));
  EXPECT_DOUBLE_EQ(find(parameters, "layers.5.mlp.down")->std, 0.02 / std::sqrt(2.0 * 8));
  Model wide = modelOf(around("linear(64)", "init_std = 0.5"));
  EXPECT_DOUBLE_EQ(find(parametersOf(wide), "linear.weight")->std, 0.5);
}

TEST(Parameters, DecayOnlyMatrices) {
  Model model =
      modelOf(around("residual { rms_norm(plus_one) | rattention(4, 2, 16, window = 4, rope = none, qk_norm, qk_scale, "
                     "learned_init, bias, out_bias) }"));
  for (const Parameter &parameter : parametersOf(model)) {
    bool isMatrix = parameter.shape.size() == 2 && !parameter.name.ends_with("a_norm");
    EXPECT_EQ(parameter.decay, isMatrix) << parameter.name;
    bool isRandom = isMatrix || parameter.name.ends_with("tokens");
    EXPECT_EQ(parameter.init == Init::Normal, isRandom) << parameter.name;
  }
  std::vector<Parameter> parameters = parametersOf(model);
  EXPECT_EQ(find(parameters, "norm1.weight")->init, Init::Zeros) << "plus_one";
  EXPECT_EQ(find(parameters, "final_norm.weight")->init, Init::Ones);
  EXPECT_EQ(find(parameters, "mixer.bq")->init, Init::Zeros);
  EXPECT_EQ(find(parameters, "mixer.k_tokens")->shape, (std::vector<int64_t>{4, 128, 16}));
}

TEST(Parameters, LeaveOutTheWindowNormWithoutAWindow) {
  std::vector<Parameter> parameters =
      parametersOf(modelOf(around("residual { rattention(4, 2, 16, window = -1, rope = none) }")));
  EXPECT_TRUE(find(parameters, "mixer.rla_norm"));
  EXPECT_FALSE(find(parameters, "mixer.swa_norm"));
}

TEST(Parameters, NormEachHeadOfLinearAttention) {
  std::vector<Parameter> parameters =
      parametersOf(modelOf(around("residual { linear_attention(4, 2, 16, value_dim = 8) }")));
  EXPECT_EQ(find(parameters, "mixer.o_norm")->shape, (std::vector<int64_t>{4, 8}));
  EXPECT_EQ(find(parameters, "mixer.wv")->shape, (std::vector<int64_t>{2 * 8, 64}));
}

TEST(Parameters, NumberRunsOfStagesInRepeats) {
  Model model = modelOf(
      around("repeat 2 { residual { rms_norm | attention(4, head_dim = 4) } residual { rms_norm | gated_mlp(8) } }"));
  EXPECT_EQ(model.layerCount, 2);
  std::vector<Parameter> parameters = parametersOf(model);
  EXPECT_TRUE(find(parameters, "layers.1.mixer.wq"));
  EXPECT_TRUE(find(parameters, "layers.1.norm2.weight"));
  EXPECT_FALSE(find(parameters, "layers.1.norm3.weight"));
  EXPECT_TRUE(find(parameters, "final_norm.weight"));
}

TEST(Parameters, NameSecondMixersOfALayer) {
  std::string twice = "block l { residual { rms_norm | attention(4, head_dim = 4) } residual { rms_norm | attention(4, "
                      "head_dim = 4) } }";
  std::vector<Parameter> parameters = parametersOf(modelOf(around("l", twice)));
  EXPECT_TRUE(find(parameters, "layers.0.mixer.wq"));
  EXPECT_TRUE(find(parameters, "layers.0.mixer2.wq"));
}

} // namespace
} // namespace oriel::frontend
