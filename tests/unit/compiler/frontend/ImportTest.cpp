// The module that comes out of a model file: functions, arguments, attributes, ops, locations.
#include "compiler/frontend/Frontend.h"
#include "tests/unit/compiler/frontend/ModelText.h"

#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace mlir;

namespace oriel::frontend {
namespace {

using namespace test;
using testing::HasSubstr;

class Import : public testing::Test {
protected:
  OwningOpRef<ModuleOp> import(const std::string &text, ImportOptions options = {}) {
    errors_.clear();
    llvm::raw_string_ostream stream(errors_);
    auto module = importModel(context_, "m.oriel", text, options, stream);
    return succeeded(module) ? std::move(*module) : OwningOpRef<ModuleOp>();
  }
  OwningOpRef<ModuleOp> example(const std::string &name, ImportOptions options = {}) {
    return import(readFile(std::string(ORIEL_EXAMPLES) + "/" + name + ".oriel"), options);
  }
  template <typename Op> static std::vector<Op> opsOf(Operation *root) {
    std::vector<Op> ops;
    root->walk([&](Op op) { ops.push_back(op); });
    return ops;
  }

  MLIRContext context_;
  std::string errors_;
};

TEST_F(Import, MakesLossAndLogitsOverOneParameterList) {
  OwningOpRef<ModuleOp> module = example("ra-nano", {.batch = 2, .tokens = 32});
  ASSERT_TRUE(module) << errors_;
  auto loss = module->lookupSymbol<func::FuncOp>("loss"), logits = module->lookupSymbol<func::FuncOp>("logits");
  ASSERT_TRUE(loss && logits);
  ASSERT_EQ(loss.getNumArguments(), logits.getNumArguments());
  int64_t elements = 0;
  for (unsigned i = 3; i < loss.getNumArguments(); ++i) {
    EXPECT_EQ(loss.getArgumentTypes()[i], logits.getArgumentTypes()[i]);
    EXPECT_EQ(loss.getArgAttr(i, lm::kParamAttr), logits.getArgAttr(i, lm::kParamAttr));
    ASSERT_TRUE(loss.getArgAttr(i, lm::kParamAttr));
    elements += cast<RankedTensorType>(loss.getArgumentTypes()[i]).getNumElements();
  }
  EXPECT_NEAR(elements / 1e6, 7.35, 0.005);
  auto role = [](func::FuncOp function, unsigned i) {
    return function.getArgAttrOfType<StringAttr>(i, lm::kRoleAttr).str();
  };
  EXPECT_EQ(role(loss, 0) + " " + role(loss, 1) + " " + role(loss, 2), "tokens targets doc_start");
  EXPECT_EQ(role(logits, 0) + " " + role(logits, 1) + " " + role(logits, 2), "tokens doc_start position");
  auto result = cast<RankedTensorType>(logits.getResultTypes()[0]);
  EXPECT_EQ(result.getShape(), (ArrayRef<int64_t>{2, 4096}));
  EXPECT_EQ(cast<RankedTensorType>(loss.getResultTypes()[0]).getShape(), ArrayRef<int64_t>{1});
}

TEST_F(Import, SaysWhatTheModuleIs) {
  OwningOpRef<ModuleOp> module = example("ra-tiny", {.batch = 3, .tokens = 16});
  ASSERT_TRUE(module) << errors_;
  auto integer = [&](StringRef name) { return (*module)->getAttrOfType<IntegerAttr>(name).getInt(); };
  EXPECT_EQ((*module)->getAttrOfType<StringAttr>(lm::kModelAttr).str(), "ra_tiny");
  EXPECT_EQ(integer(lm::kBatchAttr), 3);
  EXPECT_EQ(integer(lm::kTokensAttr), 16);
  EXPECT_EQ(integer(lm::kVocabAttr), 257);
}

TEST_F(Import, BuildsEveryExample) {
  for (const auto &path : exampleFiles())
    EXPECT_TRUE(import(readFile(path), {.batch = 1, .tokens = 64})) << path << errors_;
  EXPECT_EQ(errors_, "");
}

TEST_F(Import, TurnsLayersIntoOps) {
  OwningOpRef<ModuleOp> module = example("ra-nano");
  ASSERT_TRUE(module) << errors_;
  Operation *loss = module->lookupSymbol("loss");
  EXPECT_EQ(opsOf<lm::RAttentionOp>(loss).size(), 6u);
  EXPECT_EQ(opsOf<lm::AttentionOp>(loss).size(), 2u);
  EXPECT_EQ(opsOf<lm::GatedMlpOp>(loss).size(), 8u);
  EXPECT_EQ(opsOf<lm::RmsNormOp>(loss).size(), 17u);
  EXPECT_EQ(opsOf<lm::AddOp>(loss).size(), 16u);
  EXPECT_EQ(opsOf<lm::RopeOp>(loss).size(), 0u) << "global layers have no rotation; local ones carry it inside";
  lm::RAttentionOp local = opsOf<lm::RAttentionOp>(loss).front();
  EXPECT_EQ(local.getWindow(), 128);
  EXPECT_EQ(local.getTheta().convertToDouble(), 5e5);
  EXPECT_EQ(local.getEps().convertToDouble(), 1e-8);
  EXPECT_EQ(local.getDocStart(), cast<func::FuncOp>(loss).getArgument(2));
  EXPECT_FALSE(local.getLeakDocuments());
  lm::AttentionOp global = opsOf<lm::AttentionOp>(loss).front();
  EXPECT_EQ(global.getWindow(), -1);
  EXPECT_EQ(global.getScale().convertToDouble(), 0.125);
  EXPECT_EQ(global.getDocStart(), cast<func::FuncOp>(loss).getArgument(2));
}

TEST_F(Import, PassesOptionsOn) {
  OwningOpRef<ModuleOp> module =
      import("model m {\n embed(vocab = 11, dim = 8, scale = 2.5)\n"
             " residual { rms_norm(plus_one, eps = 1e-3) | attention(2, 1, 6, window = 3, rope = 1e4, rotary_dim = 4, "
             "qk_norm, "
             "soft_cap = 20, scale = 0.3, bias, value_dim = 5, rope_layout = interleaved) | rms_norm }\n"
             " residual { rattention(2, 1, 4, window = 3, rope = none, feature_map = relu, qk_scale, learned_init, "
             "init_tokens = 7, "
             "leak_documents, soft_cap = 9) }\n"
             " residual { gated_mlp(12, activation = gelu) }\n"
             " unembed(untied, soft_cap = 30) | cross_entropy }");
  ASSERT_TRUE(module) << errors_;
  Operation *loss = module->lookupSymbol("loss");
  EXPECT_EQ(opsOf<lm::EmbedOp>(loss)[0].getScale().convertToFloat(), 2.5f);
  std::vector<lm::RmsNormOp> norms = opsOf<lm::RmsNormOp>(loss);
  ASSERT_EQ(norms.size(), 4u) << "pre-norm, q, k, post-norm";
  EXPECT_TRUE(norms[0].getPlusOne());
  EXPECT_EQ(norms[0].getEps().convertToDouble(), 1e-3);
  lm::AttentionOp attention = opsOf<lm::AttentionOp>(loss)[0];
  EXPECT_EQ(attention.getWindow(), 3);
  EXPECT_EQ(attention.getScale().convertToDouble(), 0.3);
  EXPECT_EQ(attention.getSoftCap().convertToDouble(), 20);
  lm::RopeOp rope = opsOf<lm::RopeOp>(loss)[0];
  EXPECT_EQ(rope.getRotaryDim(), 4);
  EXPECT_EQ(rope.getLayout(), lm::RopeLayout::Interleaved);
  EXPECT_TRUE(isa<lm::RmsNormOp>(rope.getX().getDefiningOp())) << "qk-norm comes before the rotation";
  EXPECT_TRUE(opsOf<lm::LinearOp>(loss)[0].getBias());
  EXPECT_FALSE(opsOf<lm::LinearOp>(loss)[3].getBias()) << "the output projection has its own switch";
  lm::RAttentionOp local = opsOf<lm::RAttentionOp>(loss)[0];
  EXPECT_EQ(local.getFeatureMap(), lm::FeatureMap::Relu);
  EXPECT_TRUE(local.getLeakDocuments() && local.getQScale() && local.getKTokens());
  EXPECT_EQ(local.getTheta().convertToDouble(), 0);
  EXPECT_EQ(local.getSoftCap().convertToDouble(), 9);
  EXPECT_EQ(opsOf<lm::GatedMlpOp>(loss)[0].getActivation(), lm::Activation::Gelu);
  lm::CrossEntropyOp entropy = opsOf<lm::CrossEntropyOp>(loss)[0];
  EXPECT_EQ(entropy.getSoftCap().convertToDouble(), 30);
  auto function = cast<func::FuncOp>(loss);
  EXPECT_EQ(entropy.getWeight(), function.getArgument(function.getNumArguments() - 1)) << "untied";
}

TEST_F(Import, BuildsLinearAttention) {
  OwningOpRef<ModuleOp> module =
      import("model m {\n embed(vocab = 11, dim = 8)\n"
             " residual { linear_attention(4, 2, 16, rope = 1e4, qk_norm, scale = 0.5, norm_eps = 1e-4) }\n"
             " unembed(tied) | cross_entropy }");
  ASSERT_TRUE(module) << errors_;
  Operation *loss = module->lookupSymbol("loss");
  std::vector<lm::LinearAttentionOp> mixers = opsOf<lm::LinearAttentionOp>(loss);
  ASSERT_EQ(mixers.size(), 1u);
  EXPECT_EQ(mixers[0].getScale().convertToDouble(), 0.5);
  EXPECT_TRUE(mixers[0].getDocStart());
  EXPECT_TRUE(isa<lm::RopeOp>(mixers[0].getQ().getDefiningOp()));
  auto norm = dyn_cast<lm::RmsNormOp>(*mixers[0].getResult().user_begin());
  ASSERT_TRUE(norm);
  EXPECT_EQ(norm.getEps().convertToDouble(), 1e-4);
}

TEST_F(Import, SharesATiedEmbedding) {
  OwningOpRef<ModuleOp> module = example("ra-tiny");
  ASSERT_TRUE(module) << errors_;
  Operation *loss = module->lookupSymbol("loss");
  EXPECT_EQ(opsOf<lm::CrossEntropyOp>(loss)[0].getWeight(), opsOf<lm::EmbedOp>(loss)[0].getTable());
}

TEST_F(Import, CarriesLayerPathsInLocations) {
  OwningOpRef<ModuleOp> module = example("ra-nano");
  ASSERT_TRUE(module) << errors_;
  lm::RAttentionOp local = opsOf<lm::RAttentionOp>(module->lookupSymbol("loss"))[4];
  auto name = dyn_cast<NameLoc>(local.getLoc());
  ASSERT_TRUE(name);
  EXPECT_EQ(name.getName().str(), "layers.5.mixer") << "layer 3 is a global one";
  auto line = dyn_cast<FileLineColLoc>(name.getChildLoc());
  ASSERT_TRUE(line);
  EXPECT_EQ(line.getFilename().str(), "m.oriel");
  EXPECT_EQ(line.getLine(), 12u);
}

TEST_F(Import, RefusesWithMessagesAndNoModule) {
  EXPECT_FALSE(import("model m { embed }"));
  EXPECT_THAT(errors_, HasSubstr("m.oriel:1:11: error: 'embed' needs 'vocab'"));
  EXPECT_FALSE(example("ra-tiny", {.batch = 0, .tokens = 8}));
  EXPECT_THAT(errors_, HasSubstr("a micro-batch of 0 rows of 8 tokens cannot be imported"));
  EXPECT_FALSE(example("ra-tiny", {.batch = int64_t(1) << 40, .tokens = int64_t(1) << 40}));
  EXPECT_FALSE(example("ra-tiny", {.parameters = {{"vocabulary", "9"}}}));
  EXPECT_THAT(errors_, HasSubstr("model 'ra_tiny' has no parameter 'vocabulary'"));
}

TEST_F(Import, TakesParametersFromOutside) {
  OwningOpRef<ModuleOp> module = example("ra-tiny", {.parameters = {{"vocab", "300"}}});
  ASSERT_TRUE(module) << errors_;
  EXPECT_EQ((*module)->getAttrOfType<IntegerAttr>(lm::kVocabAttr).getInt(), 300);
}

} // namespace
} // namespace oriel::frontend
