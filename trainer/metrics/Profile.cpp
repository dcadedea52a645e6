#include "trainer/metrics/Profile.h"

#include "runtime/base/Files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <map>

namespace oriel::trainer {
namespace {

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

} // namespace

std::string Profile::table(int64_t trainingSteps, double peakFlopsPerSecond) const {
  double all = 0, count = static_cast<double>(trainingSteps);
  for (const ProfiledStep &step : steps_)
    all += step.end - step.start;
  std::string text =
      fmt::format("{:.1f} ms in the executor per training step, mean of {}\n", 1e3 * all / count, trainingSteps);
  for (auto [title, nameOf] : {std::pair<const char *, std::function<std::string(const ProfiledStep &)>>{
                                   "kernel", [](const ProfiledStep &step) { return step.action; }},
                               {"layer", [](const ProfiledStep &step) {
                                  return step.entry + " " + (step.layer.empty() ? "-" : step.layer);
                                }}}) {
    text += fmt::format("{:>10} {:>8} {:>7} {:>8} {:>7}  {}\n", "ms", "share", "calls", "GFLOP/s", "of peak", title);
    appendRows(text, totalsBy(steps_, nameOf), all, count, peakFlopsPerSecond);
  }
  return text;
}

absl::Status Profile::writeTrace(const std::string &path, int rank) const {
  nlohmann::json events = nlohmann::json::array();
  double zero = steps_.empty() ? 0 : steps_.front().start;
  for (const ProfiledStep &step : steps_)
    events.push_back({{"name", step.layer.empty() ? step.action : step.layer + " " + step.action},
                      {"cat", step.entry},
                      {"ph", "X"},
                      {"pid", rank},
                      {"tid", 0},
                      {"ts", 1e6 * (step.start - zero)},
                      {"dur", 1e6 * (step.end - step.start)},
                      {"args", {{"kernel", step.action}, {"layer", step.layer}, {"flops", step.flops}}}});
  return runtime::writeFileAtomically(path, nlohmann::json{{"traceEvents", std::move(events)}}.dump());
}

} // namespace oriel::trainer
