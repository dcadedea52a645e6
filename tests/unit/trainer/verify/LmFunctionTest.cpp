// The text that LmFunction writes, letter by letter. That it parses is shown where golden cases are run.
#include "trainer/verify/LmFunction.h"
#include "gtest/gtest.h"

using oriel::trainer::LmFunction;
using oriel::trainer::LmValue;

namespace {

TEST(LmFunctionTest, WritesArgumentsGroupsAttributesAndTheRequest) {
  LmFunction function;
  LmValue x = function.addArgument({2, 3}), d = function.addArgument({2}, /*isInteger=*/true);
  LmValue y = function.op("lm.f", {x})
                  .group("docs", {d})
                  .group("absent", {})
                  .integer("window", -1)
                  .real("eps", 0.5)
                  .attribute("flag", "")
                  .result({2, 4});
  auto pair = function.op("lm.g", {y, x}).results({{1}, {2}});
  EXPECT_EQ(function.finish({pair[0], pair[1]}, {0}, {true, false}),
            "func.func @f(%a0: tensor<2x3xf32>, %a1: tensor<2xi32>) -> (tensor<1xf32>, tensor<2xf32>)\n"
            "    attributes {lm.vjp = {wrt = [0], cotangents = [true, false]}} {\n"
            "  %0 = lm.f %a0 docs(%a1) {window = -1 : i64, eps = 5.0000000000000000e-01 : f64, flag}"
            " : (tensor<2x3xf32>, tensor<2xi32>) -> (tensor<2x4xf32>)\n"
            "  %1, %2 = lm.g %0, %a0 : (tensor<2x4xf32>, tensor<2x3xf32>) -> (tensor<1xf32>, tensor<2xf32>)\n"
            "  return %1, %2 : tensor<1xf32>, tensor<2xf32>\n}\n");
}

} // namespace
