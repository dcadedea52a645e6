// oriel-tune diff: where the training steps of two packages or models differ.
#include "compiler/tune/Chart.h"
#include "compiler/tune/Commands.h"
#include "compiler/tune/MixerWay.h"
#include "compiler/tune/StepReport.h"
#include "compiler/tune/Table.h"

#include "runtime/base/Status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>

namespace oriel::tune {
namespace {

using nlohmann::ordered_json;

/// One kernel in both; without calls where it is in one only.
struct KernelPair {
  KernelRow a, b;
  const KernelRow &named() const { return a.calls ? a : b; }
  bool differs() const { return a.calls != b.calls || a.layers != b.layers || a.savedBytes != b.savedBytes; }
};

struct Comparison {
  std::string nameA, nameB;
  StepReport a, b;
  std::vector<KernelPair> kernels; // those that differ, largest change of time first
  bool wasMeasured() const { return a.wasMeasured && b.wasMeasured; }
  double change(const KernelPair &pair) const { return pair.b.seconds(wasMeasured()) - pair.a.seconds(wasMeasured()); }
};

Comparison compare(const std::string &nameA, StepReport a, const std::string &nameB, StepReport b) {
  Comparison result{nameA, nameB, std::move(a), std::move(b), {}};
  std::map<std::string, KernelPair> pairs;
  for (const KernelRow &row : result.a.kernels)
    pairs[row.action].a = row;
  for (const KernelRow &row : result.b.kernels)
    pairs[row.action].b = row;
  for (auto &[action, pair] : pairs)
    if (pair.differs())
      result.kernels.push_back(std::move(pair));
  std::stable_sort(result.kernels.begin(), result.kernels.end(), [&](const KernelPair &x, const KernelPair &y) {
    return std::abs(result.change(x)) > std::abs(result.change(y));
  });
  return result;
}

std::string fromTo(const std::string &a, const std::string &b) { return a == b ? a : a + " → " + b; }

std::string signedMs(double seconds) { return fmt::format("{:+.2f}", seconds * 1e3); }

std::string ratio(double a, double b) { return a > 0 ? fmt::format("{:+.1f} %", 100 * (b / a - 1)) : "-"; }

Table kernelTable(const Comparison &c) {
  Table table{{{"kernel and tiles", true, 72}, {"layers", true, 40}, {"calls"}, {"saved MiB"}, {"predicted ms"}}, {}};
  if (c.wasMeasured())
    table.columns.push_back({"measured ms"});
  for (const KernelPair &pair : c.kernels) {
    std::set<std::string> layers = pair.a.layers;
    layers.insert(pair.b.layers.begin(), pair.b.layers.end());
    table.rows.push_back({shortName(pair.named().action), formatLayers(layers),
                          fromTo(fmt::format("{}", pair.a.calls), fmt::format("{}", pair.b.calls)),
                          pair.a.savedBytes + pair.b.savedBytes == 0
                              ? "-"
                              : fromTo(formatMib(pair.a.savedBytes), formatMib(pair.b.savedBytes)),
                          signedMs(pair.b.predicted - pair.a.predicted)});
    if (c.wasMeasured())
      table.rows.back().push_back(signedMs(pair.b.measured - pair.a.measured));
  }
  return table;
}

Table totalTable(const Comparison &c) {
  Table table{{{"", true}, {c.nameA}, {c.nameB}, {"change"}}, {}};
  auto addTime = [&](const char *what, double a, double b) {
    table.rows.push_back({what, formatSeconds(a), formatSeconds(b), ratio(a, b)});
  };
  auto addMemory = [&](const char *what, int64_t a, int64_t b) {
    table.rows.push_back({what, formatMib(a), formatMib(b), ratio(static_cast<double>(a), static_cast<double>(b))});
  };
  addTime("step, predicted", c.a.predicted, c.b.predicted);
  if (c.wasMeasured())
    addTime("step, measured", c.a.measured, c.b.measured);
  addMemory("memory MiB", c.a.memoryBytes(), c.b.memoryBytes());
  addMemory("arena MiB", c.a.arenaBytes, c.b.arenaBytes);
  auto addCount = [&](const char *what, int64_t a, int64_t b) {
    table.rows.push_back({what, fmt::format("{}", a), fmt::format("{}", b), a == b ? "-" : fmt::format("{:+}", b - a)});
  };
  addCount("ops kept", c.a.kept, c.b.kept);
  addCount("ops made again", c.a.madeAgain, c.b.madeAgain);
  return table;
}

std::string mixerText(const MixerRow &row) {
  return fmt::format("C {} m {} {}{}", row.way.chunk, row.way.saveEvery, kernelText(row.way),
                     row.recompute ? ", made again" : "");
}

/// By layer, where they differ.
Table mixerTable(const Comparison &c) {
  std::map<std::string, std::pair<std::string, std::string>> layers;
  for (const MixerRow &row : c.a.mixers)
    for (const std::string &layer : row.layers)
      layers[layer].first = mixerText(row);
  for (const MixerRow &row : c.b.mixers)
    for (const std::string &layer : row.layers)
      layers[layer].second = mixerText(row);
  std::map<std::pair<std::string, std::string>, std::set<std::string>> alike;
  for (const auto &[layer, pair] : layers)
    if (pair.first != pair.second)
      alike[pair].insert(layer);
  Table table{{{"recurrent mixer", true}, {c.nameA, true}, {c.nameB, true}}, {}};
  for (const auto &[pair, names] : alike)
    table.rows.push_back(
        {formatLayers(names), pair.first.empty() ? "-" : pair.first, pair.second.empty() ? "-" : pair.second});
  return table;
}

std::string diffText(const Comparison &c) {
  std::string out = printText(totalTable(c));
  if (Table mixers = mixerTable(c); !mixers.rows.empty())
    out += "\n" + printText(mixers);
  return out + "\n" + (c.kernels.empty() ? "the same kernels\n" : printText(kernelTable(c)));
}

std::string diffHtml(const Comparison &c) {
  Chart chart{"Memory over the step", "share of the step's kernels, %", "MiB of the arena", {}};
  for (const auto &[name, report] : {std::pair{c.nameA, &c.a}, {c.nameB, &c.b}}) {
    Line line{name, {}, Line::Area};
    for (size_t i = 0; i < report->timeline.size(); ++i)
      line.points.emplace_back(100.0 * static_cast<double>(i) / static_cast<double>(report->timeline.size()),
                               static_cast<double>(report->timeline[i]) / (1 << 20));
    chart.lines.push_back(std::move(line));
  }
  std::string body = printHtml(totalTable(c)) + drawSvg(chart);
  if (Table mixers = mixerTable(c); !mixers.rows.empty())
    body += "<h2>Schedule of the recurrent mixers</h2>\n" + printHtml(mixers);
  return page(c.nameA + " and " + c.nameB,
              body + "<h2>Kernels that differ</h2>\n<div class=\"wide\">" + printHtml(kernelTable(c)) + "</div>\n");
}

ordered_json totalsJson(const StepReport &report) {
  ordered_json json = {{"predicted_seconds", report.predicted},
                       {"memory_bytes", report.memoryBytes()},
                       {"arena_bytes", report.arenaBytes},
                       {"ops_kept", report.kept},
                       {"ops_made_again", report.madeAgain}};
  if (report.wasMeasured)
    json["measured_seconds"] = report.measured;
  return json;
}

std::string diffJson(const Comparison &c) {
  ordered_json json = {{"a", totalsJson(c.a)}, {"b", totalsJson(c.b)}, {"kernels", ordered_json::array()}};
  for (const KernelPair &pair : c.kernels) {
    ordered_json item = {{"kernel", pair.named().action},
                         {"calls", {pair.a.calls, pair.b.calls}},
                         {"saved_bytes", {pair.a.savedBytes, pair.b.savedBytes}},
                         {"predicted_seconds", {pair.a.predicted, pair.b.predicted}}};
    if (c.wasMeasured())
      item["measured_seconds"] = {pair.a.measured, pair.b.measured};
    json["kernels"].push_back(item);
  }
  return json.dump(2) + "\n";
}

absl::StatusOr<StepReport> reportOf(Workbench &bench, const std::string &path, const Request &request) {
  ORIEL_ASSIGN_OR_RETURN(Compiled compiled, bench.compile(path, request.model));
  std::optional<Measured> measured;
  if (request.measure) {
    ORIEL_ASSIGN_OR_RETURN(measured, bench.bench(*compiled.package, request.repeats));
  }
  return makeReport(*compiled.package, bench.costsOf(*compiled.package), measured ? &*measured : nullptr);
}

} // namespace

absl::StatusOr<std::string> diff(Workbench &bench, const std::string &a, const std::string &b, const Request &request) {
  ORIEL_ASSIGN_OR_RETURN(StepReport first, reportOf(bench, a, request));
  ORIEL_ASSIGN_OR_RETURN(StepReport second, reportOf(bench, b, request));
  Comparison comparison = compare(a, std::move(first), b, std::move(second));
  return request.format == Format::Json   ? diffJson(comparison)
         : request.format == Format::Html ? diffHtml(comparison)
                                          : diffText(comparison);
}

} // namespace oriel::tune
