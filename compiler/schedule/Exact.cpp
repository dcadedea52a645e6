// Dynamic programming over the ops, last to first.
//
// A *partial* schedule has decided the values i, i+1, … and the mixers that make them. What the rest can still see of
// it is little:
//   * its time so far;
//   * when it asks for ops below i (`needs`), because it makes again what reads them;
//   * the bytes of its decisions at each step. A value below i that is kept is alive from its last forward use to its
//     last backward use, which encloses every step between `lo`, the last forward use of any value below i, and `hi`,
//     the step before the backward can need one: on these *inner* steps, all that is still undecided is alive
//     everywhere or nowhere. So only the largest sum over them matters (`peak`). The few steps around are *tracked*.
// Partial schedules that ask for the same things are compared: one that takes no less time, peak or tracked bytes than
// another is dropped. For a chain of layers this is the knapsack over layers, with everything inside a layer exact.
//
// Why dropping is safe: two partials with the same needs (same first steps, and last steps no later) have the same
// completions, with the same times, and bytes no larger for the better one.
#include "compiler/schedule/Solvers.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace oriel::schedule {
namespace {

constexpr int64_t never = INT64_MAX;

/// What was decided for one op, as a list that partial schedules share.
struct Choice {
  int64_t parent = -1; // in Solver::choices_
  size_t op = 0, candidate = 0;
  bool recompute = false;
};

struct Partial {
  double seconds = 0;
  int64_t peak = 0;                                    // largest total over inner steps
  std::vector<int64_t> tracked;                        // total at each tracked step
  std::map<std::pair<size_t, size_t>, Interval> needs; // of (op, result) that are undecided, beyond their own
  int64_t choice = -1;
};

class Solver {
public:
  Solver(const Problem &problem, const ExactOptions &options) : problem_(problem), options_(options) { prepare(); }

  std::optional<Schedule> solve();

private:
  void prepare();
  void prepareBase();
  void decide(size_t i);
  void expand(const Partial &from, size_t i, std::vector<Partial> &next);
  std::vector<Interval> takeNeeds(Partial &partial, size_t i) const;
  void keep(Partial &partial, size_t i, const std::vector<Interval> &need);
  void runAgain(Partial &partial, size_t i, const std::vector<Interval> &need, int64_t runs);
  void addMixer(Partial &partial, size_t i, const MixerCandidate &candidate, bool again, int64_t from);
  void addLife(Partial &partial, Interval life, int64_t bytes);
  bool fits(const Partial &partial) const;
  void track(size_t i);
  void compress(std::vector<Partial> &partials, size_t i);
  std::vector<Partial> keepBest(std::vector<Partial> partials) const;
  bool isNoWorse(const Partial &a, const Partial &b) const;
  Schedule scheduleOf(const Partial &partial) const;

  const Problem &problem_;
  ExactOptions options_;
  double slack_ = 0;
  std::vector<int64_t> base_;        // bytes of each step that no decision changes
  std::vector<int64_t> mixerOf_;     // of each value; -1: none
  std::vector<int64_t> ownFirst_;    // the first step at which ops below i are needed by themselves
  std::vector<int64_t> lastForward_; // the last forward use of ops below i
  std::vector<int64_t> touched_;     // first and last step that decisions of op i and later can change
  std::vector<int64_t> touchedEnd_;
  std::vector<int64_t> tracked_;  // steps, in order
  std::vector<int64_t> position_; // of each step in tracked_; -1: not tracked
  int64_t lo_ = 0, hi_ = 0;       // inner steps: lo_ < step <= hi_
  std::vector<Partial> partials_;
  std::vector<Choice> choices_;
};

void Solver::prepareBase() {
  std::vector<int64_t> change(problem_.steps + 1, 0);
  auto add = [&](Interval life, int64_t bytes) {
    change[life.first] += bytes;
    change[life.last + 1] -= bytes;
  };
  for (const Block &block : problem_.blocks)
    add(block.life, block.bytes);
  for (const Op &op : problem_.ops)
    for (const Result &result : op.results)
      add({op.made, result.lastForward}, result.bytes);
  int64_t bytes = problem_.fixedBytes;
  base_.resize(problem_.steps);
  for (int64_t step = 0; step < problem_.steps; ++step)
    base_[step] = bytes += change[step];
}

void Solver::prepare() {
  size_t n = problem_.ops.size();
  prepareBase();
  mixerOf_.assign(n, -1);
  for (size_t m = 0; m < problem_.mixers.size(); ++m)
    mixerOf_[problem_.mixers[m].op] = static_cast<int64_t>(m);
  ownFirst_.assign(n + 1, never);
  lastForward_.assign(n + 1, -1);
  touched_.assign(n + 1, never);
  touchedEnd_.assign(n + 1, -1);
  double changeable = 0;
  for (size_t i = 0; i < n; ++i) {
    const Op &op = problem_.ops[i];
    int64_t first = op.backward().empty() ? never : op.backward().first;
    if (mixerOf_[i] >= 0) {
      const Mixer &mixer = problem_.mixers[mixerOf_[i]];
      first = std::min(first, mixer.gradientStep);
      double most = 0;
      for (const MixerCandidate &candidate : mixer.candidates) {
        most = std::max(most, candidate.seconds());
      }
      changeable += most;
    }
    changeable += op.recomputeSeconds;
    ownFirst_[i + 1] = std::min(ownFirst_[i], first);
    lastForward_[i + 1] = std::max(lastForward_[i], op.lastForward());
  }
  for (size_t i = n; i-- > 0;) {
    const Op &op = problem_.ops[i];
    int64_t last = op.backward().last;
    if (mixerOf_[i] >= 0)
      last = std::max(last, problem_.mixers[mixerOf_[i]].gradientStep);
    touched_[i] = std::min(touched_[i + 1], op.made);
    touchedEnd_[i] = std::max(touchedEnd_[i + 1], last);
  }
  slack_ = n ? options_.relativeGap * changeable / static_cast<double>(n) : 0;
}

/// Adds bytes at the tracked steps of `life`; the inner steps are enclosed by it or lie outside.
void Solver::addLife(Partial &partial, Interval life, int64_t bytes) {
  if (bytes == 0 || life.last < life.first)
    return;
  if (life.first <= lo_ + 1 && life.last >= hi_ && lo_ < hi_)
    partial.peak += bytes;
  for (auto at = std::lower_bound(tracked_.begin(), tracked_.end(), life.first);
       at != tracked_.end() && *at <= life.last; ++at)
    partial.tracked[at - tracked_.begin()] += bytes;
}

void Solver::addMixer(Partial &partial, size_t i, const MixerCandidate &candidate, bool again, int64_t runs) {
  const Mixer &mixer = problem_.mixers[mixerOf_[i]];
  partial.seconds += candidate.seconds();
  bool statesAgain = again && runs <= mixer.gradientStep;
  addLife(partial, {statesAgain ? runs : problem_.ops[i].made, mixer.gradientStep}, candidate.savedBytes);
  addLife(partial, {mixer.gradientStep, mixer.gradientStep}, candidate.scratchBytes);
}

/// When the results of op i are needed; takes what `partial` asked of them out of it.
std::vector<Interval> Solver::takeNeeds(Partial &partial, size_t i) const {
  std::vector<Interval> need;
  for (size_t r = 0; r < problem_.ops[i].results.size(); ++r) {
    need.push_back(problem_.ops[i].results[r].backward);
    if (auto asked = partial.needs.find({i, r}); asked != partial.needs.end()) {
      need[r] = need[r].with(asked->second);
      partial.needs.erase(asked);
    }
  }
  return need;
}

void Solver::keep(Partial &partial, size_t i, const std::vector<Interval> &need) {
  for (size_t r = 0; r < need.size(); ++r)
    if (!need[r].empty())
      addLife(partial, {problem_.ops[i].results[r].lastForward + 1, need[r].last}, problem_.ops[i].results[r].bytes);
}

void Solver::runAgain(Partial &partial, size_t i, const std::vector<Interval> &need, int64_t runs) {
  const Op &op = problem_.ops[i];
  partial.seconds += op.recomputeSeconds;
  for (size_t r = 0; r < need.size(); ++r)
    addLife(partial, {runs, need[r].empty() ? runs : need[r].last}, op.results[r].bytes);
  addLife(partial, {runs, runs}, op.scratchBytes);
  for (Input input : op.inputs) {
    Interval &asked = partial.needs[{input.op, input.result}];
    asked = asked.with({runs, runs});
  }
}

bool Solver::fits(const Partial &partial) const {
  if (problem_.budgetBytes == 0)
    return true;
  return partial.peak <= problem_.budgetBytes &&
         std::all_of(partial.tracked.begin(), partial.tracked.end(),
                     [&](int64_t bytes) { return bytes <= problem_.budgetBytes; });
}

void Solver::expand(const Partial &from, size_t i, std::vector<Partial> &next) {
  Partial start = from;
  std::vector<Interval> need = takeNeeds(start, i);
  Interval any;
  for (Interval interval : need)
    any = any.with(interval);
  auto finish = [&](Partial partial, size_t candidate, bool recompute) {
    if (!fits(partial))
      return;
    choices_.push_back({from.choice, i, candidate, recompute});
    partial.choice = static_cast<int64_t>(choices_.size()) - 1;
    next.push_back(std::move(partial));
  };
  for (bool recompute : {false, true}) {
    if (any.empty() ? recompute != (problem_.ops[i].given == Given::Recompute)
                    : problem_.ops[i].given == (recompute ? Given::Save : Given::Recompute))
      continue;
    Partial partial = start;
    if (recompute && !any.empty())
      runAgain(partial, i, need, any.first);
    else
      keep(partial, i, need);
    if (mixerOf_[i] < 0) {
      finish(std::move(partial), 0, recompute);
      continue;
    }
    const std::vector<MixerCandidate> &candidates = problem_.mixers[mixerOf_[i]].candidates;
    for (size_t c = 0; c < candidates.size(); ++c) {
      Partial with = partial;
      addMixer(with, i, candidates[c], recompute && !any.empty(), any.first);
      finish(std::move(with), c, recompute);
    }
  }
}

/// Begins to track the steps that decisions about op i can touch and earlier ones could not.
void Solver::track(size_t i) {
  std::vector<int64_t> steps, source;
  for (int64_t step = touched_[i]; step <= touchedEnd_[i]; ++step) {
    if (step > lo_ && step <= hi_)
      continue;
    steps.push_back(step);
  }
  for (Partial &partial : partials_) {
    std::vector<int64_t> totals;
    totals.reserve(steps.size());
    size_t old = 0;
    for (int64_t step : steps) {
      while (old < tracked_.size() && tracked_[old] < step)
        ++old;
      totals.push_back(old < tracked_.size() && tracked_[old] == step ? partial.tracked[old] : base_[step]);
    }
    partial.tracked = std::move(totals);
  }
  tracked_ = std::move(steps);
}

/// Widens the inner steps to what the ops below i leave untouched.
void Solver::compress(std::vector<Partial> &partials, size_t i) {
  int64_t lo = lastForward_[i], hi = ownFirst_[i] == never ? problem_.steps - 1 : ownFirst_[i] - 1;
  for (const Partial &partial : partials)
    for (const auto &[result, need] : partial.needs)
      hi = std::min(hi, need.first - 1);
  hi = std::max(hi, hi_);
  int64_t untouched = 0; // largest base of new inner steps that were not tracked
  std::vector<int64_t> kept;
  std::vector<size_t> keptAt, innerAt;
  size_t at = 0;
  for (int64_t step = 0; step < problem_.steps; ++step) {
    bool tracked = at < tracked_.size() && tracked_[at] == step;
    bool inner = step > lo && step <= hi, wasInner = step > lo_ && step <= hi_;
    if (tracked && inner)
      innerAt.push_back(at);
    else if (tracked)
      kept.push_back(step), keptAt.push_back(at);
    else if (inner && !wasInner)
      untouched = std::max(untouched, base_[step]);
    at += tracked;
  }
  for (Partial &partial : partials) {
    partial.peak = std::max(partial.peak, untouched);
    for (size_t inner : innerAt)
      partial.peak = std::max(partial.peak, partial.tracked[inner]);
    std::vector<int64_t> totals;
    for (size_t k : keptAt)
      totals.push_back(partial.tracked[k]);
    partial.tracked = std::move(totals);
  }
  tracked_ = std::move(kept);
  lo_ = lo;
  hi_ = hi;
}

/// For partials with the same needs: whether `a` makes `b` superfluous, times aside.
bool Solver::isNoWorse(const Partial &a, const Partial &b) const {
  if (a.peak > b.peak)
    return false;
  for (auto x = a.needs.begin(), y = b.needs.begin(); x != a.needs.end(); ++x, ++y)
    if (x->second.last > y->second.last)
      return false;
  for (size_t i = 0; i < a.tracked.size(); ++i)
    if (a.tracked[i] > b.tracked[i])
      return false;
  return true;
}

/// The most bytes that `partial` has at any step yet.
static int64_t largestTotal(const Partial &partial) {
  int64_t largest = partial.peak;
  for (int64_t bytes : partial.tracked)
    largest = std::max(largest, bytes);
  return largest;
}

/// About `count` of the partials: those of the least memory, and others evenly from the fastest to the slowest.
static std::vector<Partial> thin(std::vector<Partial> partials, size_t count) {
  std::vector<std::pair<int64_t, size_t>> bySize;
  for (size_t i = 0; i < partials.size(); ++i)
    bySize.emplace_back(largestTotal(partials[i]), i);
  std::sort(bySize.begin(), bySize.end());
  std::set<size_t> chosen;
  for (size_t i = 0; i < count / 2; ++i)
    chosen.insert(bySize[i].second);
  for (size_t i = 0; i < count; i += 2)
    chosen.insert(i * (partials.size() - 1) / count);
  std::vector<Partial> kept;
  for (size_t i : chosen)
    kept.push_back(std::move(partials[i]));
  return kept;
}

std::vector<Partial> Solver::keepBest(std::vector<Partial> partials) const {
  auto rank = [&](const Partial &p) { return slack_ > 0 ? std::floor(p.seconds / slack_) : p.seconds; };
  std::sort(partials.begin(), partials.end(), [&](const Partial &a, const Partial &b) {
    double aRank = rank(a), bRank = rank(b);
    return aRank != bRank ? aRank < bRank : a.peak != b.peak ? a.peak < b.peak : a.seconds < b.seconds;
  });
  std::map<std::vector<int64_t>, std::vector<size_t>> groups; // by what is asked for, and from when
  std::vector<Partial> kept;
  for (Partial &partial : partials) {
    std::vector<int64_t> asked;
    for (const auto &[input, need] : partial.needs) {
      asked.push_back(static_cast<int64_t>(input.first));
      asked.push_back(static_cast<int64_t>(input.second));
      asked.push_back(need.with(problem_.ops[input.first].results[input.second].backward).first);
    }
    std::vector<size_t> &group = groups[asked];
    if (std::any_of(group.begin(), group.end(), [&](size_t other) { return isNoWorse(kept[other], partial); }))
      continue;
    group.push_back(kept.size());
    kept.push_back(std::move(partial));
  }
  return options_.beam > 0 && kept.size() > options_.beam ? thin(std::move(kept), options_.beam) : kept;
}

void Solver::decide(size_t i) {
  track(i);
  std::vector<Partial> next;
  for (const Partial &partial : partials_)
    expand(partial, i, next);
  compress(next, i);
  partials_ = keepBest(std::move(next));
}

Schedule Solver::scheduleOf(const Partial &partial) const {
  Schedule schedule{std::vector<size_t>(problem_.mixers.size(), 0), std::vector<bool>(problem_.ops.size(), false)};
  for (int64_t at = partial.choice; at >= 0; at = choices_[at].parent) {
    const Choice &choice = choices_[at];
    schedule.recompute[choice.op] = choice.recompute;
    if (mixerOf_[choice.op] >= 0)
      schedule.candidates[mixerOf_[choice.op]] = choice.candidate;
  }
  return schedule;
}

std::optional<Schedule> Solver::solve() {
  size_t n = problem_.ops.size();
  lo_ = lastForward_[n];
  hi_ = -1;
  partials_ = {Partial{}};
  compress(partials_, n);
  for (size_t i = n; i-- > 0 && !partials_.empty();)
    decide(i);
  std::optional<Schedule> best;
  Prediction bestPrediction;
  for (const Partial &partial : partials_) {
    Schedule schedule = scheduleOf(partial);
    Prediction prediction = predict(problem_, schedule);
    bool fits = problem_.budgetBytes == 0 || prediction.peakBytes <= problem_.budgetBytes;
    if (fits && (!best || isBetter(prediction, bestPrediction))) {
      best = schedule;
      bestPrediction = prediction;
    }
  }
  return best;
}

} // namespace

std::optional<Schedule> solveExact(const Problem &problem, const ExactOptions &options) {
  if (!problem.check().empty())
    return std::nullopt;
  return Solver(problem, options).solve();
}

std::optional<Schedule> solveLeastMemory(const Problem &problem, const ExactOptions &options) {
  Problem timeless = problem; // among schedules of equal time the solver takes the least peak: here all are equal
  timeless.budgetBytes = 0;
  for (Op &op : timeless.ops)
    op.recomputeSeconds = 0;
  for (Mixer &mixer : timeless.mixers)
    for (MixerCandidate &candidate : mixer.candidates)
      candidate.forwardSeconds = candidate.backwardSeconds = 0;
  std::optional<Schedule> least = solveExact(timeless, options);
  if (!least)
    return std::nullopt;
  Problem bounded = problem;
  bounded.budgetBytes = std::max<int64_t>(1, predict(problem, *least).peakBytes);
  std::optional<Schedule> fast = solveExact(bounded, options);
  return fast ? fast : least;
}

} // namespace oriel::schedule
