// From the fastest schedule to a smaller one that is nearly as fast.
#include "compiler/schedule/Solvers.h"

#include <algorithm>

namespace oriel::schedule {
namespace {

/// A decision that differs from the fastest schedule's: of one op, or of all mixers that have the same candidates,
/// since every candidate in use is a kernel to compile.
struct Change {
  std::vector<size_t> of;               // mixers, or one op
  std::optional<size_t> candidate = {}; // of the mixers; none: the op runs again
  double price = 0;                     // seconds per byte of peak, when it is the only change
};

Schedule with(Schedule schedule, const Change &change) {
  for (size_t i : change.of)
    if (change.candidate)
      schedule.candidates[i] = *change.candidate;
    else
      schedule.recompute[i] = true;
  return schedule;
}

std::vector<std::vector<size_t>> kindsOfMixers(const Problem &problem) {
  std::vector<std::vector<size_t>> kinds;
  for (size_t i = 0; i < problem.mixers.size(); ++i) {
    auto isSame = [&](const std::vector<size_t> &kind) {
      return problem.mixers[kind.front()].candidates == problem.mixers[i].candidates;
    };
    auto kind = std::find_if(kinds.begin(), kinds.end(), isSame);
    if (kind == kinds.end())
      kinds.push_back({i});
    else
      kind->push_back(i);
  }
  return kinds;
}

std::vector<Change> changesOf(const Problem &problem, const Schedule &fastest) {
  std::vector<Change> changes;
  for (const std::vector<size_t> &kind : kindsOfMixers(problem))
    for (size_t c = 0; c < problem.mixers[kind.front()].candidates.size(); ++c)
      if (c != fastest.candidates[kind.front()])
        changes.push_back({kind, c});
  Needs need = needsOf(problem, fastest);
  for (size_t i = 0; i < problem.ops.size(); ++i)
    if (!need.ops[i].empty() && problem.ops[i].given == Given::Nothing)
      changes.push_back({{i}});
  return changes;
}

} // namespace

Schedule solveNearFastest(const Problem &problem, double share) {
  Schedule schedule = fastestSchedule(problem);
  Prediction now = predict(problem, schedule);
  const double limit = now.seconds * (1 + share);
  std::vector<Change> useful;
  for (Change change : changesOf(problem, schedule)) {
    Prediction then = predict(problem, with(schedule, change));
    if (then.peakBytes >= now.peakBytes || then.seconds > limit)
      continue;
    change.price = (then.seconds - now.seconds) / static_cast<double>(now.peakBytes - then.peakBytes);
    useful.push_back(change);
  }
  std::stable_sort(useful.begin(), useful.end(), [](const Change &a, const Change &b) { return a.price < b.price; });
  for (const Change &change : useful) {
    Schedule other = with(schedule, change);
    Prediction then = predict(problem, other);
    if (then.peakBytes >= now.peakBytes || then.seconds > limit)
      continue;
    schedule = std::move(other);
    now = then;
  }
  return schedule;
}

} // namespace oriel::schedule
