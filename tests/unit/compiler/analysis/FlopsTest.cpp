// Model FLOPs: exact pairs, single ops by hand, and ra-nano against the figure that the peers are measured with.
#include "compiler/analysis/Flops.h"

#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

namespace oriel::analysis {
namespace {

using namespace mlir;

struct Text {
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  explicit Text(const std::string &text) {
    context.loadDialect<lm::LmDialect, func::FuncDialect>();
    module = parseSourceString<ModuleOp>(text, &context);
  }
};

TEST(Flops, CountsVisiblePairsExactly) {
  for (int64_t tokens : {1, 5, 64})
    for (int64_t window : {-1, 0, 1, 7, 63, 64, 200}) {
      double pairs = 0;
      for (int64_t t = 0; t < tokens; ++t)
        pairs += static_cast<double>(window < 0 ? t + 1 : std::min(t, window) + 1);
      EXPECT_EQ(visiblePairs(tokens, window), pairs) << "tokens " << tokens << " window " << window;
    }
}

/// One layer's linear ops and mixer at the sizes of ra-nano (one row), with its own function name.
std::string layerText(const std::string &name, bool global) {
  std::string heads = "tensor<1x1024x4x64xf32>", kv = "tensor<1x1024x2x64xf32>", x = "tensor<1x1024x256xf32>";
  std::string text = "func.func @" + name + "(%x: " + x +
                     ", %w: tensor<512x256xf32>, %o: tensor<256x256xf32>, %f: tensor<768x256xf32>, "
                     "%d: tensor<256x768xf32>, %h: tensor<1x1024x768xf32>, %q: " +
                     heads + ", %k: " + kv + ", %v: " + kv + ") {\n";
  auto linear = [&](const std::string &in, const std::string &weight, const std::string &types) {
    text += "  lm.linear " + in + ", " + weight + " {operandSegmentSizes = array<i32: 1, 1, 0>} : " + types + "\n";
  };
  linear("%x", "%w", "(" + x + ", tensor<512x256xf32>) -> tensor<1x1024x512xf32>"); // q, k, v together
  linear("%x", "%o", "(" + x + ", tensor<256x256xf32>) -> " + x);
  linear("%x", "%f", "(" + x + ", tensor<768x256xf32>) -> tensor<1x1024x768xf32>");
  linear("%x", "%f", "(" + x + ", tensor<768x256xf32>) -> tensor<1x1024x768xf32>");
  linear("%h", "%d", "(tensor<1x1024x768xf32>, tensor<256x768xf32>) -> " + x);
  std::string types = " : (" + heads + ", " + kv + ", " + kv + ") -> (" + heads;
  text += "  %a:2 = lm.attention %q, %k, %v {window = " + std::string(global ? "-1" : "128") +
          " : i64, scale = 1.25e-1 : f64}" + types + ", tensor<1x4x1024xf32>)\n";
  if (!global)
    text +=
        "  %r:2 = lm.residual_linear_attention %q, %k, %v {window = 128 : i64, feature_map = #lm.feature_map<softmax>, "
        "operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>}" +
        types + ", tensor<1x4x128x64xf32>)\n";
  return text + "  return\n}\n";
}

TEST(Flops, RaNanoIsTheFigureOfTheBench) {
  Text local(layerText("local", false)), global(layerText("global", true));
  ASSERT_TRUE(local.module && global.module);
  double layers =
      6 * trainingFlopsPerToken(*local.module, 1, 1024) + 2 * trainingFlopsPerToken(*global.module, 1, 1024);
  double head = 3.0 * 2.0 * 256 * 4096;
  EXPECT_NEAR((layers + head) / 1e6, 50.96, 0.005);
}

} // namespace
} // namespace oriel::analysis
