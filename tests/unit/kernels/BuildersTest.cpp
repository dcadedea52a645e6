// Tests that every kernel builder gives a program that the tile dialect's laws accept, over the options of its spec.
#include "dialects/tile/TileOps.h"
#include "kernels/attention/Attention.h"
#include "kernels/elementwise/Elementwise.h"
#include "kernels/embed/Embed.h"
#include "kernels/gate/Gate.h"
#include "kernels/linear_attention/LinearAttention.h"
#include "kernels/loss/CrossEntropy.h"
#include "kernels/norm/RmsNorm.h"
#include "kernels/optim/Optim.h"
#include "kernels/rattention/Rla.h"
#include "kernels/rope/Rope.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace oriel::kernels;

namespace {

class BuildersTest : public testing::Test {
protected:
  BuildersTest() : builder(&context) {
    context.loadDialect<oriel::tile::TileDialect, arith::ArithDialect, math::MathDialect, memref::MemRefDialect,
                        scf::SCFDialect>();
    module = ModuleOp::create(UnknownLoc::get(&context));
    builder.setInsertionPointToEnd(module->getBody());
  }

  /// Builds with `build(builder, loc, symbol, spec)` and checks the laws, the symbol and the number of buffers.
  template <typename Build, typename Spec>
  void check(Build build, const std::string &symbol, const Spec &spec, unsigned buffers, unsigned outputs) {
    SCOPED_TRACE(symbol);
    oriel::tile::KernelOp op = build(builder, builder.getUnknownLoc(), symbol, spec);
    EXPECT_TRUE(succeeded(verify(op)));
    EXPECT_EQ(op.getSymName(), symbol);
    EXPECT_EQ(op.getArgumentTypes().size(), buffers);
    EXPECT_EQ(op.getNumOutputs(), outputs);
    for (char c : symbol)
      EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(c)) || c == '_') << c;
  }

  MLIRContext context;
  OpBuilder builder;
  OwningOpRef<ModuleOp> module;
};

TEST_F(BuildersTest, Elementwise) {
  for (int64_t elements : {1, 100, 5000}) {
    check(buildAdd, symbol(AddSpec{elements, 3}), AddSpec{elements, 3}, 4, 1);
    check(buildSoftCap, symbol(SoftCapSpec{elements, 30.0}), SoftCapSpec{elements, 30.0}, 1, 1);
  }
  ScaleChannelsSpec scale{65, 24};
  check(buildScaleChannels, symbol(scale, false), scale, 3, 1);
  check(buildScaleChannelsGrad, symbol(scale, true), scale, 5, 2);
  check(buildSumRows, symbol(SumRowsSpec{1000, 6}), SumRowsSpec{1000, 6}, 2, 1);
  check(buildSumPartials, symbol(SumPartialsSpec{4, 1000}), SumPartialsSpec{4, 1000}, 2, 1);
}

TEST_F(BuildersTest, PartialSumsCoverAllRows) {
  for (int64_t rows : {1, 255, 256, 257, 16384, 16385, 100000}) {
    EXPECT_EQ(partialRows(rows) % 16, 0);
    EXPECT_LE(partialCount(rows), 256);
    EXPECT_GE(partialCount(rows) * partialRows(rows), rows);
    EXPECT_LT((partialCount(rows) - 1) * partialRows(rows), rows);
  }
}

TEST_F(BuildersTest, NormRopeGate) {
  for (bool plusOne : {false, true}) {
    RmsNormSpec spec{500, plusOne ? 3 : 1, 24, 1e-6, plusOne};
    check(buildRmsNorm, symbol(spec, false), spec, 3, 1);
    check(buildRmsNormGrad, symbol(spec, true), spec, 5, 2);
    spec.residual = spec.remake = true;
    check(buildRmsNorm, symbol(spec, false), spec, 5, 2);
    check(buildRmsNormGrad, symbol(spec, true), spec, 7, 3);
  }
  for (bool interleaved : {false, true}) {
    RopeSpec spec{2, 65, 3, 24, interleaved ? 24 : 10, interleaved, interleaved, !interleaved};
    check(buildRope, symbol(spec), spec, interleaved ? 5 : 4, 1);
  }
  for (auto activation : {GateActivation::Silu, GateActivation::Gelu}) {
    GateSpec spec{3000, activation};
    check(buildGate, symbol(spec, false), spec, 3, 1);
    check(buildGateGrad, symbol(spec, true), spec, 5, 2);
    spec.remake = true;
    check(buildGateGrad, symbol(spec, true), spec, 6, 3);
  }
}

TEST_F(BuildersTest, EmbedAndLoss) {
  for (bool accumulate : {false, true}) {
    EmbedSpec spec{65, 100, 48, accumulate ? 2.0 : 1.0, accumulate};
    check(buildEmbed, symbol(spec, false) + (accumulate ? "_b" : ""), spec, 3, 1);
    check(buildEmbedGrad, symbol(spec, true), spec, 3, 1);
  }
  check(buildSelectPosition, symbol(SelectPositionSpec{2, 65, 48}), SelectPositionSpec{2, 65, 48}, 3, 1);
  for (bool gradient : {false, true}) {
    CrossEntropySpec spec{65, 300, gradient ? 30.0 : 0.0, gradient};
    check(buildCrossEntropy, symbol(spec), spec, gradient ? 4 : 3, gradient ? 2 : 1);
  }
  check(buildSumLosses, symbol(SumLossesSpec{65}), SumLossesSpec{65}, 2, 1);
}

TEST_F(BuildersTest, Optimizer) {
  FlatSpec spec{3 * 4096};
  check(buildAdamW, adamWSymbol(spec), spec, 7, 3);
  check(buildSumSquares, sumSquaresSymbol(spec), spec, 2, 1);
  for (NormSpec norm : {NormSpec{3 * 4096}, NormSpec{6 * 4096, 2, 4 * 4096}})
    check(buildTotalNorm, totalNormSymbol(norm), norm, 2, 1);
  check(buildAccumulate, accumulateSymbol(spec), spec, 2, 1);
}

TEST_F(BuildersTest, Attention) {
  for (int64_t window : {-1, 0, 100})
    for (bool documents : {false, true}) {
      AttentionSpec spec;
      spec.batch = 2, spec.tokens = 65, spec.heads = 4, spec.kvHeads = 2, spec.headDim = 24, spec.valueDim = 6;
      spec.window = window, spec.documents = documents, spec.softCap = documents ? 20.0 : 0.0;
      check(buildAttention, symbol(spec, "fwd"), spec, documents ? 6 : 5, 2);
      check(buildAttentionDelta, symbol(spec, "delta"), spec, 3, 1);
      check(buildAttentionDq, symbol(spec, "dq"), spec, documents ? 9 : 8, 2);
      check(buildAttentionGrad, symbol(spec, "grad"), spec, documents ? 10 : 9, 3);
      check(buildAttentionRowGrad, symbol(spec, "row_grad"), spec, documents ? 9 : 8, 3);
      check(buildAttentionDkDv, symbol(spec, "dkdv"), spec, documents ? 9 : 8, 2);
    }
}

TEST_F(BuildersTest, ResidualLinearAttention) {
  for (auto initial : {InitialState::None, InitialState::PerHead, InitialState::PerBatchHead})
    for (bool documents : {false, true})
      for (bool finalState : {false, true})
        for (int64_t saveEvery : {0, 1, 2, 100}) {
          RlaSpec spec;
          spec.batch = 2, spec.tokens = 100, spec.heads = 4, spec.kvHeads = 2, spec.headDim = 24, spec.valueDim = 6;
          spec.window = 3, spec.initialState = initial, spec.documents = documents, spec.finalState = finalState;
          spec.chunk = 16, spec.saveEvery = saveEvery;
          spec.featureMap = finalState ? FeatureMap::Relu : FeatureMap::Softmax;
          unsigned optional = (initial != InitialState::None) + documents + finalState + (saveEvery > 0);
          unsigned outputs = 1u + finalState + (saveEvery > 0);
          check(buildRla, symbol(spec, "fwd"), spec, 4 + optional, outputs);
          check(buildRlaGrad, symbol(spec, "bwd"), spec, 8 + optional + (initial != InitialState::None),
                4u + (initial != InitialState::None));
          spec.twoPass = saveEvery == 1;
          if (!spec.twoPass)
            continue;
          check(buildRlaDq, symbol(spec, "dq"), spec, 6 + documents + (initial != InitialState::None), 1);
          check(buildRlaDkDv, symbol(spec, "dkdv"), spec, 7 + documents, 2);
        }
  LearnedStateSpec learned{4, 128, 24, 6, FeatureMap::Softmax};
  check(buildLearnedState, symbol(learned, false), learned, 3, 1);
  check(buildLearnedStateGrad, symbol(learned, true), learned, 5, 2);
}

TEST_F(BuildersTest, LinearAttention) {
  for (bool normalize : {false, true})
    for (bool initial : {false, true})
      for (bool finalState : {false, true})
        for (int64_t saveEvery : {0, 1, 2, 100}) {
          LinearAttentionSpec spec;
          spec.batch = 2, spec.tokens = 100, spec.heads = 4, spec.kvHeads = 2, spec.headDim = 24, spec.valueDim = 6;
          spec.normalize = normalize, spec.initialState = initial, spec.documents = normalize;
          spec.finalState = finalState, spec.chunk = 16, spec.saveEvery = saveEvery;
          unsigned perState = normalize ? 2 : 1, saved = saveEvery > 0;
          unsigned optional = (initial + finalState) * perState + normalize + saved;
          check(buildLinearAttention, symbol(spec, "fwd"), spec, 4 + optional, 1u + saved + finalState * perState);
          check(buildLinearAttentionGrad, symbol(spec, "bwd"), spec, 8 + optional + initial * perState,
                4u + initial * perState);
        }
}

TEST(SymbolNameTest, KeepsOptionsApart) {
  EXPECT_EQ(SymbolName("k").add("w", int64_t(-1)).add("c", int64_t(64)).flag("doc", true).str(), "k_wn1_c64_doc");
  EXPECT_NE(SymbolName("k").add("eps", 1e-5).str(), SymbolName("k").add("eps", 1e-6).str());
}

} // namespace
