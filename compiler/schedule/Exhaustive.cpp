// The judge: every schedule, one after the other.
#include "compiler/schedule/Solvers.h"

namespace oriel::schedule {
namespace {

/// Steps to the next schedule in counting order; false after the last.
bool advance(const Problem &problem, Schedule &schedule) {
  for (size_t i = 0; i < problem.mixers.size(); ++i) {
    if (++schedule.candidates[i] < problem.mixers[i].candidates.size())
      return true;
    schedule.candidates[i] = 0;
  }
  for (size_t i = 0; i < problem.ops.size(); ++i) {
    if (problem.ops[i].given != Given::Nothing)
      continue;
    schedule.recompute[i] = !schedule.recompute[i];
    if (schedule.recompute[i])
      return true;
  }
  return false;
}

} // namespace

std::optional<Schedule> solveExhaustive(const Problem &problem) {
  if (!problem.check().empty())
    return std::nullopt;
  Schedule schedule = fastestSchedule(problem);
  schedule.candidates.assign(problem.mixers.size(), 0);
  std::optional<Schedule> best;
  Prediction bestPrediction;
  do {
    Prediction prediction = predict(problem, schedule);
    bool fits = problem.budgetBytes == 0 || prediction.peakBytes <= problem.budgetBytes;
    if (fits && (!best || isBetter(prediction, bestPrediction))) {
      best = schedule;
      bestPrediction = prediction;
    }
  } while (advance(problem, schedule));
  return best;
}

} // namespace oriel::schedule
