// oriel-tune calibrate: the rates of this machine, out of what the steps of a model took.
//
// The model runs by a few schedules, so that every family of kernels is met: as the compiler chooses, with its mixers
// apart and fused, in two passes where that may pay, in chunks of two sizes, and with as little memory as possible. The
// largest cost of a fit is noise: medians of `--repeats` runs are what is fitted.
#include "compiler/tune/Chart.h"
#include "compiler/tune/Commands.h"
#include "compiler/tune/MixerWay.h"
#include "compiler/tune/StepReport.h"
#include "compiler/tune/Table.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace oriel::tune {
namespace {

/// One way to run the model, with what it took.
struct Run {
  std::string name;
  std::shared_ptr<const runtime::Package> package;
  double before = 0, after = 0; // predicted
  Measured measured;
};

absl::Status addRun(Workbench &bench, const std::string &name, const std::string &model, const ModelOptions &options,
                    std::vector<Run> &runs) {
  ORIEL_ASSIGN_OR_RETURN(Compiled compiled, bench.compile(model, options));
  runs.push_back({name, compiled.package, predictedSeconds(compiled.package->plan(), bench.costs()), 0, {}});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Run>> compileSchedules(Workbench &bench, const std::string &model, const Request &request) {
  std::vector<Run> runs;
  ORIEL_ASSIGN_OR_RETURN(Compiled first, bench.compile(model, request.model));
  if (!first.problem)
    return absl::InvalidArgumentError(model + " is a package: calibration compiles a model (.oriel) in several ways");
  ORIEL_RETURN_IF_ERROR(addRun(bench, "as chosen", model, request.model, runs));
  for (const schedule::MixerWay &way : {schedule::MixerWay{.chunk = 64, .saveEvery = 1, .fused = true},
                                        {.chunk = 64, .saveEvery = 1, .twoPass = true},
                                        {.chunk = 32, .saveEvery = 1},
                                        {.chunk = 128, .saveEvery = 1}}) {
    ModelOptions options = request.model;
    std::string text = scheduleText(*first.problem, way);
    if (text.empty())
      continue;
    ORIEL_ASSIGN_OR_RETURN(options.schedule, bench.write("given.mlir", text));
    ORIEL_RETURN_IF_ERROR(addRun(bench, wordsOf(way), model, options, runs));
  }
  ModelOptions least = request.model;
  least.memoryBudget = "least";
  ORIEL_RETURN_IF_ERROR(addRun(bench, "least memory", model, least, runs));
  return runs;
}

absl::Status measure(Workbench &bench, std::vector<Run> &runs, int repeats) {
  std::vector<std::shared_ptr<const runtime::Package>> packages;
  for (const Run &run : runs)
    packages.push_back(run.package);
  ORIEL_ASSIGN_OR_RETURN(std::vector<Measured> measured, bench.benchInTurns(packages, repeats));
  for (size_t i = 0; i < runs.size(); ++i)
    runs[i].measured = std::move(measured[i]);
  return absl::OkStatus();
}

std::vector<schedule::Measurement> measurementsOf(const std::vector<Run> &runs) {
  std::vector<schedule::Measurement> all;
  for (const Run &run : runs)
    for (const auto &[entry, steps] : run.measured.steps)
      all.insert(all.end(), steps.begin(), steps.end());
  return all;
}

Table runTable(const std::vector<Run> &runs) {
  Table table{{{"schedule", true}, {"measured"}, {"predicted before"}, {"off by"}, {"predicted after"}, {"off by"}},
              {}};
  for (const Run &run : runs) {
    auto off = [&](double predicted) {
      return fmt::format("{:+.1f} %", 100 * (predicted / run.measured.seconds() - 1));
    };
    table.rows.push_back({run.name, formatSeconds(run.measured.seconds()), formatSeconds(run.before), off(run.before),
                          formatSeconds(run.after), off(run.after)});
  }
  return table;
}

std::string printJson(const std::vector<Run> &runs, const schedule::DeviceDescriptor &device, const std::string &file) {
  nlohmann::ordered_json json = {{"device", device.name}, {"file", file}};
  for (const Run &run : runs)
    json["runs"].push_back({{"schedule", run.name},
                            {"measured_seconds", run.measured.seconds()},
                            {"predicted_before_seconds", run.before},
                            {"predicted_seconds", run.after}});
  return json.dump(2) + "\n";
}

} // namespace

absl::StatusOr<std::string> calibrate(Workbench &bench, const std::string &model, const Request &request,
                                      const std::string &output) {
  std::string file = output.empty() ? runtime::tuningFilePlaces().device : output;
  if (file.empty())
    return absl::NotFoundError("no place for the device descriptor: set ORIEL_TUNING_DIR or give --write");
  ORIEL_ASSIGN_OR_RETURN(std::vector<Run> runs, compileSchedules(bench, model, request));
  ORIEL_RETURN_IF_ERROR(measure(bench, runs, request.repeats));
  schedule::DeviceDescriptor device = schedule::fitDevice(bench.costs().device, measurementsOf(runs));
  device.name = runtime::hostDeviceName();
  device.cores = runs.front().measured.threads;
  for (Run &run : runs)
    run.after = predictedSeconds(run.package->plan(), {device, {}});
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(runtime::folderOf(file)));
  ORIEL_RETURN_IF_ERROR(runtime::writeFileAtomically(file, schedule::printDevice(device)));
  std::string summary =
      fmt::format("{} threads, medians of {} runs; written to {}", device.cores, request.repeats, file);
  switch (request.format) {
  case Format::Json:
    return printJson(runs, device, file);
  case Format::Html:
    return page("Calibration of " + device.name, "<p>" + escapeHtml(summary) + "</p>\n" + printHtml(runTable(runs)) +
                                                     "<pre>" + escapeHtml(schedule::printDevice(device)) + "</pre>\n");
  default:
    return fmt::format("{}: {}\n\n{}", device.name, summary, printText(runTable(runs)));
  }
}

} // namespace oriel::tune
