// The schedule problem by itself: what is alive when, what a chain of re-made values costs, what is malformed.
#include "compiler/schedule/Problem.h"
#include "tests/unit/compiler/schedule/RandomProblem.h"

#include "gtest/gtest.h"

namespace oriel::schedule {
namespace {

/// a → b → c over the steps 0 1 2 | 3 4 5: the backward uses c at 3, b at 4 and a at 5.
Problem chain() {
  Problem problem;
  problem.steps = 6;
  problem.fixedBytes = 1000;
  problem.ops = {{"a", 1, 0, 0, {{100, 1, {5, 5}}}, {}},
                 {"b", 2, 0, 1, {{10, 2, {4, 4}}}, {{0, 0}}},
                 {"c", 4, 0, 2, {{1, 2, {3, 3}}}, {{1, 0}}}};
  return problem;
}

TEST(Problem, KeptResultsLiveFromTheirMakingToTheirLastUse) {
  Problem problem = chain();
  EXPECT_EQ(problem.check(), "");
  Schedule keep = fastestSchedule(problem);
  EXPECT_EQ(timeline(problem, keep), (std::vector<int64_t>{1100, 1110, 1111, 1111, 1110, 1100}));
  EXPECT_DOUBLE_EQ(predict(problem, keep).seconds, 0);
  EXPECT_EQ(predict(problem, keep).peakBytes, 1111);
  EXPECT_EQ(predict(problem, keep).peakStep, 2);
}

TEST(Problem, AnOpThatRunsAgainAsksForItsInputsThere) {
  Problem problem = chain();
  // b is not kept: it is made again at step 4, and needs a there, which the backward keeps to step 5 anyhow.
  Schedule schedule{{}, {false, true, false}};
  EXPECT_EQ(needsOf(problem, schedule).ops[0], (Interval{4, 5}));
  EXPECT_EQ(timeline(problem, schedule), (std::vector<int64_t>{1100, 1110, 1111, 1101, 1110, 1100}));
  EXPECT_DOUBLE_EQ(predict(problem, schedule).seconds, 2);
}

TEST(Problem, AChainRunsAgainAsAWhole) {
  Problem problem = chain();
  // c is made again at step 3: that needs b at 3, which needs a at 3. Nothing but a is alive between the halves.
  Schedule schedule{{}, {false, true, true}};
  Needs need = needsOf(problem, schedule);
  EXPECT_EQ(need.ops[1], (Interval{3, 4}));
  EXPECT_EQ(need.ops[0], (Interval{3, 5}));
  EXPECT_DOUBLE_EQ(predict(problem, schedule).seconds, 6);
}

TEST(Problem, AResultThatNobodyNeedsIsFree) {
  Problem problem = chain();
  problem.ops[1].results[0].backward = {};
  Schedule keep = fastestSchedule(problem), flag = keep;
  flag.recompute[1] = true; // says nothing
  EXPECT_EQ(timeline(problem, keep), (std::vector<int64_t>{1100, 1110, 1111, 1101, 1100, 1100}));
  EXPECT_EQ(timeline(problem, flag), timeline(problem, keep));
  EXPECT_DOUBLE_EQ(predict(problem, flag).seconds, 0);
}

TEST(Problem, StatesAreSavedByTheRunBeforeTheGradient) {
  Problem problem = chain();
  problem.mixers = {{1, 5, {{64, 4, false, false, 0, 0.5, 1.0, 1000000, 20000000}}}};
  EXPECT_EQ(problem.check(), "");
  Schedule keep{{0}, {false, false, false}}, again{{0}, {false, true, false}};
  EXPECT_EQ(timeline(problem, keep), (std::vector<int64_t>{1100, 1001110, 1001111, 1001111, 1001110, 21001100}));
  EXPECT_EQ(timeline(problem, again), (std::vector<int64_t>{1100, 1110, 1111, 1101, 1001110, 21001100}));
  EXPECT_DOUBLE_EQ(predict(problem, keep).seconds, 1.5);
  EXPECT_DOUBLE_EQ(predict(problem, again).seconds, 3.5);
}

TEST(Problem, VerifyNamesTheStepThatExceedsTheBudget) {
  Problem problem = chain();
  problem.budgetBytes = 1110;
  Schedule keep = fastestSchedule(problem);
  EXPECT_EQ(verify(problem, keep), "the schedule needs 1111 bytes at step 2, the budget is 1110");
  problem.budgetBytes = 1111;
  EXPECT_EQ(verify(problem, keep), "");
  EXPECT_NE(verify(problem, Schedule{}), "");
}

TEST(Problem, ResultsOfOneOpLiveApart) {
  Problem problem;
  problem.steps = 6;
  problem.ops = {{"norm", 1, 0, 0, {{100, 0, {5, 5}}, {10, 2, {}}}, {}}}; // the second is not needed again
  EXPECT_EQ(timeline(problem, {{}, {false}}), (std::vector<int64_t>{110, 110, 110, 100, 100, 100}));
  EXPECT_EQ(timeline(problem, {{}, {true}}), (std::vector<int64_t>{110, 10, 10, 0, 0, 110}));
}

TEST(Problem, CheckNamesWhatIsWrong) {
  auto wrong = [](auto change) {
    Problem problem = randomProblem(3);
    change(problem);
    return problem.check();
  };
  EXPECT_EQ(wrong([](Problem &) {}), "");
  EXPECT_NE(wrong([](Problem &p) { p.ops[1].path = p.ops[0].path; }).find("two ops"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.ops[0].inputs = {{0, 0}}; }).find("does not come before"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.ops[1].inputs = {{0, 9}}; }).find("does not come before"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.ops[0].results[0].bytes = -1; }).find("negative"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.ops[0].results[0].lastForward = p.steps; }).find("outside"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.ops[0].results[0].backward = {0, 1}; }).find("backward uses"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.mixers[1].op = p.mixers[0].op; }).find("two mixers"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.mixers[0].candidates.clear(); }).find("no candidate"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.mixers[0].candidates[0].chunk = 0; }).find("out of range"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.mixers[0].gradientStep = 0; }).find("gradient"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.blocks[0].life.last = p.steps; }).find("block"), std::string::npos);
  EXPECT_NE(wrong([](Problem &p) { p.budgetBytes = -1; }).find("budget"), std::string::npos);
}

} // namespace
} // namespace oriel::schedule
