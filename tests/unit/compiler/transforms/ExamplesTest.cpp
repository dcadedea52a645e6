// The shipped example models, whole: imported, decomposed and differentiated, with a gradient for every parameter.
#include "compiler/frontend/Frontend.h"
#include "compiler/transforms/Passes.h"
#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

#include <fstream>
#include <sstream>

using namespace mlir;
namespace lm = oriel::lm;

namespace {

class ExamplesTest : public ::testing::TestWithParam<const char *> {
protected:
  /// The example after decomposition and differentiation.
  OwningOpRef<ModuleOp> compile() {
    std::string path = std::string(ORIEL_EXAMPLES) + "/" + GetParam() + ".oriel";
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    std::string errors;
    llvm::raw_string_ostream os(errors);
    FailureOr<OwningOpRef<ModuleOp>> module =
        oriel::frontend::importModel(context, path, text.str(), {.batch = 2, .tokens = 160, .parameters = {}}, os);
    if (failed(module)) {
      ADD_FAILURE() << errors;
      return nullptr;
    }
    PassManager manager(&context);
    manager.addPass(oriel::transforms::createDecomposePass());
    manager.addPass(oriel::transforms::createDifferentiatePass());
    if (failed(manager.run(**module)))
      return nullptr;
    return std::move(*module);
  }

  MLIRContext context;
};

TEST_P(ExamplesTest, EveryParameterHasAGradient) {
  OwningOpRef<ModuleOp> module = compile();
  ASSERT_TRUE(module);
  ASSERT_TRUE(succeeded(verify(*module)));
  auto micro = module->lookupSymbol<func::FuncOp>("micro");
  ASSERT_TRUE(micro);
  unsigned parameters = 0;
  for (BlockArgument argument : micro.getArguments())
    if (micro.getArgAttr(argument.getArgNumber(), lm::kParamAttr)) {
      ++parameters;
      EXPECT_EQ(micro.getResultTypes()[parameters], argument.getType());
    }
  EXPECT_EQ(micro.getNumResults(), 1 + parameters);
  for (Value result : micro.front().getTerminator()->getOperands())
    EXPECT_TRUE(isa<lm::LmDialect>(result.getDefiningOp()->getDialect()))
        << "a parameter without influence on the loss";
}

TEST_P(ExamplesTest, NothingCompositeOrDeadIsLeft) {
  OwningOpRef<ModuleOp> module = compile();
  ASSERT_TRUE(module);
  module->walk([](lm::DecomposableOpInterface op) { ADD_FAILURE() << op->getName().getStringRef().str(); });
  module->lookupSymbol<func::FuncOp>("micro").walk([](Operation *op) {
    bool isDead = isa<lm::LmDialect>(op->getDialect()) && op->use_empty();
    EXPECT_FALSE(isDead) << op->getName().getStringRef().str();
  });
}

TEST_P(ExamplesTest, GradientOpsCarryTheLayerPath) {
  OwningOpRef<ModuleOp> module = compile();
  ASSERT_TRUE(module);
  int grads = 0;
  module->walk([&](lm::ResidualLinearAttentionGradOp op) {
    ++grads;
    auto name = op.getLoc()->findInstanceOf<NameLoc>();
    ASSERT_TRUE(name);
    EXPECT_TRUE(name.getName().getValue().starts_with("layers.")) << name.getName().str();
  });
  EXPECT_GT(grads, 0);
}

INSTANTIATE_TEST_SUITE_P(All, ExamplesTest, ::testing::Values("ra-tiny", "ra-nano", "ra-small", "ra-3b", "ra-12b"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

} // namespace
