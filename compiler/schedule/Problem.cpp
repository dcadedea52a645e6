#include "compiler/schedule/Problem.h"

#include <algorithm>
#include <set>

namespace oriel::schedule {

std::string Problem::check() const {
  std::set<std::string> paths;
  for (const Mixer &mixer : mixers) {
    if (mixer.candidates.empty())
      return "mixer " + mixer.path + " has no candidate";
    if (!paths.insert(mixer.path).second)
      return "two things are named " + mixer.path;
    for (const MixerCandidate &candidate : mixer.candidates)
      if (candidate.chunk <= 0 || candidate.saveEvery <= 0 || candidate.seconds < 0 || candidate.savedBytes < 0 ||
          candidate.workspaceBytes < 0)
        return "mixer " + mixer.path + " has a candidate with a number out of range";
  }
  for (const SavedValue &value : values) {
    if (!paths.insert(value.path).second)
      return "two things are named " + value.path;
    if (value.bytes < 0 || value.recomputeSeconds < 0)
      return "value " + value.path + " has a negative number";
  }
  return budgetBytes < 0 ? "the budget is negative" : "";
}

double predictedSeconds(const Problem &problem, const Schedule &schedule) {
  double seconds = 0;
  for (size_t i = 0; i < problem.mixers.size(); ++i)
    seconds += problem.mixers[i].candidates[schedule.candidates[i]].seconds;
  for (size_t i = 0; i < problem.values.size(); ++i)
    seconds += schedule.recompute[i] ? problem.values[i].recomputeSeconds : 0;
  return seconds;
}

int64_t predictedBytes(const Problem &problem, const Schedule &schedule) {
  int64_t saved = 0, workspace = 0;
  for (size_t i = 0; i < problem.mixers.size(); ++i) {
    const MixerCandidate &candidate = problem.mixers[i].candidates[schedule.candidates[i]];
    saved += candidate.savedBytes;
    workspace = std::max(workspace, candidate.workspaceBytes);
  }
  for (size_t i = 0; i < problem.values.size(); ++i)
    saved += schedule.recompute[i] ? 0 : problem.values[i].bytes;
  return saved + workspace;
}

std::string verify(const Problem &problem, const Schedule &schedule) {
  if (schedule.candidates.size() != problem.mixers.size() || schedule.recompute.size() != problem.values.size())
    return "the schedule does not decide everything once";
  for (size_t i = 0; i < problem.mixers.size(); ++i)
    if (schedule.candidates[i] >= problem.mixers[i].candidates.size())
      return "mixer " + problem.mixers[i].path + " has no candidate " + std::to_string(schedule.candidates[i]);
  int64_t bytes = predictedBytes(problem, schedule);
  if (problem.budgetBytes > 0 && bytes > problem.budgetBytes)
    return "the schedule needs " + std::to_string(bytes) + " bytes, the budget is " +
           std::to_string(problem.budgetBytes);
  return {};
}

} // namespace oriel::schedule
