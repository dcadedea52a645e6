// oriel-tune show: what the step is made of, what bounds it, and what it keeps in memory.
#include "compiler/tune/Chart.h"
#include "compiler/tune/Commands.h"
#include "compiler/tune/MixerWay.h"
#include "compiler/tune/StepReport.h"
#include "compiler/tune/Table.h"

#include "runtime/base/Status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace oriel::tune {
namespace {

using nlohmann::ordered_json;

/// Kernels below this share of the time are one line of the text.
constexpr double smallShare = 0.003;

/// Threads of a block, registers and spilled bytes of a thread, shared memory of a block, share of a multiprocessor's
/// warps that are there at a time, tensor-core instructions in the kernel's text, least bytes to and from memory.
std::vector<std::string> gpuCells(const KernelRow &row) {
  std::string moved = fmt::format("{:.1f}", row.bytes / 1e6);
  if (!row.gpu)
    return {"-", "-", "-", "-", "-", "-", moved};
  const GpuRow &gpu = *row.gpu;
  bool assembled = gpu.block.registers > 0;
  auto number = [&](int64_t n) { return assembled ? fmt::format("{}", n) : std::string("?"); };
  return {fmt::format("{}", gpu.block.threads),
          number(gpu.block.registers),
          number(gpu.spillBytes),
          fmt::format("{:.1f}", static_cast<double>(gpu.block.sharedBytes) / 1024),
          gpu.occupancy ? formatPercent(gpu.occupancy->warps) : "?",
          number(gpu.tensorInstructions),
          moved};
}

std::vector<Cell> kernelCells(const StepReport &report, const KernelRow &row, double whole, double most) {
  double seconds = row.seconds(report.wasMeasured);
  std::vector<Cell> cells = {shortName(row.action), formatLayers(row.layers), fmt::format("{}", row.calls),
                             row.grid.empty() ? "-" : row.grid};
  if (report.isForGpu())
    for (std::string &text : gpuCells(row))
      cells.emplace_back(std::move(text));
  for (std::string text :
       {row.flops > 0 ? fmt::format("{:.2f}", row.flops / 1e9) : "-",
        row.savedBytes > 0 ? formatMib(row.savedBytes) : std::string("-"), formatSeconds(row.predicted)})
    cells.emplace_back(std::move(text));
  if (report.wasMeasured)
    cells.push_back(formatSeconds(row.measured));
  cells.push_back(Cell(formatPercent(whole > 0 ? seconds / whole : 0), most > 0 ? seconds / most : 0));
  cells.push_back(std::string(schedule::boundName(row.bound)));
  return cells;
}

/// Every kernel; or those of a share of at least `least` of the time, and the others as one row.
Table kernelTable(const StepReport &report, double least = 0) {
  Table table;
  table.columns = {{"kernel and tiles", true, 72}, {"layers", true, 34}, {"calls"}, {"grid"}};
  if (report.isForGpu())
    table.columns.insert(table.columns.end(),
                         {{"threads"}, {"registers"}, {"spilled"}, {"shared KiB"}, {"warps"}, {"mma"}, {"moved MB"}});
  table.columns.insert(table.columns.end(), {{"GFLOP"}, {"saved MiB"}, {"predicted"}});
  if (report.wasMeasured)
    table.columns.push_back({"measured"});
  table.columns.insert(table.columns.end(), {{"share"}, {"bound by", true}});
  double whole = 0;
  for (const KernelRow &row : report.kernels)
    whole += row.seconds(report.wasMeasured);
  double most = report.kernels.empty() ? 0 : report.kernels.front().seconds(report.wasMeasured);
  KernelRow others;
  int64_t kinds = 0;
  for (const KernelRow &row : report.kernels)
    if (row.seconds(report.wasMeasured) >= least * whole) {
      table.rows.push_back(kernelCells(report, row, whole, most));
    } else {
      ++kinds;
      others.add(row);
    }
  if (kinds > 0) {
    table.rows.push_back(kernelCells(report, others, whole, most));
    table.rows.back().front() = fmt::format("{} smaller ones", kinds);
    table.rows.back().back() = "";
  }
  return table;
}

Table mixerTable(const StepReport &report) {
  Table table;
  table.columns = {{"recurrent mixer", true}, {"chunk C"},      {"save every m"},
                   {"kernel", true},          {"output", true}, {"why", true, 110}};
  for (const MixerRow &row : report.mixers)
    table.rows.push_back({formatLayers(row.layers), fmt::format("{}", row.way.chunk),
                          fmt::format("{}", row.way.saveEvery), kernelText(row.way),
                          row.recompute ? "made again" : "kept", row.why});
  return table;
}

std::string headline(const StepReport &report) {
  return fmt::format("{} x {} tokens per micro-batch, predicted for {}{}", report.batch, report.tokens, report.device,
                     report.wasMeasured ? fmt::format(", measured on {} threads", report.threads) : "");
}

std::string totals(const StepReport &report) {
  double tokens = static_cast<double>(report.batch * report.tokens);
  auto rate = [&](double seconds) {
    return seconds > 0 ? fmt::format("{} ({:.0f} tokens/s)", formatSeconds(seconds), tokens / seconds) : "-";
  };
  std::string out = "step      predicted " + rate(report.predicted);
  if (report.wasMeasured)
    out += fmt::format(", measured {}: predicted / measured = {:.2f}", rate(report.measured),
                       report.measured > 0 ? report.predicted / report.measured : 0);
  out += fmt::format("\nmemory    {} MiB: arena {}, state {}, caller {}, constants {}\n",
                     formatMib(report.memoryBytes()), formatMib(report.arenaBytes), formatMib(report.stateBytes),
                     formatMib(report.ioBytes), formatMib(report.constantBytes));
  int64_t saved = 0;
  for (const KernelRow &row : report.kernels)
    saved += row.savedBytes;
  return out + fmt::format("backward  reads {} MiB that the forward keeps; {} ops kept, {} made again\n",
                           formatMib(saved), report.kept, report.madeAgain);
}

Chart memoryChart(const StepReport &report) {
  Line line{"arena", {}, Line::Area};
  for (size_t i = 0; i < report.timeline.size(); ++i)
    line.points.emplace_back(static_cast<double>(i), static_cast<double>(report.timeline[i]) / (1 << 20));
  return {"Memory over the step: bytes of the arena that hold values",
          fmt::format("steps 0 ... {}; the last value that the backward reads is made at step {}",
                      report.timeline.empty() ? 0 : report.timeline.size() - 1,
                      std::max<int64_t>(report.forwardSteps, 1) - 1),
          "MiB",
          {line}};
}

std::string showText(const StepReport &report) {
  std::string out =
      fmt::format("{}: {}\n\n{}\n", report.model, headline(report), printText(kernelTable(report, smallShare)));
  if (!report.mixers.empty())
    out += printText(mixerTable(report)) + "\n";
  return out + drawText(memoryChart(report)) + "\n" + totals(report);
}

std::string showHtml(const StepReport &report) {
  std::string body =
      fmt::format("<p>{}</p>\n<pre>{}</pre>\n", escapeHtml(headline(report)), escapeHtml(totals(report)));
  body += drawSvg(memoryChart(report));
  if (!report.mixers.empty())
    body +=
        "<h2>Schedule of the recurrent mixers</h2>\n<div class=\"wide\">" + printHtml(mixerTable(report)) + "</div>\n";
  body += "<h2>Kernels</h2>\n<div class=\"wide\">" + printHtml(kernelTable(report)) + "</div>\n";
  return page(report.model + ": one training step", body);
}

ordered_json kernelJson(const KernelRow &row, bool wasMeasured) {
  ordered_json json = {{"kernel", row.action},
                       {"layers", row.layers},
                       {"calls", row.calls},
                       {"grid", row.grid},
                       {"flops", row.flops},
                       {"bytes_moved", row.bytes},
                       {"saved_bytes", row.savedBytes},
                       {"scratch_bytes", row.scratchBytes},
                       {"predicted_seconds", row.predicted},
                       {"arithmetic_seconds", row.arithmeticSeconds},
                       {"memory_seconds", row.memorySeconds},
                       {"bound", std::string(schedule::boundName(row.bound))}};
  if (wasMeasured)
    json["measured_seconds"] = row.measured;
  if (row.gpu) {
    json["gpu"] = {{"threads", row.gpu->block.threads}, {"shared_bytes", row.gpu->block.sharedBytes}};
    if (row.gpu->block.registers > 0)
      json["gpu"].update({{"registers", row.gpu->block.registers},
                          {"spill_bytes", row.gpu->spillBytes},
                          {"tensor_instructions", row.gpu->tensorInstructions}});
    if (row.gpu->occupancy)
      json["gpu"].update(
          {{"blocks_per_multiprocessor", row.gpu->occupancy->blocks}, {"occupancy", row.gpu->occupancy->warps}});
  }
  return json;
}

std::string showJson(const StepReport &report) {
  ordered_json json = {{"model", report.model},
                       {"device", report.device},
                       {"batch", report.batch},
                       {"tokens", report.tokens},
                       {"predicted_seconds", report.predicted},
                       {"memory_bytes", report.memoryBytes()},
                       {"arena_bytes", report.arenaBytes},
                       {"ops_kept", report.kept},
                       {"ops_made_again", report.madeAgain}};
  if (report.wasMeasured)
    json["measured_seconds"] = report.measured;
  json["kernels"] = ordered_json::array();
  for (const KernelRow &row : report.kernels)
    json["kernels"].push_back(kernelJson(row, report.wasMeasured));
  json["mixers"] = ordered_json::array();
  for (const MixerRow &row : report.mixers)
    json["mixers"].push_back({{"layers", row.layers},
                              {"chunk", row.way.chunk},
                              {"save_every", row.way.saveEvery},
                              {"two_pass", row.way.twoPass},
                              {"fused", row.way.fused},
                              {"tile", row.way.tile},
                              {"recompute", row.recompute},
                              {"why", row.why}});
  json["timeline_bytes"] = report.timeline;
  return json.dump(2) + "\n";
}

} // namespace

absl::StatusOr<std::string> show(Workbench &bench, const std::string &path, const Request &request) {
  ORIEL_ASSIGN_OR_RETURN(Compiled compiled, bench.compile(path, request.model));
  std::optional<Measured> measured;
  if (request.measure) {
    ORIEL_ASSIGN_OR_RETURN(measured, bench.bench(*compiled.package, request.repeats));
  }
  StepReport report = makeReport(*compiled.package, bench.costsOf(*compiled.package), measured ? &*measured : nullptr);
  return request.format == Format::Json   ? showJson(report)
         : request.format == Format::Html ? showHtml(report)
                                          : showText(report);
}

} // namespace oriel::tune
