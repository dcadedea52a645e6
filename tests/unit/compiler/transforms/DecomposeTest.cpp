// Composites evaluate to the same values after --oriel-decompose, and nothing composite is left.
#include "dialects/lm/LmOps.h"
#include "tests/support/lm/LmProgram.h"
#include "gtest/gtest.h"

using oriel::testing::LmProgram;

namespace {

struct Case {
  const char *name, *text;
};

class DecomposeTest : public ::testing::TestWithParam<Case> {};

TEST_P(DecomposeTest, KeepsValuesAndLeavesOnlyPrimitives) {
  LmProgram program(GetParam().text);
  ASSERT_TRUE(program.valid()) << program.errors();
  auto arguments = oriel::testing::randomArguments(program.function("f"), 7);
  auto before = program.run("f", arguments);
  ASSERT_TRUE(program.decompose()) << program.errors();
  auto after = program.run("f", arguments);
  ASSERT_EQ(before.size(), 1u);
  ASSERT_EQ(after.size(), 1u);
  for (int64_t i = 0; i < before[0].size(); ++i)
    ASSERT_NEAR(before[0].data[i], after[0].data[i], 1e-12);
  program.module().walk([](oriel::lm::DecomposableOpInterface op) { ADD_FAILURE() << "a composite is left"; });
}

const Case kCases[] = {
    {"GatedMlp", R"(
func.func @f(%x: tensor<2x3x4xf32>, %g: tensor<5x4xf32>, %u: tensor<5x4xf32>, %d: tensor<4x5xf32>) -> tensor<2x3x4xf32> {
  %y = lm.gated_mlp %x, %g, %u, %d {activation = #lm.activation<gelu>}
    : (tensor<2x3x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<4x5xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
})"},
    {"RAttentionEverything", R"(
!q = tensor<2x9x4x6xf32>
!k = tensor<2x9x2x6xf32>
!v = tensor<2x9x2x5xf32>
!o = tensor<2x9x4x5xf32>
func.func @f(%q: !q, %k: !k, %v: !v, %g: tensor<4x5xf32>, %s: tensor<4x5xf32>, %a: tensor<6xf32>, %b: tensor<6xf32>,
             %kt: tensor<4x3x6xf32>, %vt: tensor<4x3x5xf32>, %qn: tensor<6xf32>, %kn: tensor<6xf32>,
             %d: tensor<2x9xi32> {lm.role = "doc_start"}) -> !o {
  %y = lm.rattention %q, %k, %v, %g swa_scale(%s) qk_scale(%a, %b) tokens(%kt, %vt) qk_norm(%qn, %kn) doc_start(%d)
    {window = 2 : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64,
     rope_layout = #lm.rope_layout<half>, rotary_dim = 4 : i64, soft_cap = 5.0 : f64}
    : (!q, !k, !v, tensor<4x5xf32>, tensor<4x5xf32>, tensor<6xf32>, tensor<6xf32>, tensor<4x3x6xf32>, tensor<4x3x5xf32>,
       tensor<6xf32>, tensor<6xf32>, tensor<2x9xi32>) -> !o
  return %y : !o
})"},
    {"RAttentionLeakingDocuments", R"(
!q = tensor<2x9x4x6xf32>
!k = tensor<2x9x2x6xf32>
func.func @f(%q: !q, %k: !k, %v: !k, %g: tensor<4x6xf32>, %s: tensor<4x6xf32>,
             %d: tensor<2x9xi32> {lm.role = "doc_start"}) -> !q {
  %y = lm.rattention %q, %k, %v, %g swa_scale(%s) doc_start(%d)
    {window = 2 : i64, feature_map = #lm.feature_map<relu>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64,
     rope_layout = #lm.rope_layout<interleaved>, rotary_dim = 6 : i64, leak_documents}
    : (!q, !k, !k, tensor<4x6xf32>, tensor<4x6xf32>, tensor<2x9xi32>) -> !q
  return %y : !q
})"},
    {"RAttentionLinearOnly", R"(
!q = tensor<2x9x4x6xf32>
!k = tensor<2x9x2x6xf32>
func.func @f(%q: !q, %k: !k, %v: !k, %g: tensor<4x6xf32>) -> !q {
  %y = lm.rattention %q, %k, %v, %g
    {window = -1 : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 0.0 : f64,
     rope_layout = #lm.rope_layout<half>, rotary_dim = 0 : i64}
    : (!q, !k, !k, tensor<4x6xf32>) -> !q
  return %y : !q
})"},
};

INSTANTIATE_TEST_SUITE_P(All, DecomposeTest, ::testing::ValuesIn(kCases),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(DecomposeLocationTest, PrimitivesCarryTheLayerPath) {
  LmProgram program(R"(
func.func @f(%x: tensor<2x3x4xf32>, %g: tensor<5x4xf32>, %u: tensor<5x4xf32>, %d: tensor<4x5xf32>) -> tensor<2x3x4xf32> {
  %y = lm.gated_mlp %x, %g, %u, %d {activation = #lm.activation<silu>}
    : (tensor<2x3x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<4x5xf32>) -> tensor<2x3x4xf32> loc("layers.0.mlp")
  return %y : tensor<2x3x4xf32>
})");
  ASSERT_TRUE(program.valid()) << program.errors();
  ASSERT_TRUE(program.decompose());
  program.module().walk(
      [](oriel::lm::LinearOp op) { EXPECT_EQ(llvm::cast<mlir::NameLoc>(op.getLoc()).getName(), "layers.0.mlp"); });
}

} // namespace
