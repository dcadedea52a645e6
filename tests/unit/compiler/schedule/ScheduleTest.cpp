// The state-save problem: checks, verification, the greedy solver against the exhaustive judge, and the cost model's
// shape.
#include "compiler/schedule/Cost.h"
#include "compiler/schedule/Solvers.h"

#include "gtest/gtest.h"

#include <random>

namespace oriel::schedule {
namespace {

Problem randomProblem(unsigned seed) {
  std::mt19937 rng(seed);
  std::uniform_int_distribution<int64_t> bytes(1, 100);
  std::uniform_real_distribution<double> seconds(0.1, 2.0);
  Problem problem;
  for (int i = 0; i < 3; ++i) {
    Mixer mixer{"mixer" + std::to_string(i), {}};
    for (int64_t c = 1; c <= 3; ++c)
      mixer.candidates.push_back({16 * c, c, seconds(rng), bytes(rng), bytes(rng)});
    problem.mixers.push_back(mixer);
  }
  for (int i = 0; i < 5; ++i)
    problem.values.push_back({"value" + std::to_string(i), bytes(rng), seconds(rng)});
  return problem;
}

TEST(Solvers, WithoutABudgetGreedyIsOptimal) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    Problem problem = randomProblem(seed);
    auto greedy = solveGreedy(problem), best = solveExhaustive(problem);
    ASSERT_TRUE(greedy && best);
    EXPECT_DOUBLE_EQ(predictedSeconds(problem, *greedy), predictedSeconds(problem, *best)) << "seed " << seed;
  }
}

TEST(Solvers, UnderABudgetGreedyIsLegalAndNeverBeatsTheJudge) {
  int solved = 0;
  for (unsigned seed = 0; seed < 20; ++seed) {
    Problem problem = randomProblem(seed);
    problem.budgetBytes = predictedBytes(problem, *solveExhaustive(problem)) * 2 / 3;
    auto greedy = solveGreedy(problem), best = solveExhaustive(problem);
    if (!greedy)
      continue;
    ++solved;
    EXPECT_EQ(verify(problem, *greedy), "") << "seed " << seed;
    ASSERT_TRUE(best) << "the judge found nothing where greedy did, seed " << seed;
    EXPECT_LE(predictedSeconds(problem, *best), predictedSeconds(problem, *greedy) + 1e-12) << "seed " << seed;
  }
  EXPECT_GT(solved, 10);
}

TEST(Solvers, ImpossibleBudgetGivesNothing) {
  Problem problem = randomProblem(1);
  problem.budgetBytes = 1;
  EXPECT_FALSE(solveGreedy(problem));
  EXPECT_FALSE(solveExhaustive(problem));
}

TEST(Problem, CheckNamesTheFault) {
  Problem problem = randomProblem(2);
  EXPECT_EQ(problem.check(), "");
  problem.values[0].path = "mixer1";
  EXPECT_NE(problem.check().find("mixer1"), std::string::npos);
  problem = randomProblem(2);
  problem.mixers[1].candidates.clear();
  EXPECT_NE(problem.check().find("no candidate"), std::string::npos);
  problem = randomProblem(2);
  problem.budgetBytes = -1;
  EXPECT_NE(problem.check().find("budget"), std::string::npos);
}

TEST(Problem, VerifyNamesTheFault) {
  Problem problem = randomProblem(3);
  Schedule schedule = *solveGreedy(problem);
  EXPECT_EQ(verify(problem, schedule), "");
  schedule.candidates[0] = 99;
  EXPECT_NE(verify(problem, schedule).find("mixer0"), std::string::npos);
  schedule = *solveGreedy(problem);
  problem.budgetBytes = predictedBytes(problem, schedule) - 1;
  EXPECT_NE(verify(problem, schedule).find("budget"), std::string::npos);
}

RecurrentFacts facts() {
  RecurrentFacts mixer;
  mixer.rowTokens = 1000;
  mixer.stateElements = 2 * 128 * 64;
  mixer.activationBytes = 1 << 20;
  mixer.forwardFlops = [](int64_t chunk) { return 1e8 + 1e5 * static_cast<double>(chunk); };
  mixer.stateUpdateFlops = [](int64_t chunk) { return 1e4 * static_cast<double>(chunk); };
  return mixer;
}

TEST(Cost, SavingLessTakesLessMemoryAndMoreArithmetic) {
  MixerCandidate every = predictMixer(genericCpu(), facts(), 64, 1),
                 fourth = predictMixer(genericCpu(), facts(), 64, 4);
  EXPECT_EQ(every.savedBytes, 16 * 2 * 128 * 64 * 4); // ceil(1000 / 64) states
  EXPECT_EQ(fourth.savedBytes, every.savedBytes / 4);
  EXPECT_GT(fourth.seconds, every.seconds);
  EXPECT_EQ(fourth.workspaceBytes, 4 * every.workspaceBytes);
}

TEST(Cost, CandidatesAreLegal) {
  RecurrentFacts mixer = facts();
  for (int64_t tokens : {1, 16, 17, 63, 1000}) {
    mixer.rowTokens = tokens;
    Problem problem;
    problem.mixers.push_back({"m", mixerCandidates(genericCpu(), mixer)});
    EXPECT_EQ(problem.check(), "") << tokens;
    for (const MixerCandidate &candidate : problem.mixers[0].candidates)
      EXPECT_EQ(candidate.chunk % 16, 0);
  }
}

} // namespace
} // namespace oriel::schedule
