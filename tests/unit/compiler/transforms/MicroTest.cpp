// @loss ⇒ @micro on a small model that has every kind of layer: names, roles, order of gradients, values.
#include "dialects/lm/LmOps.h"
#include "mlir/IR/Verifier.h"
#include "tests/support/lm/LmProgram.h"
#include "gtest/gtest.h"

#include <cmath>

using oriel::reference::Tensor;
using oriel::testing::LmProgram;

namespace {

constexpr const char *kModel = R"(
!x = tensor<2x6x4xf32>
!h = tensor<2x6x2x2xf32>
!i = tensor<2x6xi32>
module attributes {lm.model = "tiny", lm.batch = 2 : i64, lm.tokens = 6 : i64, lm.vocab = 5 : i64} {
func.func @loss(%tokens: !i {lm.role = "tokens"}, %targets: !i {lm.role = "targets"}, %docs: !i {lm.role = "doc_start"},
    %table: tensor<5x4xf32> {lm.param = {name = "embed", init = "normal", std = 0.02 : f64, decay = true}},
    %norm: tensor<4xf32> {lm.param = {name = "layers.0.norm", init = "ones", decay = false}},
    %wq: tensor<4x4xf32> {lm.param = {name = "layers.0.wq", init = "normal", std = 0.02 : f64, decay = true}},
    %swa: tensor<2x2xf32> {lm.param = {name = "layers.0.swa", init = "ones", decay = false}},
    %rla: tensor<2x2xf32> {lm.param = {name = "layers.0.rla", init = "ones", decay = false}},
    %idle: tensor<3xf32> {lm.param = {name = "idle", init = "zeros", decay = false}},
    %gate: tensor<3x4xf32> {lm.param = {name = "layers.0.gate", init = "normal", std = 0.02 : f64, decay = true}},
    %down: tensor<4x3xf32> {lm.param = {name = "layers.0.down", init = "normal", std = 0.02 : f64, decay = true}})
    -> tensor<1xf32> {
  %0 = lm.embed %table, %tokens : (tensor<5x4xf32>, !i) -> !x
  %1 = lm.rms_norm %0, %norm {eps = 1.0e-6 : f64} : (!x, tensor<4xf32>) -> !x
  %2 = lm.linear %1, %wq : (!x, tensor<4x4xf32>) -> !x
  %q = lm.reshape %2 : (!x) -> !h
  %3 = lm.rattention %q, %q, %q, %rla swa_scale(%swa) doc_start(%docs)
    {window = 1 : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64,
     rope_layout = #lm.rope_layout<half>, rotary_dim = 2 : i64} : (!h, !h, !h, tensor<2x2xf32>, tensor<2x2xf32>, !i) -> !h
  %4 = lm.reshape %3 : (!h) -> !x
  %5 = lm.add %0, %4 : (!x, !x) -> !x
  %n = lm.rms_norm %5, %norm {eps = 1.0e-6 : f64} : (!x, tensor<4xf32>) -> !x
  %6 = lm.gated_mlp %n, %gate, %gate, %down {activation = #lm.activation<silu>}
    : (!x, tensor<3x4xf32>, tensor<3x4xf32>, tensor<4x3xf32>) -> !x
  %7 = lm.add %5, %6 : (!x, !x) -> !x
  %8 = lm.cross_entropy %7, %table, %targets : (!x, tensor<5x4xf32>, !i) -> tensor<1xf32>
  return %8 : tensor<1xf32>
}})";

constexpr size_t kFirstParam = 3;

class MicroTest : public ::testing::Test {
protected:
  MicroTest() : original(kModel), compiled(kModel) {}

  void SetUp() override {
    ASSERT_TRUE(original.valid() && compiled.valid()) << original.errors();
    ASSERT_TRUE(compiled.decompose() && compiled.differentiate()) << compiled.errors();
  }

  LmProgram original, compiled;
};

TEST_F(MicroTest, HasTheAgreedSignature) {
  mlir::func::FuncOp loss = compiled.function("loss"), micro = compiled.function("micro");
  ASSERT_TRUE(loss && micro);
  ASSERT_EQ(micro.getNumArguments(), loss.getNumArguments() + 1);
  EXPECT_EQ(micro.getArgAttrOfType<mlir::StringAttr>(kFirstParam, "lm.role"), "loss_scale");
  ASSERT_EQ(micro.getNumResults(), 1 + loss.getNumArguments() - kFirstParam);
  for (unsigned i = kFirstParam; i < loss.getNumArguments(); ++i) {
    EXPECT_EQ(micro.getArgAttr(i + 1, "lm.param"), loss.getArgAttr(i, "lm.param"));
    EXPECT_EQ(micro.getResultTypes()[1 + i - kFirstParam], loss.getArgumentTypes()[i]);
  }
  EXPECT_TRUE(mlir::succeeded(mlir::verify(compiled.module())));
}

TEST_F(MicroTest, ComputesTheLogitsOnce) {
  mlir::func::FuncOp micro = compiled.function("micro");
  EXPECT_TRUE(micro.front().getOps<oriel::lm::CrossEntropyOp>().empty());
  EXPECT_FALSE(micro.front().getOps<oriel::lm::CrossEntropyGradOp>().empty());
}

TEST_F(MicroTest, IsThePrintedModuleOnceMore) {
  LmProgram again(compiled.text());
  ASSERT_TRUE(again.valid()) << again.errors();
  EXPECT_EQ(again.text(), compiled.text());
}

TEST_F(MicroTest, FusionChangesNoValue) {
  std::vector<Tensor> arguments = oriel::testing::randomArguments(original.function("loss"), 3);
  arguments.insert(arguments.begin() + kFirstParam, Tensor({1}, 0.125));
  std::vector<Tensor> expected = compiled.run("micro", arguments);
  ASSERT_TRUE(compiled.fusePointwise()) << compiled.errors();
  EXPECT_TRUE(mlir::succeeded(mlir::verify(compiled.module())));
  mlir::Block &block = compiled.function("micro").front();
  EXPECT_FALSE(block.getOps<oriel::lm::AddRmsNormOp>().empty());
  std::vector<Tensor> results = compiled.run("micro", arguments);
  ASSERT_EQ(results.size(), expected.size()) << compiled.errors();
  for (size_t i = 0; i < results.size(); ++i)
    for (int64_t k = 0; k < results[i].size(); ++k)
      ASSERT_NEAR(results[i].data[k], expected[i].data[k], 1e-12) << "result " << i << ", element " << k;
}

TEST_F(MicroTest, GradientsAreThoseOfTheUndecomposedLoss) {
  std::vector<Tensor> arguments = oriel::testing::randomArguments(original.function("loss"), 3);
  constexpr double kScale = 0.125, kStep = 1e-5;
  std::vector<Tensor> withScale = arguments;
  withScale.insert(withScale.begin() + kFirstParam, Tensor({1}, kScale));
  std::vector<Tensor> results = compiled.run("micro", withScale);
  ASSERT_EQ(results.size(), 1 + arguments.size() - kFirstParam) << compiled.errors();
  EXPECT_NEAR(results[0].data[0], original.run("loss", arguments)[0].data[0], 1e-12);

  for (size_t argument = kFirstParam; argument < arguments.size(); ++argument)
    for (int64_t i = 0; i < arguments[argument].size(); ++i) {
      auto lossAt = [&](double offset) {
        std::vector<Tensor> moved = arguments;
        moved[argument].data[i] += offset;
        return original.run("loss", moved)[0].data[0];
      };
      // Fourth order: norms with a tiny eps bend the loss strongly where nothing has been seen yet.
      double difference =
          kScale * (8 * (lossAt(kStep) - lossAt(-kStep)) - (lossAt(2 * kStep) - lossAt(-2 * kStep))) / (12 * kStep);
      ASSERT_NEAR(results[1 + argument - kFirstParam].data[i], difference, 1e-8 * (1 + std::abs(difference)))
          << "argument " << argument << ", element " << i;
    }
}

} // namespace
