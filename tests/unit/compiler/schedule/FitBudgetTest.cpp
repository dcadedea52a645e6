// Fitting a schedule to a plan whose memory is near the model's, not equal to it.
#include "compiler/schedule/FitBudget.h"
#include "compiler/schedule/Solvers.h"
#include "tests/unit/compiler/schedule/RandomProblem.h"

#include "gtest/gtest.h"

namespace oriel::schedule {
namespace {

/// A plan that needs a tenth more than the model thinks.
PlannedBytes wastefulPlan(const Problem &problem) {
  return [&](const Schedule &schedule) { return predict(problem, schedule).peakBytes * 11 / 10; };
}

TEST(FitBudget, ThePlanFitsNotOnlyTheModel) {
  int found = 0;
  for (unsigned seed = 0; seed < 100; ++seed) {
    Problem problem = randomProblem(seed, 7, 2);
    int64_t most = predict(problem, fastestSchedule(problem)).peakBytes;
    int64_t least = predict(problem, *solveLeastMemory(problem)).peakBytes;
    problem.budgetBytes = (most + least) / 2 * 11 / 10;
    int64_t leastBytes = 0;
    auto fit = fitBudget(problem, wastefulPlan(problem), leastBytes);
    ASSERT_TRUE(fit) << "seed " << seed;
    EXPECT_LE(fit->plannedBytes, problem.budgetBytes);
    EXPECT_EQ(fit->plannedBytes, *wastefulPlan(problem)(fit->schedule));
    found += predict(problem, fit->schedule).seconds > predict(problem, fastestSchedule(problem)).seconds;
  }
  EXPECT_GT(found, 10);
}

TEST(FitBudget, TheLeastIsNamedWhenNothingFits) {
  Problem problem = randomProblem(4, 7, 2);
  problem.fixedBytes = 1000;
  problem.budgetBytes = 900;
  int64_t leastBytes = 0;
  EXPECT_FALSE(fitBudget(problem, wastefulPlan(problem), leastBytes));
  EXPECT_EQ(leastBytes, predict(problem, *solveLeastMemory(problem)).peakBytes * 11 / 10);
}

TEST(FitBudget, WithoutABudgetNothingIsPlanned) {
  Problem problem = randomProblem(5);
  int64_t leastBytes = 0;
  auto fit = fitBudget(
      problem, [](const Schedule &) -> std::optional<int64_t> { throw "planned"; }, leastBytes);
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->schedule, fastestSchedule(problem));
}

TEST(FitBudget, APlanThatCannotBeMadeEndsTheSearch) {
  Problem problem = randomProblem(6);
  problem.budgetBytes = 1;
  int64_t leastBytes = 0;
  EXPECT_FALSE(fitBudget(
      problem, [](const Schedule &) { return std::nullopt; }, leastBytes));
}

} // namespace
} // namespace oriel::schedule
