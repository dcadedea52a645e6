// Small schedule problems of every kind: chains, skips, mixers whose states are re-made with them.
#ifndef ORIEL_TESTS_UNIT_COMPILER_SCHEDULE_RANDOMPROBLEM_H
#define ORIEL_TESTS_UNIT_COMPILER_SCHEDULE_RANDOMPROBLEM_H

#include "compiler/schedule/Problem.h"

#include <random>

namespace oriel::schedule {

/// A forward half of `ops` ops, then a backward half that uses most of their results in about the reverse order.
inline Problem randomProblem(unsigned seed, int ops = 6, int mixers = 2) {
  std::mt19937 rng(seed);
  auto pick = [&](int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(rng); };
  auto seconds = [&] { return static_cast<double>(pick(1, 12)) / 4; }; // exact sums, and ties now and then
  Problem problem;
  problem.name = "random" + std::to_string(seed);
  problem.device = "paper";
  problem.fixedBytes = pick(0, 50);
  problem.fixedSeconds = 3;
  int64_t forwardSteps = 2 * ops;
  problem.steps = forwardSteps + 3 * ops + 2;
  for (int i = 0; i < ops; ++i) {
    Op op;
    op.path = "layers." + std::to_string(i) + ".op";
    op.recomputeSeconds = seconds();
    op.scratchBytes = pick(0, 2) ? 0 : pick(0, 20);
    op.made = 2 * i;
    if (pick(0, 9) == 0)
      op.given = pick(0, 1) ? Given::Save : Given::Recompute;
    for (int64_t results = pick(0, 3) ? 1 : 2; results > 0; --results) {
      Result result{pick(0, 40), std::min(forwardSteps - 1, op.made + pick(0, 5)), {}};
      if (pick(0, 4) > 0) {
        int64_t about = forwardSteps + 3 * (ops - 1 - i), first = std::max(forwardSteps, about + pick(-3, 4));
        result.backward = {first, std::min(problem.steps - 1, first + pick(0, 5))};
      }
      op.results.push_back(result);
    }
    for (size_t input = std::max(0, i - 3); input < static_cast<size_t>(i); ++input)
      if (pick(0, 1))
        op.inputs.push_back({input, static_cast<size_t>(pick(0, problem.ops[input].results.size() - 1))});
    problem.ops.push_back(op);
  }
  for (int i = 0; i < mixers; ++i) {
    Mixer mixer{static_cast<size_t>(ops - 1 - 2 * i), forwardSteps + pick(0, 3 * ops), {}};
    int64_t candidates = pick(1, 3);
    for (int64_t c = 1; c <= candidates; ++c)
      mixer.candidates.push_back({16 * c, c, c == 2, c == 3, 0, seconds(), seconds(), pick(0, 40), pick(0, 20)});
    problem.mixers.push_back(mixer);
  }
  for (int i = 0; i < 4; ++i) {
    int64_t first = pick(0, problem.steps - 1);
    problem.blocks.push_back(
        {"block" + std::to_string(i), pick(0, 30), {first, std::min(problem.steps - 1, first + pick(0, 4))}});
  }
  return problem;
}

} // namespace oriel::schedule

#endif
