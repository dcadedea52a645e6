#include "compiler/schedule/Problem.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace oriel::schedule {
namespace {

bool isAmount(double number) { return std::isfinite(number) && number >= 0; }

std::string checkOp(const Problem &problem, size_t i) {
  const Op &op = problem.ops[i];
  if (op.scratchBytes < 0 || !isAmount(op.recomputeSeconds))
    return "op " + op.path + " has a negative number";
  for (const Result &result : op.results) {
    if (result.bytes < 0)
      return "op " + op.path + " has a result of a negative size";
    if (op.made < 0 || result.lastForward < op.made || result.lastForward >= problem.steps)
      return "op " + op.path + " runs or is used outside the steps";
    if (!result.backward.empty() &&
        (result.backward.first <= op.lastForward() || result.backward.last < result.backward.first ||
         result.backward.last >= problem.steps))
      return "op " + op.path + " has backward uses that do not follow the forward ones inside the steps";
  }
  for (Input input : op.inputs)
    if (input.op >= i || input.result >= problem.ops[input.op].results.size())
      return "op " + op.path + " reads a result that does not come before it";
  return {};
}

std::string checkMixer(const Problem &problem, const Mixer &mixer) {
  if (mixer.op >= problem.ops.size())
    return "a mixer has no forward op";
  const Op &op = problem.ops[mixer.op];
  if (mixer.candidates.empty())
    return "mixer " + op.path + " has no candidate";
  if (mixer.gradientStep <= op.lastForward() || mixer.gradientStep >= problem.steps)
    return "mixer " + op.path + " has its gradient before its forward ends, or outside the steps";
  for (const MixerCandidate &candidate : mixer.candidates)
    if (candidate.chunk <= 0 || candidate.saveEvery <= 0 || candidate.tile < 0 || !isAmount(candidate.forwardSeconds) ||
        !isAmount(candidate.backwardSeconds) || candidate.savedBytes < 0 || candidate.scratchBytes < 0)
      return "mixer " + op.path + " has a candidate with a number out of range";
  return {};
}

/// Adds bytes over an interval to a list of differences.
void addLife(std::vector<int64_t> &change, Interval life, int64_t bytes) {
  change[life.first] += bytes;
  change[life.last + 1] -= bytes;
}

} // namespace

std::string chunkWordsOf(const MixerWay &way) {
  return "chunk " + std::to_string(way.chunk) + (way.twoPass ? " two_pass" : "");
}

std::string wordsOf(const MixerWay &way) {
  return "chunk " + std::to_string(way.chunk) + " save_every " + std::to_string(way.saveEvery) +
         (way.twoPass ? " two_pass" : "") + (way.fused ? " fused" : "") +
         (way.tile > 0 ? " tile " + std::to_string(way.tile) : "");
}

Interval Interval::with(Interval other) const {
  if (empty() || other.empty())
    return empty() ? other : *this;
  return {std::min(first, other.first), std::max(last, other.last)};
}

int64_t Op::lastForward() const {
  int64_t last = made;
  for (const Result &result : results)
    last = std::max(last, result.lastForward);
  return last;
}

Interval Op::backward() const {
  Interval all;
  for (const Result &result : results)
    all = all.with(result.backward);
  return all;
}

std::string Problem::check() const {
  std::set<std::string> paths;
  if (steps < 0 || fixedBytes < 0 || !isAmount(fixedSeconds))
    return "the problem has a negative number";
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!paths.insert(ops[i].path).second)
      return "two ops are named " + ops[i].path;
    if (std::string wrong = checkOp(*this, i); !wrong.empty())
      return wrong;
  }
  std::set<size_t> mixed;
  for (const Mixer &mixer : mixers) {
    if (std::string wrong = checkMixer(*this, mixer); !wrong.empty())
      return wrong;
    if (!mixed.insert(mixer.op).second)
      return "two mixers are named " + path(mixer);
  }
  for (const Block &block : blocks)
    if (block.bytes < 0 || block.life.first < 0 || block.life.last < block.life.first || block.life.last >= steps)
      return "block " + block.name + " has a negative size or lives outside the steps";
  return budgetBytes < 0 ? "the budget is negative" : "";
}

Schedule fastestSchedule(const Problem &problem) {
  Schedule schedule;
  for (const Op &op : problem.ops)
    schedule.recompute.push_back(op.given == Given::Recompute);
  for (const Mixer &mixer : problem.mixers) {
    auto isFaster = [](const MixerCandidate &a, const MixerCandidate &b) {
      return a.seconds() < b.seconds() ||
             (a.seconds() == b.seconds() && a.savedBytes + a.scratchBytes < b.savedBytes + b.scratchBytes);
    };
    auto best = std::min_element(mixer.candidates.begin(), mixer.candidates.end(), isFaster);
    schedule.candidates.push_back(best - mixer.candidates.begin());
  }
  return schedule;
}

Needs needsOf(const Problem &problem, const Schedule &schedule) {
  Needs need;
  need.ops.resize(problem.ops.size());
  for (const Op &op : problem.ops)
    need.results.emplace_back(op.results.size());
  for (size_t i = problem.ops.size(); i-- > 0;) {
    const Op &op = problem.ops[i];
    for (size_t r = 0; r < op.results.size(); ++r) {
      need.results[i][r] = need.results[i][r].with(op.results[r].backward);
      need.ops[i] = need.ops[i].with(need.results[i][r]);
    }
    if (need.ops[i].empty() || !schedule.recompute[i])
      continue;
    int64_t runs = need.ops[i].first;
    for (Input input : op.inputs)
      need.results[input.op][input.result] = need.results[input.op][input.result].with({runs, runs});
  }
  return need;
}

std::vector<int64_t> timeline(const Problem &problem, const Schedule &schedule) {
  Needs need = needsOf(problem, schedule);
  std::vector<int64_t> change(problem.steps + 1, 0);
  for (const Block &block : problem.blocks)
    addLife(change, block.life, block.bytes);
  auto runsAgain = [&](size_t i) { return !need.ops[i].empty() && schedule.recompute[i]; };
  for (size_t i = 0; i < problem.ops.size(); ++i) {
    const Op &op = problem.ops[i];
    for (size_t r = 0; r < op.results.size(); ++r) {
      const Result &result = op.results[r];
      addLife(change, {op.made, result.lastForward}, result.bytes);
      Interval needed = need.results[i][r];
      if (runsAgain(i))
        addLife(change, {need.ops[i].first, needed.empty() ? need.ops[i].first : needed.last}, result.bytes);
      else if (!needed.empty())
        addLife(change, {result.lastForward + 1, needed.last}, result.bytes);
    }
    if (runsAgain(i))
      addLife(change, {need.ops[i].first, need.ops[i].first}, op.scratchBytes);
  }
  for (size_t m = 0; m < problem.mixers.size(); ++m) {
    const Mixer &mixer = problem.mixers[m];
    const MixerCandidate &candidate = mixer.candidates[schedule.candidates[m]];
    bool statesAgain = runsAgain(mixer.op) && need.ops[mixer.op].first <= mixer.gradientStep;
    int64_t from = statesAgain ? need.ops[mixer.op].first : problem.ops[mixer.op].made;
    addLife(change, {from, mixer.gradientStep}, candidate.savedBytes);
    addLife(change, {mixer.gradientStep, mixer.gradientStep}, candidate.scratchBytes);
  }
  std::vector<int64_t> alive(problem.steps);
  int64_t bytes = problem.fixedBytes;
  for (int64_t step = 0; step < problem.steps; ++step)
    alive[step] = bytes += change[step];
  return alive;
}

Prediction predict(const Problem &problem, const Schedule &schedule) {
  Prediction result{problem.fixedSeconds, problem.fixedBytes, 0};
  Needs need = needsOf(problem, schedule);
  for (size_t m = 0; m < problem.mixers.size(); ++m)
    result.seconds += problem.mixers[m].candidates[schedule.candidates[m]].seconds();
  for (size_t i = 0; i < problem.ops.size(); ++i)
    result.seconds += !need.ops[i].empty() && schedule.recompute[i] ? problem.ops[i].recomputeSeconds : 0;
  std::vector<int64_t> alive = timeline(problem, schedule);
  for (size_t step = 0; step < alive.size(); ++step)
    if (alive[step] > result.peakBytes) {
      result.peakBytes = alive[step];
      result.peakStep = static_cast<int64_t>(step);
    }
  return result;
}

bool isBetter(const Prediction &a, const Prediction &b) {
  return a.seconds < b.seconds || (a.seconds == b.seconds && a.peakBytes < b.peakBytes);
}

std::string verify(const Problem &problem, const Schedule &schedule) {
  if (schedule.candidates.size() != problem.mixers.size() || schedule.recompute.size() != problem.ops.size())
    return "the schedule does not decide everything once";
  for (size_t i = 0; i < problem.mixers.size(); ++i)
    if (schedule.candidates[i] >= problem.mixers[i].candidates.size())
      return "mixer " + problem.path(problem.mixers[i]) + " has no candidate " + std::to_string(schedule.candidates[i]);
  for (size_t i = 0; i < problem.ops.size(); ++i)
    if (problem.ops[i].given == (schedule.recompute[i] ? Given::Save : Given::Recompute))
      return "op " + problem.ops[i].path + " is decided otherwise by hand";
  Prediction prediction = predict(problem, schedule);
  if (problem.budgetBytes > 0 && prediction.peakBytes > problem.budgetBytes)
    return "the schedule needs " + std::to_string(prediction.peakBytes) + " bytes at step " +
           std::to_string(prediction.peakStep) + ", the budget is " + std::to_string(problem.budgetBytes);
  return {};
}

} // namespace oriel::schedule
