// The greedy solver: removes what exceeds the budget where that costs the least. And the way back: spends what a budget
// leaves unused where that gains the most.
#include "compiler/schedule/Solvers.h"

#include <algorithm>
#include <limits>

namespace oriel::schedule {
namespace {

struct Rating {
  double seconds = 0;
  double excess = 0; // bytes over the budget, summed over steps
};

Rating rate(const Problem &problem, const Schedule &schedule) {
  Rating rating{predict(problem, schedule).seconds, 0};
  for (int64_t bytes : timeline(problem, schedule))
    if (problem.budgetBytes > 0 && bytes > problem.budgetBytes)
      rating.excess += static_cast<double>(bytes - problem.budgetBytes);
  return rating;
}

/// Calls `visit` with every schedule that differs from `schedule` in one decision.
template <typename Visit> void forEachNeighbour(const Problem &problem, Schedule schedule, Visit visit) {
  for (size_t i = 0; i < problem.mixers.size(); ++i) {
    size_t chosen = schedule.candidates[i];
    for (size_t c = 0; c < problem.mixers[i].candidates.size(); ++c)
      if (c != chosen) {
        schedule.candidates[i] = c;
        visit(schedule);
      }
    schedule.candidates[i] = chosen;
  }
  Needs need = needsOf(problem, schedule);
  for (size_t i = 0; i < problem.ops.size(); ++i)
    if (!need.ops[i].empty() && problem.ops[i].given == Given::Nothing) {
      schedule.recompute[i] = !schedule.recompute[i];
      visit(schedule);
      schedule.recompute[i] = !schedule.recompute[i];
    }
}

} // namespace

std::optional<Schedule> solveGreedy(const Problem &problem) {
  if (!problem.check().empty())
    return std::nullopt;
  Schedule schedule = fastestSchedule(problem);
  for (Rating now = rate(problem, schedule); now.excess > 0; now = rate(problem, schedule)) {
    double bestPrice = std::numeric_limits<double>::infinity();
    std::optional<Schedule> best;
    forEachNeighbour(problem, schedule, [&](const Schedule &other) {
      Rating then = rate(problem, other);
      double removed = now.excess - then.excess;
      double price = removed > 0 ? (then.seconds - now.seconds) / removed : bestPrice;
      if (price < bestPrice) {
        bestPrice = price;
        best = other;
      }
    });
    if (!best)
      return std::nullopt;
    schedule = *best;
  }
  return schedule;
}

Schedule improve(const Problem &problem, Schedule schedule) {
  auto occupied = [&](const Schedule &of) {
    double byteSteps = 0;
    for (int64_t bytes : timeline(problem, of))
      byteSteps += static_cast<double>(bytes);
    return byteSteps;
  };
  for (;;) {
    double now = predict(problem, schedule).seconds, nowOccupied = occupied(schedule), bestGain = 0;
    std::optional<Schedule> best;
    forEachNeighbour(problem, schedule, [&](const Schedule &other) {
      Prediction then = predict(problem, other);
      if (then.seconds >= now || (problem.budgetBytes > 0 && then.peakBytes > problem.budgetBytes))
        return;
      double gain = (now - then.seconds) / std::max(1.0, occupied(other) - nowOccupied);
      if (gain > bestGain) {
        bestGain = gain;
        best = other;
      }
    });
    if (!best)
      return schedule;
    schedule = *best;
  }
}

} // namespace oriel::schedule
