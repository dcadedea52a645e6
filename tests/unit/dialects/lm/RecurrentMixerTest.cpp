// What residual linear attention tells the schedule: sizes and work by hand-counted numbers.
#include "dialects/lm/LmOps.h"
#include "tests/support/lm/LmProgram.h"
#include "tests/support/lm/OpText.h"
#include "gtest/gtest.h"

namespace {

TEST(RecurrentMixerTest, CountsOneStatePerKeyValueHead) {
  oriel::testing::LmProgram program(oriel::testing::functionAround(R"(
    %o, %s = lm.residual_linear_attention %q, %k, %v {window = 3 : i64, feature_map = #lm.feature_map<softmax>}
      : (tensor<2x100x4x16xf32>, tensor<2x100x2x16xf32>, tensor<2x100x2x8xf32>)
      -> (tensor<2x100x4x8xf32>, tensor<2x4x32x8xf32>))"));
  ASSERT_TRUE(program.valid()) << program.errors();
  int visited = 0;
  program.module().walk([&](oriel::lm::RecurrentMixerOpInterface mixer) {
    ++visited;
    EXPECT_EQ(mixer.getStateElements(), 2 * 2 * 32 * 8);
    EXPECT_EQ(mixer.getRowTokens(), 100);
    EXPECT_EQ(mixer.getStateUpdateFlops(64), 2.0 * 64 * (2 * 2 * 32 * 8));
    // Two chunks of 64: per query head 64x64 scores over 32 features, 64x64 times 8 values, 64x32 features times the
    // state.
    double perHead = 2.0 * 64 * 64 * 32 + 2.0 * 64 * 64 * 8 + 2.0 * 64 * 32 * 8;
    EXPECT_EQ(mixer.getForwardFlops(64), 2 * (2 * 4 * perHead + mixer.getStateUpdateFlops(64)));
    EXPECT_TRUE(mixer.isAssociative());
  });
  EXPECT_EQ(visited, 1);
}

} // namespace
