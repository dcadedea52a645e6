// oriel-tune search for a GPU, which need not be there: what an assembler says of each schedule takes the place of a
// measurement.
#include "compiler/tune/Commands.h"
#include "compiler/tune/MixerWay.h"
#include "compiler/tune/SearchReport.h"

#include "runtime/base/Status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace oriel::tune {
namespace {

using nlohmann::ordered_json;
using schedule::MixerWay;

/// One way with what the kernels in the layers of its mixers take: the most of any, and the least share of the warps.
struct Trial {
  MixerWay way;
  double predicted = 0; // seconds of the step
  int64_t memoryBytes = 0;
  int64_t registers = 0, sharedBytes = 0, spillBytes = 0;
  double warps = 1;
  std::string tightest; // kernel of the least share of the warps
};

struct Findings {
  std::string model, device, assembler, chosen;
  std::vector<Trial> trials; // fastest in prediction first
  std::vector<schedule::RefusedWay> refused;
};

void addKernel(Trial &trial, const KernelRow &kernel) {
  const GpuRow &gpu = *kernel.gpu;
  trial.registers = std::max(trial.registers, gpu.block.registers);
  trial.sharedBytes = std::max(trial.sharedBytes, gpu.block.sharedBytes);
  trial.spillBytes = std::max(trial.spillBytes, gpu.spillBytes);
  if (gpu.occupancy && gpu.occupancy->warps < trial.warps) {
    trial.warps = gpu.occupancy->warps;
    trial.tightest = shortName(kernel.action);
  }
}

absl::StatusOr<Trial> assemble(Workbench &bench, const std::string &model, const Request &request,
                               const schedule::Problem &problem, const MixerWay &way) {
  ModelOptions options = request.model;
  ORIEL_ASSIGN_OR_RETURN(options.schedule, bench.write("given.mlir", scheduleText(problem, way)));
  ORIEL_ASSIGN_OR_RETURN(Compiled compiled, bench.compile(model, options));
  StepReport report = makeReport(*compiled.package, bench.costsOf(*compiled.package), nullptr);
  std::set<std::string> mixerLayers;
  for (const MixerRow &mixer : report.mixers)
    mixerLayers.insert(mixer.layers.begin(), mixer.layers.end());
  Trial trial;
  trial.way = way;
  trial.predicted = report.predicted;
  trial.memoryBytes = report.memoryBytes();
  for (const KernelRow &kernel : report.kernels)
    if (kernel.gpu && std::any_of(kernel.layers.begin(), kernel.layers.end(),
                                  [&](const std::string &layer) { return mixerLayers.contains(layer); }))
      addKernel(trial, kernel);
  return trial;
}

/// Each way once, though many mixers may refuse it.
std::vector<schedule::RefusedWay> refusedWays(const schedule::Problem &problem) {
  std::vector<schedule::RefusedWay> refused;
  for (const schedule::Mixer &mixer : problem.mixers)
    for (const schedule::RefusedWay &way : mixer.refused)
      if (std::find(refused.begin(), refused.end(), way) == refused.end())
        refused.push_back(way);
  return refused;
}

Table trialTable(const Findings &findings) {
  Table table{{{"recurrent mixers", true},
               {"step predicted"},
               {"registers"},
               {"shared KiB"},
               {"spilled"},
               {"warps"},
               {"of kernel", true, 72},
               {"memory MiB"}},
              {}};
  bool assembled = !findings.assembler.empty();
  auto known = [&](std::string text) { return assembled ? text : std::string("?"); };
  for (const Trial &trial : findings.trials)
    table.rows.push_back({wordsOf(trial.way), formatSeconds(trial.predicted), known(fmt::format("{}", trial.registers)),
                          fmt::format("{:.1f}", static_cast<double>(trial.sharedBytes) / 1024),
                          known(fmt::format("{}", trial.spillBytes)), known(formatPercent(trial.warps)),
                          known(trial.tightest), formatMib(trial.memoryBytes)});
  return table;
}

std::string summary(const Findings &findings) {
  std::string text;
  for (const schedule::RefusedWay &way : findings.refused)
    text += fmt::format("refused  {}: {}\n", wordsOf(way), way.why);
  return text + "chosen   " + findings.chosen +
         "\ntiles    of each schedule as ptxas and predictions choose them, not tried one by one: `oriel-tune explain LAYER MODEL` "
         "lists the rivals of each kernel\n";
}

ordered_json jsonOf(const Findings &findings) {
  ordered_json json = {{"device", findings.device}, {"assembler", findings.assembler}, {"chosen", findings.chosen},
                       {"trials", ordered_json::array()}, {"refused", ordered_json::array()}};
  for (const Trial &trial : findings.trials)
    json["trials"].push_back({{"way", wordsOf(trial.way)},
                              {"predicted_seconds", trial.predicted},
                              {"registers", trial.registers},
                              {"shared_bytes", trial.sharedBytes},
                              {"spill_bytes", trial.spillBytes},
                              {"occupancy", trial.warps}});
  for (const schedule::RefusedWay &way : findings.refused)
    json["refused"].push_back({{"way", wordsOf(way)}, {"why", way.why}});
  return json;
}

} // namespace

absl::StatusOr<std::string> searchForGpu(Workbench &bench, const std::string &model, const Request &request,
                                         const Compiled &before, size_t candidates) {
  StepReport report = makeReport(*before.package, bench.costsOf(*before.package), nullptr);
  Findings findings{report.model,      report.device, before.problem->assembler, choicesOf(report), {},
                    refusedWays(*before.problem)};
  for (const MixerWay &way : waysToTry(*before.problem, candidates)) {
    ORIEL_ASSIGN_OR_RETURN(Trial trial, assemble(bench, model, request, *before.problem, way));
    findings.trials.push_back(std::move(trial));
  }
  std::stable_sort(findings.trials.begin(), findings.trials.end(),
                   [](const Trial &a, const Trial &b) { return a.predicted < b.predicted; });
  std::string title = fmt::format("{} for {}: {}", findings.model, findings.device, assemblerText(findings.assembler));
  return printSearch(request.format, title, trialTable(findings), summary(findings), jsonOf(findings));
}

} // namespace oriel::tune
