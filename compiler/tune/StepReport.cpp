#include "compiler/tune/StepReport.h"
#include "compiler/tune/MixerWay.h"

#include "runtime/plan/PlanCheck.h"

#include <fmt/format.h>

#include <algorithm>

namespace oriel::tune {
namespace {

bool isOfStep(const plan::EntryPoint &entry) {
  return entry.name() == "micro" || entry.name() == "update" || entry.name() == "vjp";
}

int64_t alignUp(uint64_t bytes) { return static_cast<int64_t>((bytes + 63) / 64 * 64); }

std::optional<GpuRow> gpuRowOf(const plan::Launch &launch, const schedule::DeviceDescriptor &device) {
  if (launch.threads() == 0)
    return std::nullopt;
  GpuRow row{{launch.threads(), launch.registers(), static_cast<int64_t>(launch.shared_bytes())},
             launch.spill_bytes(),
             launch.tensor_instructions(),
             std::nullopt};
  if (device.multiprocessor && row.block.registers > 0)
    row.occupancy = schedule::occupancyOf(*device.multiprocessor, row.block);
  return row;
}

void addStep(StepReport &report, std::map<std::string, size_t> &rowOf, const plan::Step &step,
             const schedule::CostModel &costs, double measuredSeconds) {
  schedule::Work work = workOf(step);
  schedule::Estimate estimate = costs.estimate(work);
  auto [at, isNew] = rowOf.try_emplace(work.action, report.kernels.size());
  if (isNew) {
    KernelRow row;
    row.action = work.action;
    row.bound = estimate.bound;
    if (const plan::Launch &launch = step.launch(); launch.grid_size() == 3) {
      row.grid = fmt::format("{} x {} x {}", launch.grid(0), launch.grid(1), launch.grid(2));
      row.scratchBytes = static_cast<int64_t>(launch.scratch_bytes());
      row.gpu = gpuRowOf(launch, costs.device);
    }
    report.kernels.push_back(std::move(row));
  }
  KernelRow call;
  call.calls = 1;
  if (!step.layer().empty())
    call.layers = {step.layer()};
  call.savedBytes = static_cast<int64_t>(step.saved_bytes());
  call.flops = work.flops;
  call.bytes = work.bytes;
  call.predicted = estimate.seconds;
  call.measured = measuredSeconds;
  call.arithmeticSeconds = estimate.arithmeticSeconds;
  call.memorySeconds = estimate.memorySeconds;
  report.kernels[at->second].add(call);
}

void addMemory(StepReport &report, const plan::Plan &plan) {
  report.arenaBytes = alignUp(plan.arena_bytes());
  for (const plan::Buffer &buffer : plan.buffers())
    if (buffer.placement() != plan::ARENA)
      (buffer.placement() == plan::STATE ? report.stateBytes
       : buffer.placement() == plan::IO  ? report.ioBytes
                                         : report.constantBytes) += alignUp(buffer.bytes());
}

void addTimeline(StepReport &report, const plan::EntryPoint &entry) {
  for (const plan::Step &step : entry.steps()) {
    report.timeline.push_back(static_cast<int64_t>(step.alive_bytes()));
    if (step.saved_bytes() > 0)
      report.forwardSteps = static_cast<int64_t>(report.timeline.size());
  }
}

/// "layers.0.mixer.residual_linear_attention" is of the layer "layers.0.mixer".
std::string layerOf(const std::string &path) { return path.substr(0, path.rfind('.')); }

void addSchedule(StepReport &report, const plan::EntryPoint &entry) {
  for (const plan::Decision &decision : entry.schedule()) {
    if (decision.chunk() == 0) {
      ++(decision.recompute() ? report.madeAgain : report.kept);
      continue;
    }
    MixerRow row{{}, wayOf(decision), decision.recompute(), decision.why()};
    auto same = std::find_if(report.mixers.begin(), report.mixers.end(), [&](const MixerRow &other) {
      return std::tie(other.way, other.recompute, other.why) == std::tie(row.way, row.recompute, row.why);
    });
    if (same == report.mixers.end())
      same = report.mixers.insert(report.mixers.end(), row);
    same->layers.insert(layerOf(decision.path()));
  }
}

/// "eps3e45798ee2308c3a": letters and the bit pattern of a double.
bool isBitPattern(const std::string &word) {
  constexpr size_t digits = 16;
  return word.size() > digits && word.find_last_not_of("0123456789abcdef") == word.size() - digits - 1;
}

} // namespace

void KernelRow::add(const KernelRow &other) {
  layers.insert(other.layers.begin(), other.layers.end());
  calls += other.calls;
  savedBytes += other.savedBytes;
  flops += other.flops;
  bytes += other.bytes;
  predicted += other.predicted;
  measured += other.measured;
  arithmeticSeconds += other.arithmeticSeconds;
  memorySeconds += other.memorySeconds;
}

bool StepReport::isForGpu() const {
  return std::any_of(kernels.begin(), kernels.end(), [](const KernelRow &row) { return row.gpu.has_value(); });
}

StepReport makeReport(const runtime::Package &package, const schedule::CostModel &costs, const Measured *measured) {
  const plan::Plan &plan = package.plan();
  StepReport report;
  report.model = plan.model();
  report.device = costs.device.name;
  report.batch = plan.batch();
  report.tokens = plan.tokens();
  report.wasMeasured = measured != nullptr;
  report.threads = measured ? measured->threads : 0;
  addMemory(report, plan);
  std::map<std::string, size_t> rowOf;
  for (const plan::EntryPoint &entry : plan.entry_points()) {
    if (!isOfStep(entry))
      continue;
    for (int i = 0; i < entry.steps_size(); ++i)
      addStep(report, rowOf, entry.steps(i), costs, measured ? measured->steps.at(entry.name())[i].seconds : 0);
    report.measured += measured ? measured->entrySeconds.at(entry.name()) : 0;
    if (entry.name() != "update") {
      addTimeline(report, entry);
      addSchedule(report, entry);
    }
  }
  report.predicted = predictedSeconds(plan, costs);
  std::stable_sort(report.kernels.begin(), report.kernels.end(), [&](const KernelRow &a, const KernelRow &b) {
    return a.seconds(report.wasMeasured) > b.seconds(report.wasMeasured);
  });
  return report;
}

std::string shortName(const std::string &action) {
  if (action.find(' ') != std::string::npos)
    return action; // "gemm 8192x256x768 NT"
  std::string out;
  std::set<std::string> said;
  bool inName = true; // the words in front of the first size
  for (size_t at = 0; at < action.size();) {
    size_t end = std::min(action.find('_', at), action.size());
    std::string word = action.substr(at, end - at);
    inName &= word.find_first_of("0123456789") == std::string::npos;
    if (!isBitPattern(word) && said.insert(word).second)
      out += (out.empty() ? "" : inName ? "_" : " ") + word;
    at = end + 1;
  }
  return out;
}

double predictedSeconds(const plan::Plan &plan, const schedule::CostModel &costs) {
  double seconds = 0;
  for (const plan::EntryPoint &entry : plan.entry_points())
    for (const plan::Step &step : entry.steps())
      seconds += isOfStep(entry) ? costs.estimate(workOf(step)).seconds : 0;
  return seconds;
}

} // namespace oriel::tune
