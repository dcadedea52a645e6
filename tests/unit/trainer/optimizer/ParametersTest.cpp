// First values and decay flags: the same for every way to cut the flat vector, and of the right distribution.
#include "trainer/optimizer/Parameters.h"
#include "trainer/optimizer/CounterRng.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>

namespace oriel::trainer {
namespace {

plan::Plan makePlan() {
  plan::Plan plan;
  plan.set_parameter_block(256);
  plan.set_parameter_elements(8192);
  auto add = [&](const char *name, std::vector<int64_t> shape, uint64_t offset, const char *init, bool decay) {
    plan::Parameter *parameter = plan.add_parameters();
    parameter->set_name(name);
    for (int64_t size : shape)
      parameter->add_shape(size);
    parameter->set_offset(offset);
    parameter->set_init(init);
    parameter->set_init_std(0.02);
    parameter->set_decay(decay);
  };
  add("embed", {37, 53}, 0, "normal", true); // 1961 elements: 8 blocks, the last one partly gap
  add("layers.0.norm", {64}, 2048, "ones", false);
  add("layers.0.wq", {50, 50}, 2304, "normal", true); // up to 4804
  add("layers.0.h0", {300}, 4864, "zeros", true);     // two blocks
  return plan;
}

TEST(CounterRng, MatchesThePublishedVectors) {
  // Known answers of the Random123 distribution (kat_vectors, philox4x32 with 10 rounds).
  EXPECT_THAT(philox({0, 0, 0, 0}, {0, 0}), testing::ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
              testing::ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
}

TEST(CounterRng, GoesOnFromAPosition) {
  CounterRng whole(7), part(7, 5);
  for (int i = 0; i < 5; ++i)
    whole.next();
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(whole.next(), part.next());
  EXPECT_EQ(whole.position(), part.position());
}

TEST(Parameters, EverySlicingAndAnyThreadsGiveTheSameVector) {
  plan::Plan plan = makePlan();
  std::vector<float> whole(8192);
  ASSERT_TRUE(initializeParameters(plan, 3, 0, whole, 1).ok());
  for (int64_t slice : {1, 7, 256, 1000, 4096}) {
    std::vector<float> parts(8192, -1.0f);
    for (int64_t first = 0; first < 8192; first += slice) {
      size_t count = static_cast<size_t>(std::min<int64_t>(slice, 8192 - first));
      ASSERT_TRUE(
          initializeParameters(plan, 3, first, std::span(parts).subspan(static_cast<size_t>(first), count), 1).ok());
    }
    EXPECT_EQ(parts, whole) << slice;
  }
  for (int threads : {2, 5}) {
    std::vector<float> values(8192, -1.0f);
    ASSERT_TRUE(initializeParameters(plan, 3, 0, values, threads).ok());
    EXPECT_EQ(values, whole) << threads << " threads";
  }
}

TEST(Parameters, FollowTheirInit) {
  plan::Plan plan = makePlan();
  std::vector<float> values(8192, -1.0f);
  ASSERT_TRUE(initializeParameters(plan, 3, 0, values, 1).ok());
  double sum = 0, squares = 0;
  for (int i = 2304; i < 4804; ++i) {
    sum += values[static_cast<size_t>(i)];
    squares += values[static_cast<size_t>(i)] * values[static_cast<size_t>(i)];
  }
  EXPECT_NEAR(sum / 2500, 0, 4 * 0.02 / 50) << "mean within four standard errors";
  EXPECT_NEAR(std::sqrt(squares / 2500), 0.02, 0.002);
  EXPECT_EQ(values[2048], 1.0f);
  EXPECT_EQ(values[2048 + 63], 1.0f);
  EXPECT_EQ(values[2048 + 64], 0.0f) << "gaps are zero";
  EXPECT_EQ(values[4900], 0.0f);
  EXPECT_NE(values[0], values[2304]) << "names give different sequences";
  std::vector<float> other(8192);
  ASSERT_TRUE(initializeParameters(plan, 4, 0, other, 1).ok());
  EXPECT_NE(other, values) << "so do seeds";
}

TEST(Parameters, RefuseAnUnknownInit) {
  plan::Plan plan = makePlan();
  plan.mutable_parameters(2)->set_init("xavier");
  std::vector<float> values(8192);
  absl::Status status = initializeParameters(plan, 3, 0, values, 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("'layers.0.wq': unknown init 'xavier'"));
}

std::vector<int> maskOf(const std::vector<std::string> &noDecay, int64_t first, int64_t count) {
  absl::StatusOr<std::vector<float>> mask = decayMask(makePlan(), noDecay, first, count);
  EXPECT_TRUE(mask.ok()) << mask.status();
  return std::vector<int>(mask->begin(), mask->end());
}

TEST(Parameters, DecayMaskFollowsBlocksAndExclusions) {
  std::vector<int> expected(32, 0);
  for (int block : {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
    expected[static_cast<size_t>(block)] = 1;
  std::vector<int> whole = maskOf({}, 0, 8192);
  EXPECT_EQ(whole, expected);
  std::vector<int> halves = maskOf({}, 0, 4096), second = maskOf({}, 4096, 4096);
  halves.insert(halves.end(), second.begin(), second.end());
  EXPECT_EQ(halves, whole);
  EXPECT_EQ(maskOf({"embed"}, 0, 2048), std::vector<int>(8, 0));
  EXPECT_EQ(maskOf({"*h0", "layers.*.wq"}, 2304, 2816), std::vector<int>(11, 0));
  EXPECT_EQ(maskOf({"*"}, 0, 8192), std::vector<int>(32, 0));
}

TEST(Parameters, RefuseAPatternThatMatchesNothing) {
  absl::StatusOr<std::vector<float>> mask = decayMask(makePlan(), std::vector<std::string>{"embd"}, 0, 8192);
  EXPECT_THAT(std::string(mask.status().message()),
              testing::HasSubstr("'embd' matches no parameter; did you mean 'embed'?"));
  EXPECT_FALSE(decayMask(makePlan(), {}, 100, 256).ok());
}

TEST(Parameters, CountsElements) {
  EXPECT_EQ(usedElements(makePlan()), 5164);
  EXPECT_EQ(parameterCount(makePlan()), 1961 + 64 + 2500 + 300);
}

} // namespace
} // namespace oriel::trainer
