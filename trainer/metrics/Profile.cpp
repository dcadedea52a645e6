#include "trainer/metrics/Profile.h"

#include "runtime/base/Files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <map>

namespace oriel::trainer {
namespace {

constexpr int stepsTrack = 0, collectivesTrack = 1;

using Kind = ProfiledStep::Kind;

struct Total {
  std::string name;
  double seconds = 0, flops = 0;
  int64_t calls = 0;
};

/// Sums by the name that `nameOf` gives, longest time first.
std::vector<Total> totalsBy(const std::vector<ProfiledStep> &steps,
                            const std::function<std::string(const ProfiledStep &)> &nameOf) {
  std::map<std::string, Total> byName;
  for (const ProfiledStep &step : steps) {
    Total &total = byName[nameOf(step)];
    total.seconds += step.end - step.start;
    total.flops += step.flops;
    ++total.calls;
  }
  std::vector<Total> totals;
  for (auto &[name, total] : byName) {
    total.name = name;
    totals.push_back(total);
  }
  std::stable_sort(totals.begin(), totals.end(), [](const Total &a, const Total &b) { return a.seconds > b.seconds; });
  return totals;
}

void appendRows(std::string &text, const std::vector<Total> &totals, double allSeconds, double trainingSteps,
                double peak) {
  for (const Total &total : totals) {
    double rate = total.flops / total.seconds;
    std::string speed = total.flops > 0 ? fmt::format("{:8.1f} {:5.1f} %", rate / 1e9, 100 * rate / peak)
                                        : fmt::format("{:>8} {:>7}", "-", "-");
    text += fmt::format("{:10.3f} {:6.1f} % {:7.1f} {}  {}\n", 1e3 * total.seconds / trainingSteps,
                        100 * total.seconds / allSeconds, static_cast<double>(total.calls) / trainingSteps, speed,
                        total.name);
  }
}

/// "wait before adamw…" where the step had to wait for a collective.
std::string actionOf(const ProfiledStep &step) {
  return step.kind == Kind::Waiting ? "wait before " + step.action : step.action;
}

/// Seconds of `collectives` in which one of `steps` ran. Collectives run one after the other, and so do steps.
double hiddenSeconds(const std::vector<ProfiledStep> &collectives, const std::vector<ProfiledStep> &steps) {
  double hidden = 0;
  for (const ProfiledStep &collective : collectives)
    for (const ProfiledStep &step : steps)
      if (step.kind == Kind::InOrder)
        hidden += std::max(0.0, std::min(step.end, collective.end) - std::max(step.start, collective.start));
  return hidden;
}

} // namespace

std::string Profile::table(int64_t trainingSteps, double peakFlopsPerSecond) const {
  auto isBeside = [](const ProfiledStep &step) { return step.kind == Kind::Beside; };
  std::vector<ProfiledStep> steps = steps_;
  auto firstBeside = std::stable_partition(steps.begin(), steps.end(), std::not_fn(isBeside));
  std::vector<ProfiledStep> beside(firstBeside, steps.end());
  steps.erase(firstBeside, steps.end());
  double all = 0, count = static_cast<double>(trainingSteps);
  for (const ProfiledStep &step : steps)
    all += step.end - step.start;
  std::string text =
      fmt::format("{:.1f} ms in the executor per training step, mean of {}\n", 1e3 * all / count, trainingSteps);
  for (auto [title, nameOf] : {std::pair<const char *, std::function<std::string(const ProfiledStep &)>>{
                                   "kernel", actionOf},
                               {"layer", [](const ProfiledStep &step) {
                                  return step.entry + " " + (step.layer.empty() ? "-" : step.layer);
                                }}}) {
    text += fmt::format("{:>10} {:>8} {:>7} {:>8} {:>7}  {}\n", "ms", "share", "calls", "GFLOP/s", "of peak", title);
    appendRows(text, totalsBy(steps, nameOf), all, count, peakFlopsPerSecond);
  }
  if (beside.empty())
    return text;
  double exchanged = 0, hidden = hiddenSeconds(beside, steps);
  for (const ProfiledStep &collective : beside)
    exchanged += collective.end - collective.start;
  text += fmt::format("{:.1f} ms in collectives beside them, {:.1f} of it ({:.0f} %) while steps ran\n",
                      1e3 * exchanged / count, 1e3 * hidden / count, 100 * hidden / std::max(exchanged, 1e-9));
  appendRows(text, totalsBy(beside, actionOf), exchanged, count, peakFlopsPerSecond);
  return text;
}

absl::Status Profile::writeTrace(const std::string &path, int rank) const {
  nlohmann::json events = nlohmann::json::array();
  double zero = steps_.empty() ? 0 : steps_.front().start;
  for (const ProfiledStep &step : steps_)
    zero = std::min(zero, step.start);
  for (auto [track, name] : {std::pair(stepsTrack, "steps"), {collectivesTrack, "collectives beside them"}})
    events.push_back(
        {{"name", "thread_name"}, {"ph", "M"}, {"pid", rank}, {"tid", track}, {"args", {{"name", name}}}});
  for (const ProfiledStep &step : steps_)
    events.push_back({{"name", step.layer.empty() ? actionOf(step) : step.layer + " " + actionOf(step)},
                      {"cat", step.entry},
                      {"ph", "X"},
                      {"pid", rank},
                      {"tid", step.kind == Kind::Beside ? collectivesTrack : stepsTrack},
                      {"ts", 1e6 * (step.start - zero)},
                      {"dur", 1e6 * (step.end - step.start)},
                      {"args", {{"kernel", step.action}, {"layer", step.layer}, {"flops", step.flops}}}});
  return runtime::writeFileAtomically(path, nlohmann::json{{"traceEvents", std::move(events)}}.dump());
}

} // namespace oriel::trainer
