// oriel-tune search: measures schedules of a model's recurrent mixers and records what their kernels took.
//
// A candidate (chunk, save interval, one or two passes, fused or apart) runs in all mixers that may run so, in the
// whole step, so that caches and memory are as in training; then the key tiles of the fastest fused one do. The record
// is by kernel and product with their sizes: it holds for every model that has them. For a GPU nothing is run
// (SearchForGpu.cpp).
#include "compiler/tune/Commands.h"
#include "compiler/tune/MixerWay.h"
#include "compiler/tune/SearchReport.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace oriel::tune {
namespace {

using nlohmann::ordered_json;
using schedule::MixerWay;
using schedule::Problem;

struct Trial {
  MixerWay way;
  std::shared_ptr<const runtime::Package> package;
  double predicted = 0;
  Measured measured;
};

/// Runs all ways in turns.
absl::StatusOr<std::vector<Trial>> tryWays(Workbench &bench, const std::string &model, const Request &request,
                                           const Problem &problem, const std::vector<MixerWay> &ways) {
  std::vector<Trial> trials;
  std::vector<std::shared_ptr<const runtime::Package>> packages;
  for (const MixerWay &way : ways) {
    ModelOptions options = request.model;
    ORIEL_ASSIGN_OR_RETURN(options.schedule, bench.write("given.mlir", scheduleText(problem, way)));
    ORIEL_ASSIGN_OR_RETURN(Compiled compiled, bench.compile(model, options));
    packages.push_back(compiled.package);
    trials.push_back({way, compiled.package, predictedSeconds(compiled.package->plan(), bench.costs()), {}});
  }
  ORIEL_ASSIGN_OR_RETURN(std::vector<Measured> measured, bench.benchInTurns(packages, request.repeats));
  for (size_t i = 0; i < trials.size(); ++i)
    trials[i].measured = std::move(measured[i]);
  return trials;
}

/// Fastest first.
void sortTrials(std::vector<Trial> &trials) {
  std::stable_sort(trials.begin(), trials.end(),
                   [](const Trial &a, const Trial &b) { return a.measured.seconds() < b.measured.seconds(); });
}

/// The key tiles of the fastest fused way; none where no way is fused. A tile has its say with saved states at every
/// chunk, as the cost model tries it. The kernels' own tile runs again, in turns with its rivals.
std::vector<MixerWay> tilesToTry(const std::vector<Trial> &trials) {
  auto fused = std::find_if(trials.begin(), trials.end(), [](const Trial &trial) { return trial.way.fused; });
  std::vector<MixerWay> ways;
  if (fused == trials.end())
    return ways;
  MixerWay way = fused->way;
  way.saveEvery = 1;
  for (int64_t tile : {int64_t{0}, schedule::keyTiles[0], schedule::keyTiles[1], schedule::keyTiles[2]}) {
    way.tile = tile;
    ways.push_back(way);
  }
  return ways;
}

/// A way that ran before stays one trial, with the medians of both.
void addTrial(std::vector<Trial> &trials, Trial trial) {
  auto before = std::find_if(trials.begin(), trials.end(), [&](const Trial &other) { return other.way == trial.way; });
  if (before == trials.end())
    trials.push_back(std::move(trial));
  else
    before->measured = medianOf({before->measured, trial.measured});
}

/// Ways with their kernels' own tiles first, then tiles.
absl::StatusOr<std::vector<Trial>> tryAll(Workbench &bench, const std::string &model, const Request &request,
                                          const Problem &problem, size_t most) {
  ORIEL_ASSIGN_OR_RETURN(std::vector<Trial> trials, tryWays(bench, model, request, problem, waysToTry(problem, most)));
  sortTrials(trials);
  ORIEL_ASSIGN_OR_RETURN(std::vector<Trial> tiles, tryWays(bench, model, request, problem, tilesToTry(trials)));
  for (Trial &tile : tiles)
    addTrial(trials, std::move(tile));
  sortTrials(trials);
  return trials;
}

/// Medians over all calls in all trials; what was known of other shapes stays.
schedule::TuningRecord recordOf(const std::vector<Trial> &trials, schedule::TuningRecord record) {
  std::map<std::string, std::vector<double>> seconds;
  for (const Trial &trial : trials)
    for (const auto &[entry, steps] : trial.measured.steps)
      for (const schedule::Measurement &step : steps)
        seconds[step.work.action].push_back(step.seconds);
  for (auto &[action, list] : seconds) {
    auto middle = list.begin() + static_cast<std::ptrdiff_t>(list.size() / 2);
    std::nth_element(list.begin(), middle, list.end());
    if (*middle > 0)
      record.seconds[action] = *middle;
  }
  return record;
}

struct Findings {
  std::vector<Trial> trials; // fastest first
  StepReport before, after;  // as the compiler chooses without and with the record
  std::string recordFile, deviceFile;
  size_t recorded = 0;
  int64_t repeats = 0;
};

Table trialTable(const Findings &findings) {
  Table table{
      {{"recurrent mixers", true}, {"step measured"}, {"against the fastest"}, {"predicted before"}, {"memory MiB"}},
      {}};
  for (const Trial &trial : findings.trials) {
    double fastest = findings.trials.front().measured.seconds();
    table.rows.push_back({wordsOf(trial.way), formatSeconds(trial.measured.seconds()),
                          fmt::format("{:+.1f} %", 100 * (trial.measured.seconds() / fastest - 1)),
                          formatSeconds(trial.predicted), formatMib(trial.measured.memoryBytes)});
  }
  return table;
}

std::string summary(const Findings &f) {
  return fmt::format("recorded  {} kernels and products in {}\nbefore    {}\nafter     {}\n          step predicted {} -> {}\n",
                     f.recorded, f.recordFile, choicesOf(f.before), choicesOf(f.after),
                     formatSeconds(f.before.predicted), formatSeconds(f.after.predicted));
}

ordered_json jsonOf(const Findings &f) {
  ordered_json json = {{"device", f.after.device},
                       {"record", f.recordFile},
                       {"recorded", f.recorded},
                       {"before", {{"predicted_seconds", f.before.predicted}, {"mixers", choicesOf(f.before)}}},
                       {"after", {{"predicted_seconds", f.after.predicted}, {"mixers", choicesOf(f.after)}}}};
  for (const Trial &trial : f.trials)
    json["trials"].push_back({{"chunk", trial.way.chunk},
                              {"save_every", trial.way.saveEvery},
                              {"two_pass", trial.way.twoPass},
                              {"fused", trial.way.fused},
                              {"tile", trial.way.tile},
                              {"predicted_seconds", trial.predicted},
                              {"measured_seconds", trial.measured.seconds()}});
  return json;
}

absl::Status writeText(const std::string &file, const std::string &text) {
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(runtime::folderOf(file)));
  return runtime::writeFileAtomically(file, text);
}

/// The record is of this machine, and so must the descriptor be that it is used with: where there is none yet, the
/// shipped rates get this machine's name.
absl::Status keepCosts(Workbench &bench, Findings &findings, const std::string &output) {
  schedule::CostModel costs = bench.costs();
  if (costs.device.name == schedule::genericCpu().name) {
    costs.device.name = runtime::hostDeviceName();
    findings.deviceFile = runtime::tuningFilePlaces().device;
  }
  costs.record = recordOf(findings.trials, std::move(costs.record));
  costs.record.device = costs.device.name;
  findings.recorded = costs.record.seconds.size();
  findings.recordFile = output.empty() ? runtime::tuningFilePlaces().record : output;
  if (findings.recordFile.empty() || (bench.costs().device.name != costs.device.name && findings.deviceFile.empty()))
    return absl::NotFoundError("no place for the tuning record: set ORIEL_TUNING_DIR or give --write");
  if (!findings.deviceFile.empty())
    ORIEL_RETURN_IF_ERROR(writeText(findings.deviceFile, schedule::printDevice(costs.device)));
  ORIEL_RETURN_IF_ERROR(writeText(findings.recordFile, schedule::printRecord(costs.record)));
  return bench.useCosts(std::move(costs));
}

} // namespace

absl::StatusOr<std::string> search(Workbench &bench, const std::string &model, const Request &request,
                                   int64_t candidates, const std::string &output) {
  ORIEL_ASSIGN_OR_RETURN(Compiled before, bench.compile(model, request.model));
  if (!before.problem)
    return absl::InvalidArgumentError(model + " is a package of one schedule: give its model");
  if (before.problem->mixers.empty())
    return absl::InvalidArgumentError(model + " has no recurrent mixer whose schedule could be searched");
  if (!before.package->plan().target().chip().empty())
    return searchForGpu(bench, model, request, before, static_cast<size_t>(candidates));
  Findings findings;
  findings.repeats = request.repeats;
  findings.before = makeReport(*before.package, bench.costs(), nullptr);
  ORIEL_ASSIGN_OR_RETURN(findings.trials,
                         tryAll(bench, model, request, *before.problem, static_cast<size_t>(candidates)));
  ORIEL_RETURN_IF_ERROR(keepCosts(bench, findings, output));
  ORIEL_ASSIGN_OR_RETURN(Compiled after, bench.compile(model, request.model));
  findings.after = makeReport(*after.package, bench.costs(), nullptr);
  std::string title =
      fmt::format("{} on {}: medians of {} turns", findings.before.model, findings.after.device, request.repeats);
  return printSearch(request.format, title, trialTable(findings), summary(findings), jsonOf(findings));
}

} // namespace oriel::tune
