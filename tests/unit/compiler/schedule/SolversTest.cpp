// The solvers against the judge, which tries everything.
#include "compiler/schedule/Solvers.h"
#include "tests/unit/compiler/schedule/RandomProblem.h"

#include "gtest/gtest.h"

namespace oriel::schedule {
namespace {

constexpr unsigned problems = 300;

/// The problem of that seed with a budget somewhere between the least peak and that of keeping everything.
Problem boundedProblem(unsigned seed, std::optional<Schedule> &least) {
  Problem problem = randomProblem(seed, /*ops=*/5 + seed % 3, /*mixers=*/seed % 3);
  least = solveLeastMemory(problem);
  int64_t most = predict(problem, fastestSchedule(problem)).peakBytes;
  int64_t fewest = least ? predict(problem, *least).peakBytes : most;
  problem.budgetBytes = fewest + (most - fewest) * (seed % 5) / 4;
  return problem;
}

TEST(Solvers, ExactFindsWhatTheJudgeFinds) {
  int tight = 0;
  for (unsigned seed = 0; seed < problems; ++seed) {
    std::optional<Schedule> least;
    Problem problem = boundedProblem(seed, least);
    auto exact = solveExact(problem), judge = solveExhaustive(problem);
    ASSERT_TRUE(judge && exact) << "seed " << seed;
    EXPECT_EQ(verify(problem, *exact), "") << "seed " << seed;
    EXPECT_EQ(predict(problem, *exact).seconds, predict(problem, *judge).seconds) << "seed " << seed;
    EXPECT_EQ(predict(problem, *exact).peakBytes, predict(problem, *judge).peakBytes) << "seed " << seed;
    tight += predict(problem, *judge).seconds > predict(problem, fastestSchedule(problem)).seconds;
  }
  EXPECT_GT(tight, 60) << "too few budgets cost time";
}

TEST(Solvers, LeastMemoryIsWhatNoScheduleGoesBelow) {
  for (unsigned seed = 0; seed < problems; ++seed) {
    Problem problem = randomProblem(seed, 6, seed % 3);
    auto least = solveLeastMemory(problem);
    ASSERT_TRUE(least);
    problem.budgetBytes = predict(problem, *least).peakBytes;
    auto judge = solveExhaustive(problem);
    ASSERT_TRUE(judge) << "seed " << seed;
    EXPECT_EQ(predict(problem, *least).seconds, predict(problem, *judge).seconds) << "seed " << seed;
    if (--problem.budgetBytes > 0) {
      EXPECT_FALSE(solveExhaustive(problem)) << "seed " << seed;
    }
  }
}

TEST(Solvers, GreedyIsLegalAndNeverBetter) {
  int solved = 0;
  for (unsigned seed = 0; seed < problems; ++seed) {
    std::optional<Schedule> least;
    Problem problem = boundedProblem(seed, least);
    auto greedy = solveGreedy(problem), judge = solveExhaustive(problem);
    if (!greedy)
      continue;
    ++solved;
    EXPECT_EQ(verify(problem, *greedy), "") << "seed " << seed;
    EXPECT_FALSE(isBetter(predict(problem, *greedy), predict(problem, *judge))) << "seed " << seed;
  }
  EXPECT_GT(solved, static_cast<int>(problems) / 2);
}

TEST(Solvers, AGapIsKept) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::optional<Schedule> least;
    Problem problem = boundedProblem(seed, least);
    double changeable = 0;
    for (const Op &op : problem.ops)
      changeable += op.recomputeSeconds;
    for (const Mixer &mixer : problem.mixers) {
      double most = 0;
      for (const MixerCandidate &candidate : mixer.candidates)
        most = std::max(most, candidate.seconds());
      changeable += most;
    }
    auto near = solveExact(problem, {0.1, 0}), exact = solveExact(problem);
    ASSERT_TRUE(near && exact);
    EXPECT_EQ(verify(problem, *near), "");
    EXPECT_LE(predict(problem, *near).seconds, predict(problem, *exact).seconds + 0.1 * changeable) << "seed " << seed;
  }
}

TEST(Solvers, ImprovedSchedulesFitAndNoSingleChangeMakesThemFaster) {
  int improved = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::optional<Schedule> least;
    Problem problem = boundedProblem(seed, least);
    std::optional<Schedule> judge = solveExhaustive(problem);
    ASSERT_TRUE(least && judge) << "seed " << seed;
    Schedule better = improve(problem, *least);
    double seconds = predict(problem, better).seconds;
    EXPECT_EQ(verify(problem, better), "") << "seed " << seed;
    EXPECT_LE(seconds, predict(problem, *least).seconds) << "seed " << seed;
    EXPECT_GE(seconds, predict(problem, *judge).seconds) << "seed " << seed;
    improved += seconds < predict(problem, *least).seconds;
    for (size_t i = 0; i < problem.ops.size(); ++i) {
      Schedule other = better;
      other.recompute[i] = !other.recompute[i];
      if (verify(problem, other).empty()) {
        EXPECT_GE(predict(problem, other).seconds, seconds) << "seed " << seed << " op " << i;
      }
    }
  }
  EXPECT_GT(improved, 10);
}

TEST(Solvers, NearlyTheFastestIsSmallerAndWithinItsShare) {
  int smaller = 0;
  for (unsigned seed = 0; seed < problems; ++seed) {
    Problem problem = randomProblem(seed, 6, seed % 3);
    Prediction fastest = predict(problem, fastestSchedule(problem));
    for (double share : {0.0, 0.1, 0.5}) {
      Schedule schedule = solveNearFastest(problem, share);
      EXPECT_EQ(verify(problem, schedule), "") << "seed " << seed;
      Prediction near = predict(problem, schedule);
      EXPECT_LE(near.seconds, fastest.seconds * (1 + share)) << "seed " << seed;
      EXPECT_LE(near.peakBytes, fastest.peakBytes) << "seed " << seed;
      smaller += near.peakBytes < fastest.peakBytes;
    }
  }
  EXPECT_GT(smaller, 200) << "too few trades to say anything";
}

TEST(Solvers, ImpossibleAndMalformedProblemsGiveNothing) {
  Problem problem = randomProblem(1);
  problem.fixedBytes = 100;
  problem.budgetBytes = 99;
  EXPECT_FALSE(solveGreedy(problem));
  EXPECT_FALSE(solveExhaustive(problem));
  EXPECT_FALSE(solveExact(problem));
  problem.budgetBytes = 0;
  problem.ops[0].results[0].bytes = -1;
  EXPECT_FALSE(solveGreedy(problem));
  EXPECT_FALSE(solveExhaustive(problem));
  EXPECT_FALSE(solveExact(problem));
  EXPECT_FALSE(solveLeastMemory(problem));
}

/// A model of many layers whose exact answer is known: every layer keeps `x` and pays for `y` alike.
TEST(Solvers, ExactIsExactForManyLayers) {
  constexpr int64_t layers = 40;
  Problem problem;
  problem.steps = 4 * layers;
  for (int64_t l = 0; l < layers; ++l) {
    int64_t back = 4 * layers - 1 - 2 * l;
    std::string path = "layers." + std::to_string(l);
    problem.ops.push_back({path + ".x", 100, 0, 2 * l, {{10, 2 * l + 1, {back, back}}}, {}});
    problem.ops.push_back({path + ".y", 1, 0, 2 * l + 1, {{3, 2 * l + 1, {back - 1, back - 1}}}, {{size_t(2 * l), 0}}});
  }
  for (int64_t remade : {0, 1, 7, 39}) {
    problem.budgetBytes = 13 * layers - 3 * remade;
    auto exact = solveExact(problem);
    ASSERT_TRUE(exact);
    EXPECT_EQ(predict(problem, *exact).seconds, remade);
  }
}

} // namespace
} // namespace oriel::schedule
