// What the interpreter refuses, and single values that can be checked by hand.
#include "compiler/reference/ResidualLinearAttention.h"
#include "tests/support/lm/LmProgram.h"
#include "gtest/gtest.h"

#include <cmath>

using oriel::reference::Tensor;
using oriel::testing::LmProgram;

namespace {

TEST(InterpreterTest, EvaluatesConstantsOfEveryKind) {
  LmProgram program(R"(
func.func @f() -> (tensor<2xf32>, tensor<2x2xi32>, tensor<3xbf16>) {
  %0 = arith.constant dense<[1.5, -2.0]> : tensor<2xf32>
  %1 = arith.constant dense<[[1, -2], [3, 4]]> : tensor<2x2xi32>
  %2 = arith.constant dense<0.5> : tensor<3xbf16>
  return %0, %1, %2 : tensor<2xf32>, tensor<2x2xi32>, tensor<3xbf16>
})");
  ASSERT_TRUE(program.valid()) << program.errors();
  std::vector<Tensor> results = program.run("f", {});
  ASSERT_EQ(results.size(), 3u) << program.errors();
  EXPECT_EQ(results[0].data, (std::vector<double>{1.5, -2.0}));
  EXPECT_EQ(results[1].data, (std::vector<double>{1, -2, 3, 4}));
  EXPECT_EQ(results[2].data, (std::vector<double>{0.5, 0.5, 0.5}));
}

TEST(InterpreterTest, RefusesWhatItDoesNotKnow) {
  LmProgram program(R"(
func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
  %0 = arith.addf %x, %x : tensor<2xf32>
  return %0 : tensor<2xf32>
})");
  ASSERT_TRUE(program.valid()) << program.errors();
  EXPECT_TRUE(program.run("f", {Tensor({2})}).empty());
  EXPECT_NE(program.errors().find("not known to the reference interpreter"), std::string::npos) << program.errors();
}

TEST(InterpreterTest, ChecksItsArguments) {
  LmProgram program("func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }");
  ASSERT_TRUE(program.valid()) << program.errors();
  EXPECT_TRUE(program.run("f", {}).empty());
  EXPECT_NE(program.errors().find("takes 1 arguments, got 0"), std::string::npos) << program.errors();
  EXPECT_TRUE(program.run("f", {Tensor({3})}).empty());
  EXPECT_NE(program.errors().find("argument 0 has type"), std::string::npos) << program.errors();
}

TEST(InterpreterTest, LogitsReadOnePositionPerRow) {
  LmProgram program(R"(
func.func @f(%x: tensor<2x2x1xf32>, %w: tensor<3x1xf32>, %p: tensor<2xi32>) -> tensor<2x3xf32> {
  %y = lm.logits %x, %w, %p {soft_cap = 2.0 : f64} : (tensor<2x2x1xf32>, tensor<3x1xf32>, tensor<2xi32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
})");
  ASSERT_TRUE(program.valid()) << program.errors();
  std::vector<Tensor> results =
      program.run("f", {Tensor({2, 2, 1}, {1, 2, 3, 4}), Tensor({3, 1}, {1, 0, -1}), Tensor({2}, {1, 0})});
  ASSERT_EQ(results.size(), 1u) << program.errors();
  for (auto [b, x] : {std::pair(0, 2.0), std::pair(1, 3.0)})
    for (int v = 0; v < 3; ++v)
      EXPECT_DOUBLE_EQ(results[0].at(b, v), 2 * std::tanh(x * (1 - v) / 2));
}

TEST(FeaturesTest, AreTwoSoftmaxesOrTwoHalfLines) {
  using oriel::reference::FeatureMap;
  Tensor x({1, 2}, {0.0, std::log(3.0)});
  Tensor softmax = oriel::reference::features(x, FeatureMap::Softmax);
  for (auto [i, value] : {std::pair(0, 0.25), std::pair(1, 0.75), std::pair(2, 0.75), std::pair(3, 0.25)})
    EXPECT_NEAR(softmax.data[i], value, 1e-15);
  Tensor relu = oriel::reference::features(Tensor({1, 3}, {2, -3, 0}), FeatureMap::Relu);
  EXPECT_EQ(relu.data, (std::vector<double>{2, 0, 0, 0, 3, 0}));
  // The derivative at 0 is 0.
  Tensor slope = oriel::reference::featuresGrad(Tensor({1, 3}, {2, -3, 0}), Tensor({1, 6}, 1.0), FeatureMap::Relu);
  EXPECT_EQ(slope.data, (std::vector<double>{1, -1, 0}));
}

} // namespace
