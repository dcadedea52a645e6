#include "compiler/schedule/Solvers.h"

#include <limits>

namespace oriel::schedule {
namespace {

bool isBetter(const Problem &problem, const Schedule &a, const Schedule &b) {
  double aSeconds = predictedSeconds(problem, a), bSeconds = predictedSeconds(problem, b);
  return aSeconds < bSeconds || (aSeconds == bSeconds && predictedBytes(problem, a) < predictedBytes(problem, b));
}

/// Steps to the next schedule in counting order; false after the last.
bool advance(const Problem &problem, Schedule &schedule) {
  for (size_t i = 0; i < problem.mixers.size(); ++i) {
    if (++schedule.candidates[i] < problem.mixers[i].candidates.size())
      return true;
    schedule.candidates[i] = 0;
  }
  for (size_t i = 0; i < problem.values.size(); ++i) {
    schedule.recompute[i] = !schedule.recompute[i];
    if (schedule.recompute[i])
      return true;
  }
  return false;
}

Schedule firstSchedule(const Problem &problem) {
  return {std::vector<size_t>(problem.mixers.size(), 0), std::vector<bool>(problem.values.size(), false)};
}

/// Every schedule that differs from `schedule` in one decision.
std::vector<Schedule> neighbours(const Problem &problem, const Schedule &schedule) {
  std::vector<Schedule> result;
  for (size_t i = 0; i < problem.mixers.size(); ++i)
    for (size_t c = 0; c < problem.mixers[i].candidates.size(); ++c)
      if (c != schedule.candidates[i]) {
        result.push_back(schedule);
        result.back().candidates[i] = c;
      }
  for (size_t i = 0; i < problem.values.size(); ++i)
    if (!schedule.recompute[i]) {
      result.push_back(schedule);
      result.back().recompute[i] = true;
    }
  return result;
}

} // namespace

std::optional<Schedule> solveExhaustive(const Problem &problem) {
  if (!problem.check().empty())
    return std::nullopt;
  std::optional<Schedule> best;
  Schedule schedule = firstSchedule(problem);
  do {
    if (verify(problem, schedule).empty() && (!best || isBetter(problem, schedule, *best)))
      best = schedule;
  } while (advance(problem, schedule));
  return best;
}

std::optional<Schedule> solveGreedy(const Problem &problem) {
  if (!problem.check().empty())
    return std::nullopt;
  Problem unlimited = problem;
  unlimited.budgetBytes = 0;
  Schedule schedule = firstSchedule(problem);
  for (size_t i = 0; i < problem.mixers.size(); ++i)
    for (size_t c = 1; c < problem.mixers[i].candidates.size(); ++c) {
      Schedule other = schedule;
      other.candidates[i] = c;
      if (isBetter(unlimited, other, schedule))
        schedule = other;
    }
  while (!verify(problem, schedule).empty()) {
    int64_t bytes = predictedBytes(problem, schedule);
    double seconds = predictedSeconds(problem, schedule), bestPrice = std::numeric_limits<double>::infinity();
    std::optional<Schedule> best;
    for (const Schedule &other : neighbours(problem, schedule)) {
      int64_t freed = bytes - predictedBytes(problem, other);
      double price = freed > 0 ? (predictedSeconds(problem, other) - seconds) / static_cast<double>(freed) : bestPrice;
      if (price < bestPrice) {
        bestPrice = price;
        best = other;
      }
    }
    if (!best)
      return std::nullopt;
    schedule = *best;
  }
  return schedule;
}

} // namespace oriel::schedule
