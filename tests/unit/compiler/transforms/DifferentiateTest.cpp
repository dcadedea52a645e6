// Every primitive's gradient, through buildVjp and the interpreter's gradient ops, against central differences of the
// interpreter's forward. Shapes are small and awkward on purpose; documents, groups and dv ≠ d included.
#include "tests/support/lm/LmProgram.h"
#include "gtest/gtest.h"

#include <cmath>

using oriel::reference::Tensor;
using oriel::testing::LmProgram;

namespace {

/// A function @f with lm.vjp; every argument in `wrt` is checked element by element.
struct Case {
  const char *name, *text;
};

class GradientTest : public ::testing::TestWithParam<Case> {};

/// L = sum over results of <result, cotangent>.
double contract(const std::vector<Tensor> &results, const std::vector<Tensor> &cotangents) {
  double sum = 0;
  for (size_t i = 0; i < results.size(); ++i)
    if (cotangents[i].rank() > 0)
      sum += oriel::reference::dot(results[i].data.data(), cotangents[i].data.data(), results[i].size());
  return sum;
}

TEST_P(GradientTest, EqualsCentralDifferences) {
  LmProgram program(GetParam().text);
  ASSERT_TRUE(program.valid()) << program.errors();
  mlir::func::FuncOp func = program.function("f");
  auto request = func->getAttrOfType<mlir::DictionaryAttr>("lm.vjp");
  std::vector<Tensor> arguments = oriel::testing::randomArguments(func, 11);
  std::vector<Tensor> results = program.run("f", arguments);
  ASSERT_FALSE(results.empty()) << program.errors();

  std::vector<Tensor> cotangents(results.size()), vjpArguments = arguments;
  for (size_t i = 0; i < results.size(); ++i)
    if (llvm::cast<mlir::BoolAttr>(request.getAs<mlir::ArrayAttr>("cotangents")[i]).getValue())
      vjpArguments.push_back(cotangents[i] = oriel::testing::randomTensor(results[i].shape, 99 + i));
  ASSERT_TRUE(program.differentiate()) << program.errors();
  std::vector<Tensor> gradients = program.run("vjp", vjpArguments);
  auto wrt = request.getAs<mlir::ArrayAttr>("wrt");
  ASSERT_EQ(gradients.size(), results.size() + wrt.size()) << program.errors();

  constexpr double kStep = 1e-5;
  for (auto [slot, number] : llvm::enumerate(wrt.getAsValueRange<mlir::IntegerAttr>())) {
    size_t argument = number.getZExtValue();
    const Tensor &gradient = gradients[results.size() + slot];
    ASSERT_EQ(gradient.shape, arguments[argument].shape);
    for (int64_t i = 0; i < gradient.size(); ++i) {
      std::vector<Tensor> moved = arguments;
      moved[argument].data[i] += kStep;
      double above = contract(program.run("f", moved), cotangents);
      moved[argument].data[i] -= 2 * kStep;
      double below = contract(program.run("f", moved), cotangents);
      double difference = (above - below) / (2 * kStep);
      ASSERT_NEAR(gradient.data[i], difference, 2e-8 * (1 + std::abs(difference)))
          << "argument " << argument << ", element " << i;
    }
  }
}

const Case kProjections[] = {
    {"Embed", R"(
func.func @f(%table: tensor<5x3xf32>, %tokens: tensor<2x7xi32> {lm.role = "tokens"}) -> tensor<2x7x3xf32>
    attributes {lm.vjp = {wrt = [0], cotangents = [true]}} {
  %y = lm.embed %table, %tokens {scale = 1.5 : f32} : (tensor<5x3xf32>, tensor<2x7xi32>) -> tensor<2x7x3xf32>
  return %y : tensor<2x7x3xf32>
})"},
    {"LinearWithBias", R"(
func.func @f(%x: tensor<2x3x5xf32>, %w: tensor<4x5xf32>, %b: tensor<4xf32>) -> tensor<2x3x4xf32>
    attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true]}} {
  %y = lm.linear %x, %w, %b : (tensor<2x3x5xf32>, tensor<4x5xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
})"},
    {"ReshapeAddAndTwoUses", R"(
func.func @f(%x: tensor<2x6xf32>, %y: tensor<3x4xf32>) -> tensor<3x4xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %0 = lm.reshape %x : (tensor<2x6xf32>) -> tensor<3x4xf32>
  %1 = lm.add %0, %y : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  %2 = lm.add %1, %0 : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  return %2 : tensor<3x4xf32>
})"},
    {"ScaleChannels", R"(
func.func @f(%x: tensor<2x3x2x5xf32>, %s: tensor<5xf32>) -> tensor<2x3x2x5xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %y = lm.scale_channels %x, %s : (tensor<2x3x2x5xf32>, tensor<5xf32>) -> tensor<2x3x2x5xf32>
  return %y : tensor<2x3x2x5xf32>
})"},
    {"AnArgumentWithoutInfluence", R"(
func.func @f(%x: tensor<2x3xf32>, %unused: tensor<4xf32>) -> tensor<2x3xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %y = lm.add %x, %x : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
})"},
};

const Case kNorms[] = {
    {"RmsNormPlusOne", R"(
func.func @f(%x: tensor<2x3x5xf32>, %w: tensor<5xf32>) -> tensor<2x3x5xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %y = lm.rms_norm %x, %w {eps = 1.0e-2 : f64, plus_one} : (tensor<2x3x5xf32>, tensor<5xf32>) -> tensor<2x3x5xf32>
  return %y : tensor<2x3x5xf32>
})"},
    {"RmsNormPerHead", R"(
func.func @f(%x: tensor<2x2x3x5xf32>, %w: tensor<3x5xf32>) -> tensor<2x2x3x5xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %y = lm.rms_norm %x, %w {eps = 1.0e-8 : f64} : (tensor<2x2x3x5xf32>, tensor<3x5xf32>) -> tensor<2x2x3x5xf32>
  return %y : tensor<2x2x3x5xf32>
})"},
    {"RopeHalfWithDocuments", R"(
func.func @f(%x: tensor<2x7x2x6xf32>, %d: tensor<2x7xi32> {lm.role = "doc_start"}) -> tensor<2x7x2x6xf32>
    attributes {lm.vjp = {wrt = [0], cotangents = [true]}} {
  %y = lm.rope %x, %d {theta = 100.0 : f64, layout = #lm.rope_layout<half>, rotary_dim = 4 : i64}
    : (tensor<2x7x2x6xf32>, tensor<2x7xi32>) -> tensor<2x7x2x6xf32>
  return %y : tensor<2x7x2x6xf32>
})"},
    {"RopeInterleaved", R"(
func.func @f(%x: tensor<1x5x2x6xf32>) -> tensor<1x5x2x6xf32>
    attributes {lm.vjp = {wrt = [0], cotangents = [true]}} {
  %y = lm.rope %x {theta = 100.0 : f64, layout = #lm.rope_layout<interleaved>, rotary_dim = 6 : i64}
    : (tensor<1x5x2x6xf32>) -> tensor<1x5x2x6xf32>
  return %y : tensor<1x5x2x6xf32>
})"},
    {"GatedSilu", R"(
func.func @f(%g: tensor<3x7xf32>, %u: tensor<3x7xf32>) -> tensor<3x7xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %y = lm.gated_activation %g, %u {activation = #lm.activation<silu>} : (tensor<3x7xf32>, tensor<3x7xf32>) -> tensor<3x7xf32>
  return %y : tensor<3x7xf32>
})"},
    {"GatedGelu", R"(
func.func @f(%g: tensor<3x7xf32>, %u: tensor<3x7xf32>) -> tensor<3x7xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %y = lm.gated_activation %g, %u {activation = #lm.activation<gelu>} : (tensor<3x7xf32>, tensor<3x7xf32>) -> tensor<3x7xf32>
  return %y : tensor<3x7xf32>
})"},
};

const Case kMixers[] = {
    {"AttentionFull", R"(
!q = tensor<2x6x4x3xf32>
!k = tensor<2x6x2x3xf32>
!v = tensor<2x6x2x5xf32>
!o = tensor<2x6x4x5xf32>
func.func @f(%q: !q, %k: !k, %v: !v) -> !o attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true]}} {
  %o, %lse = lm.attention %q, %k, %v {window = -1 : i64, scale = 0.7 : f64}
    : (!q, !k, !v) -> (!o, tensor<2x4x6xf32>)
  return %o : !o
})"},
    {"AttentionWindowCapDocuments", R"(
!q = tensor<2x7x2x3xf32>
!k = tensor<2x7x1x3xf32>
!lse = tensor<2x2x7xf32>
func.func @f(%q: !q, %k: !k, %v: !k, %d: tensor<2x7xi32> {lm.role = "doc_start"}) -> (!q, !lse)
    attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true, false]}} {
  %o, %lse = lm.attention %q, %k, %v, %d {window = 2 : i64, scale = 1.3 : f64, soft_cap = 1.5 : f64}
    : (!q, !k, !k, tensor<2x7xi32>) -> (!q, !lse)
  return %o, %lse : !q, !lse
})"},
    {"LinearAttentionSoftmaxWithStates", R"(
!q = tensor<2x7x4x3xf32>
!k = tensor<2x7x2x3xf32>
!v = tensor<2x7x2x5xf32>
!o = tensor<2x7x4x5xf32>
!s = tensor<2x4x6x5xf32>
func.func @f(%q: !q, %k: !k, %v: !v, %h: !s) -> (!o, !s)
    attributes {lm.vjp = {wrt = [0, 1, 2, 3], cotangents = [true, true]}} {
  %o, %s = lm.residual_linear_attention %q, %k, %v initial_state(%h) {window = 1 : i64, feature_map = #lm.feature_map<softmax>}
    : (!q, !k, !v, !s) -> (!o, !s)
  return %o, %s : !o, !s
})"},
    {"LinearAttentionReluWithDocuments", R"(
!q = tensor<2x9x2x3xf32>
!k = tensor<2x9x1x3xf32>
!s = tensor<2x2x6x3xf32>
func.func @f(%q: !q, %k: !k, %v: !k, %d: tensor<2x9xi32> {lm.role = "doc_start"}, %h: tensor<2x6x3xf32>) -> (!q, !s)
    attributes {lm.vjp = {wrt = [0, 1, 2, 4], cotangents = [true, true]}} {
  %o, %s = lm.residual_linear_attention %q, %k, %v initial_state(%h) doc_start(%d)
    {window = 0 : i64, feature_map = #lm.feature_map<relu>}
    : (!q, !k, !k, tensor<2x6x3xf32>, tensor<2x9xi32>) -> (!q, !s)
  return %o, %s : !q, !s
})"},
    {"LinearAttentionPlainCausal", R"(
!q = tensor<1x5x1x2xf32>
func.func @f(%q: !q, %k: !q, %v: !q) -> !q attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true]}} {
  %o, %s = lm.residual_linear_attention %q, %k, %v {window = -1 : i64, feature_map = #lm.feature_map<softmax>}
    : (!q, !q, !q) -> (!q, tensor<1x1x4x2xf32>)
  return %o : !q
})"},
    {"LearnedStateSoftmax", R"(
func.func @f(%k: tensor<2x3x4xf32>, %v: tensor<2x3x5xf32>) -> tensor<2x8x5xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %h = lm.learned_state %k, %v {feature_map = #lm.feature_map<softmax>} : (tensor<2x3x4xf32>, tensor<2x3x5xf32>) -> tensor<2x8x5xf32>
  return %h : tensor<2x8x5xf32>
})"},
    {"LearnedStateRelu", R"(
func.func @f(%k: tensor<2x3x4xf32>, %v: tensor<2x3x5xf32>) -> tensor<2x8x5xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %h = lm.learned_state %k, %v {feature_map = #lm.feature_map<relu>} : (tensor<2x3x4xf32>, tensor<2x3x5xf32>) -> tensor<2x8x5xf32>
  return %h : tensor<2x8x5xf32>
})"},
};

const Case kLosses[] = {
    {"CrossEntropy", R"(
func.func @f(%x: tensor<2x3x4xf32>, %w: tensor<5x4xf32>, %t: tensor<2x3xi32> {lm.role = "targets"}) -> tensor<1xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %l = lm.cross_entropy %x, %w, %t : (tensor<2x3x4xf32>, tensor<5x4xf32>, tensor<2x3xi32>) -> tensor<1xf32>
  return %l : tensor<1xf32>
})"},
    {"CrossEntropySoftCap", R"(
func.func @f(%x: tensor<2x3x4xf32>, %w: tensor<5x4xf32>, %t: tensor<2x3xi32> {lm.role = "targets"}) -> tensor<1xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %l = lm.cross_entropy %x, %w, %t {soft_cap = 1.5 : f64} : (tensor<2x3x4xf32>, tensor<5x4xf32>, tensor<2x3xi32>) -> tensor<1xf32>
  return %l : tensor<1xf32>
})"},
};

std::string caseName(const ::testing::TestParamInfo<Case> &info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Projections, GradientTest, ::testing::ValuesIn(kProjections), caseName);
INSTANTIATE_TEST_SUITE_P(Norms, GradientTest, ::testing::ValuesIn(kNorms), caseName);
INSTANTIATE_TEST_SUITE_P(Mixers, GradientTest, ::testing::ValuesIn(kMixers), caseName);
INSTANTIATE_TEST_SUITE_P(Losses, GradientTest, ::testing::ValuesIn(kLosses), caseName);

/// What cannot be differentiated says so.
void expectError(const char *text, const char *message) {
  LmProgram program(text);
  ASSERT_TRUE(program.valid()) << program.errors();
  EXPECT_FALSE(program.differentiate());
  EXPECT_NE(program.errors().find(message), std::string::npos) << program.errors();
}

TEST(DifferentiateErrorTest, CompositesMustBeDecomposedFirst) {
  expectError(R"(
func.func @f(%x: tensor<2x3x4xf32>, %g: tensor<5x4xf32>, %u: tensor<5x4xf32>, %d: tensor<4x5xf32>) -> tensor<2x3x4xf32>
    attributes {lm.vjp = {wrt = [0], cotangents = [true]}} {
  %y = lm.gated_mlp %x, %g, %u, %d {activation = #lm.activation<gelu>}
    : (tensor<2x3x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<4x5xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
})",
              "run --oriel-decompose before");
}

TEST(DifferentiateErrorTest, TheLogSumExpHasNoGradient) {
  expectError(R"(
!q = tensor<1x5x1x2xf32>
func.func @f(%q: !q, %k: !q, %v: !q) -> (!q, tensor<1x1x5xf32>)
    attributes {lm.vjp = {wrt = [0], cotangents = [true, true]}} {
  %o, %lse = lm.attention %q, %k, %v {window = -1 : i64, scale = 0.7 : f64} : (!q, !q, !q) -> (!q, tensor<1x1x5xf32>)
  return %o, %lse : !q, tensor<1x1x5xf32>
})",
              "no gradient through 'lse'");
}

TEST(DifferentiateErrorTest, APrefilledRowHasNoGradient) {
  expectError(R"(
!q = tensor<1x5x1x2xf32>
func.func @f(%q: !q, %k: !q, %v: !q, %n: tensor<1xi32>) -> !q attributes {lm.vjp = {wrt = [0], cotangents = [true]}} {
  %o, %s = lm.residual_linear_attention %q, %k, %v lengths(%n) {window = -1 : i64, feature_map = #lm.feature_map<softmax>}
    : (!q, !q, !q, tensor<1xi32>) -> (!q, tensor<1x1x4x2xf32>)
  return %o : !q
})",
              "no gradient with 'lengths'");
}

TEST(DifferentiateErrorTest, RequestsAreChecked) {
  const char *body = R"({
  return %x : tensor<2xf32>
})";
  auto expectRequestError = [&](std::string request, const char *message) {
    expectError(("func.func @f(%x: tensor<2xf32>, %i: tensor<2xi32>) -> tensor<2xf32> attributes {lm.vjp = " + request +
                 "}" + body)
                    .c_str(),
                message);
  };
  expectRequestError("true", "must be {wrt = ");
  expectRequestError("{wrt = [7], cotangents = [true]}", "argument 7");
  expectRequestError("{wrt = [1], cotangents = [true]}", "not a float tensor");
  expectRequestError("{wrt = [0], cotangents = [1]}", "no bool");
  expectRequestError("{wrt = [0], cotangents = []}", "0 cotangent entries for 1 results");
}

} // namespace
