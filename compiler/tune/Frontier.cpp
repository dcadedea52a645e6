// oriel-tune frontier: step time against memory. The budgets are shares of the arena that keeps everything; what does
// not depend on the schedule (parameters, gradients, moments) comes on top.
#include "compiler/tune/Chart.h"
#include "compiler/tune/Commands.h"
#include "compiler/tune/StepReport.h"
#include "compiler/tune/Table.h"

#include "runtime/base/Status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

namespace oriel::tune {
namespace {

using nlohmann::ordered_json;

/// The fastest schedule that was found for a budget.
struct Point {
  double share = 0;                                // of the largest arena, that the budget allows
  int64_t budgetBytes = 0;                         // of the whole plan
  std::shared_ptr<const runtime::Package> package; // null: nothing fits
  StepReport report;
};

struct Curve {
  std::string model, device;
  int64_t batch = 0, tokens = 0, threads = 0, repeats = 0;
  int64_t largestArena = 0, fixedBytes = 0;
  bool wasMeasured = false;
  std::vector<Point> points;

  std::vector<const Point *> reached() const {
    std::vector<const Point *> result;
    for (const Point &point : points)
      if (point.package)
        result.push_back(&point);
    return result;
  }
  /// Median of |predicted / measured - 1|.
  double medianError() const {
    std::vector<double> errors;
    for (const Point *point : reached())
      errors.push_back(std::abs(point->report.predicted / point->report.measured - 1));
    std::sort(errors.begin(), errors.end());
    return errors.empty() ? 0 : (errors[(errors.size() - 1) / 2] + errors[errors.size() / 2]) / 2;
  }
};

/// A schedule that fits a budget fits every larger one: where the one that was found for the larger is predicted
/// slower, it is replaced. So predicted time never falls as the budget shrinks.
void takeLowerEnvelope(std::vector<Point> &points) {
  for (Point &point : points)
    for (const Point &other : points)
      if (point.package && other.package && other.report.memoryBytes() <= point.budgetBytes &&
          other.report.predicted < point.report.predicted) {
        point.package = other.package;
        point.report = other.report;
      }
}

absl::StatusOr<Curve> predictCurve(Workbench &bench, const std::string &model, const Request &request,
                                   std::vector<double> percents) {
  std::sort(percents.begin(), percents.end(), std::greater<>());
  ModelOptions options = request.model;
  options.memoryBudget = "unlimited";
  ORIEL_ASSIGN_OR_RETURN(Compiled whole, bench.compile(model, options));
  if (!whole.problem)
    return absl::InvalidArgumentError(model + " is a package of one schedule: give its model");
  StepReport report = makeReport(*whole.package, bench.costs(), nullptr);
  Curve curve{
      report.model, report.device, report.batch, report.tokens, 0, request.repeats, report.arenaBytes, 0, false, {}};
  curve.fixedBytes = report.memoryBytes() - report.arenaBytes;
  curve.points.push_back({1, report.memoryBytes(), whole.package, report});
  for (double percent : percents) {
    Point point{percent / 100,
                curve.fixedBytes + static_cast<int64_t>(percent / 100 * static_cast<double>(curve.largestArena)),
                nullptr,
                {}};
    options.memoryBudget = fmt::format("{} B", point.budgetBytes);
    absl::StatusOr<Compiled> compiled = bench.compile(model, options);
    if (compiled.ok()) {
      point.package = compiled->package;
      point.report = makeReport(*compiled->package, bench.costs(), nullptr);
    } else if (compiled.status().message().find("fits the memory budget") == std::string::npos) {
      return compiled.status();
    }
    curve.points.push_back(std::move(point));
  }
  takeLowerEnvelope(curve.points);
  return curve;
}

absl::Status measureCurve(Workbench &bench, Curve &curve, int repeats) {
  std::vector<std::shared_ptr<const runtime::Package>> packages;
  for (const Point *point : curve.reached())
    if (std::find(packages.begin(), packages.end(), point->package) == packages.end())
      packages.push_back(point->package);
  ORIEL_ASSIGN_OR_RETURN(std::vector<Measured> measured, bench.benchInTurns(packages, repeats));
  for (Point &point : curve.points)
    if (point.package) {
      size_t i = std::find(packages.begin(), packages.end(), point.package) - packages.begin();
      point.report = makeReport(*point.package, bench.costs(), &measured[i]);
      curve.threads = measured[i].threads;
    }
  curve.wasMeasured = true;
  return absl::OkStatus();
}

Table curveTable(const Curve &curve) {
  Table table{
      {{"budget"}, {"arena MiB"}, {"all memory MiB"}, {"ops kept"}, {"made again"}, {"predicted"}, {"against 100 %"}},
      {}};
  if (curve.wasMeasured)
    table.columns.insert(table.columns.end(), {{"measured"}, {"against 100 %"}, {"predicted is off by"}});
  const StepReport &whole = curve.points.front().report;
  for (const Point &point : curve.points) {
    const StepReport &report = point.report;
    std::vector<Cell> cells = {fmt::format("{:.0f} %", 100 * point.share)};
    if (!point.package) {
      cells.push_back("nothing fits");
      cells.resize(table.columns.size(), "-");
      table.rows.push_back(cells);
      continue;
    }
    auto against = [](double seconds, double reference) { return fmt::format("{:.2f} x", seconds / reference); };
    cells.insert(cells.end(), {formatMib(report.arenaBytes), formatMib(report.memoryBytes()),
                               fmt::format("{}", report.kept), fmt::format("{}", report.madeAgain),
                               formatSeconds(report.predicted), against(report.predicted, whole.predicted)});
    if (curve.wasMeasured)
      cells.insert(cells.end(), {formatSeconds(report.measured), against(report.measured, whole.measured),
                                 fmt::format("{:+.1f} %", 100 * (report.predicted / report.measured - 1))});
    table.rows.push_back(cells);
  }
  return table;
}

std::string headline(const Curve &curve) {
  std::string out =
      fmt::format("{} x {} tokens per micro-batch on {}; the arena that keeps everything is {} MiB, {} MiB come on top",
                  curve.batch, curve.tokens, curve.device, formatMib(curve.largestArena), formatMib(curve.fixedBytes));
  if (curve.wasMeasured)
    out += fmt::format("; measured on {} threads, medians of {} turns: predictions are off by {} in the median",
                       curve.threads, curve.repeats, formatPercent(curve.medianError()));
  return out;
}

Chart curveChart(const Curve &curve) {
  Line predicted{"predicted", {}, Line::Points}, measured{"measured", {}, Line::Points};
  std::vector<const Point *> points = curve.reached();
  for (auto at = points.rbegin(); at != points.rend(); ++at) {
    predicted.points.emplace_back(100 * (*at)->share, (*at)->report.predicted);
    measured.points.emplace_back(100 * (*at)->share, (*at)->report.measured);
  }
  Chart chart{
      "Step time against memory", "budget, % of the arena that keeps everything", "seconds per step", {predicted}};
  if (curve.wasMeasured)
    chart.lines.push_back(measured);
  return chart;
}

std::string curveJson(const Curve &curve) {
  ordered_json json = {{"model", curve.model},
                       {"device", curve.device},
                       {"batch", curve.batch},
                       {"tokens", curve.tokens},
                       {"largest_arena_bytes", curve.largestArena},
                       {"fixed_bytes", curve.fixedBytes}};
  if (curve.wasMeasured)
    json["median_error"] = curve.medianError();
  for (const Point &point : curve.points) {
    ordered_json item = {
        {"share", point.share}, {"budget_bytes", point.budgetBytes}, {"fits", point.package != nullptr}};
    if (point.package) {
      item["memory_bytes"] = point.report.memoryBytes();
      item["arena_bytes"] = point.report.arenaBytes;
      item["predicted_seconds"] = point.report.predicted;
      if (curve.wasMeasured)
        item["measured_seconds"] = point.report.measured;
    }
    json["points"].push_back(item);
  }
  return json.dump(2) + "\n";
}

} // namespace

absl::StatusOr<std::string> frontier(Workbench &bench, const std::string &model, const Request &request,
                                     const std::vector<double> &percents) {
  ORIEL_ASSIGN_OR_RETURN(Curve curve, predictCurve(bench, model, request, percents));
  if (request.measure)
    ORIEL_RETURN_IF_ERROR(measureCurve(bench, curve, request.repeats));
  switch (request.format) {
  case Format::Json:
    return curveJson(curve);
  case Format::Html:
    return page(curve.model + ": time against memory", "<p>" + escapeHtml(headline(curve)) + "</p>\n" +
                                                           drawSvg(curveChart(curve)) + printHtml(curveTable(curve)));
  default:
    return fmt::format("{}: {}\n\n{}", curve.model, headline(curve), printText(curveTable(curve)));
  }
}

} // namespace oriel::tune
