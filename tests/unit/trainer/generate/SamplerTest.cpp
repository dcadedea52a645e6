// Tests that sampling follows temperature, top-k and top-p, and that a draw is a pure function.
#include "trainer/generate/Sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

namespace oriel::trainer {
namespace {

const std::vector<float> kLogits = {std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};

std::map<int32_t, double> frequencies(std::span<const float> logits, const SamplingOptions &options,
                                      int draws = 20000) {
  std::map<int32_t, double> result;
  for (int i = 0; i < draws; ++i)
    result[sampleToken(logits, options, i)] += 1.0 / draws;
  return result;
}

TEST(Sampler, TemperatureZeroTakesTheLikeliest) {
  EXPECT_EQ(sampleToken(kLogits, {.temperature = 0, .seed = 9}, 3), 1);
  EXPECT_EQ(sampleToken(std::vector<float>{2, 5, 5}, {.temperature = 0}, 0), 1) << "ties go to the smaller id";
}

TEST(Sampler, TemperatureOneDrawsTheDistribution) {
  auto seen = frequencies(kLogits, {.temperature = 1});
  for (int id = 0; id < 4; ++id)
    EXPECT_NEAR(seen[id], std::exp(kLogits[id]), 0.02) << id;
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  // p^(1/T), normalised: at T = 1/2 the squares 1, 16, 4, 9 over 30.
  EXPECT_NEAR(frequencies(kLogits, {.temperature = 0.5})[1], 16.0 / 30, 0.02);
  EXPECT_NEAR(frequencies(kLogits, {.temperature = 100})[0], 0.25, 0.03);
}

TEST(Sampler, TopKKeepsTheKLikeliest) {
  auto seen = frequencies(kLogits, {.temperature = 1, .topK = 2});
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_NEAR(seen[1], 4.0 / 7, 0.02);
  EXPECT_NEAR(seen[3], 3.0 / 7, 0.02);
  EXPECT_EQ(frequencies(kLogits, {.temperature = 1, .topK = 99}).size(), 4u);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  EXPECT_EQ(frequencies(kLogits, {.temperature = 1, .topP = 0.35}).size(), 1u);
  EXPECT_EQ(frequencies(kLogits, {.temperature = 1, .topP = 0.65}).size(), 2u);
  EXPECT_EQ(frequencies(kLogits, {.temperature = 1, .topP = 0.75}).size(), 3u);
  EXPECT_EQ(frequencies(kLogits, {.temperature = 1, .topP = 0}).size(), 1u);
}

TEST(Sampler, NeverDrawsWhatIsNotFinite) {
  float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(frequencies(std::vector<float>{nan, 0, -infinity, infinity}, {.temperature = 1}).size(), 1u);
  EXPECT_EQ(sampleToken(std::vector<float>{nan, nan}, {}, 0), 0);
}

TEST(Sampler, ADrawIsAFunctionOfSeedAndNumber) {
  SamplingOptions one{.temperature = 1, .seed = 1}, two{.temperature = 1, .seed = 2};
  int differ = 0;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(sampleToken(kLogits, one, i), sampleToken(kLogits, one, i));
    differ += sampleToken(kLogits, one, i) != sampleToken(kLogits, two, i);
  }
  EXPECT_GT(differ, 30);
}

TEST(Sampler, UniformDrawsFillTheUnitInterval) {
  double sum = 0, least = 1, most = 0;
  for (int i = 0; i < 10000; ++i) {
    double u = uniformDraw(5, i);
    sum += u;
    least = std::min(least, u);
    most = std::max(most, u);
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.01);
  EXPECT_GE(least, 0);
  EXPECT_LT(most, 1);
  EXPECT_LT(least, 0.001);
  EXPECT_GT(most, 0.999);
}

} // namespace
} // namespace oriel::trainer
