// oriel bench: runs the training entry points of a package on made-up data and prints what every step took, as JSON.
// What a cost model can be fitted to; the compiler never runs kernels itself.
#include "runtime/base/Counts.h"
#include "runtime/base/CpuFeatures.h"
#include "runtime/base/Status.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/executor/Executor.h"
#include "runtime/plan/PlanCheck.h"
#include "trainer/commands/Commands.h"
#include "trainer/device/OpenDevice.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <random>

namespace oriel::trainer {
namespace {

struct Options {
  std::string package, device = "cpu";
  int repeats = 5, threads = 0;
};

double median(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() / 2];
}

/// Small random parameters, random tokens in one document per row.
absl::Status fillInputs(runtime::Executor &executor) {
  std::mt19937 rng(1);
  std::uniform_real_distribution<float> small(-0.05f, 0.05f);
  ORIEL_ASSIGN_OR_RETURN(absl::Span<float> params, executor.buffer<float>("params"));
  std::generate(params.begin(), params.end(), [&] { return small(rng); });
  ORIEL_RETURN_IF_ERROR(executor.writeState("params"));
  for (const char *name : {"tokens", "targets"}) {
    ORIEL_ASSIGN_OR_RETURN(absl::Span<int32_t> tokens, executor.buffer<int32_t>(name));
    std::generate(tokens.begin(), tokens.end(),
                  [&] { return static_cast<int32_t>(rng() % static_cast<uint64_t>(executor.plan().vocab())); });
  }
  ORIEL_ASSIGN_OR_RETURN(absl::Span<float> scale, executor.buffer<float>("loss_scale"));
  std::fill(scale.begin(), scale.end(), 1.0f);
  return absl::OkStatus();
}

struct EntryTimes {
  std::vector<double> whole;              // seconds of each run, not watched
  std::vector<std::vector<double>> steps; // of each step, watched
};

absl::StatusOr<EntryTimes> measure(runtime::Executor &executor, const plan::EntryPoint &entry, int repeats) {
  EntryTimes times;
  times.steps.resize(entry.steps_size());
  ORIEL_RETURN_IF_ERROR(executor.run(entry.name())); // touches memory for the first time
  for (int i = 0; i < repeats; ++i) {
    double start = runtime::monotonicSeconds();
    ORIEL_RETURN_IF_ERROR(executor.run(entry.name()));
    times.whole.push_back(runtime::monotonicSeconds() - start);
    executor.setStepHook(
        [&](const runtime::StepTrace &trace) { times.steps[trace.index].push_back(trace.end - trace.start); });
    ORIEL_RETURN_IF_ERROR(executor.run(entry.name()));
    executor.setStepHook({});
  }
  return times;
}

uint64_t residentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (uint64_t kibibytes = 0; word == "VmHWM:" && status >> kibibytes)
      return kibibytes << 10;
  return 0;
}

void printEntry(const plan::EntryPoint &entry, const EntryTimes &times) {
  fmt::print("  {{\"name\": \"{}\", \"seconds\": {:.6e}, \"steps\": [\n", entry.name(), median(times.whole));
  for (int i = 0; i < entry.steps_size(); ++i) {
    const plan::Step &step = entry.steps(i);
    fmt::print(
        "    {{\"layer\": \"{}\", \"action\": \"{}\", \"seconds\": {:.6e}, \"flops\": {:.0f}, \"bytes\": {:.0f}}}{}\n",
        step.layer(), runtime::actionOf(step), median(times.steps[i]), step.flops(), step.bytes_moved(),
        i + 1 < entry.steps_size() ? "," : "");
  }
  fmt::print("  ]}}");
}

absl::Status run(const Options &options) {
  ORIEL_ASSIGN_OR_RETURN(std::shared_ptr<const runtime::Package> package, runtime::Package::load(options.package));
  absl::StatusOr<std::unique_ptr<runtime::Device>> opened = openDevice({options.device, {options.threads, -1}});
  if (!opened.ok())
    return runtime::withContext(opened.status(), "--device " + options.device);
  std::unique_ptr<runtime::Device> device = *std::move(opened);
  std::unique_ptr<runtime::Communicator> alone = std::move(runtime::createLocalGroup(1)[0]);
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<runtime::Executor> executor,
                         runtime::Executor::create(package, *device, *alone));
  if (!executor->hasEntry("micro"))
    return absl::InvalidArgumentError(options.package + " trains no model: it has no entry 'micro'");
  ORIEL_RETURN_IF_ERROR(fillInputs(*executor));
  std::vector<std::pair<const plan::EntryPoint *, EntryTimes>> measured;
  for (const plan::EntryPoint &entry : package->plan().entry_points())
    if (entry.name() == "micro" || entry.name() == "update") {
      ORIEL_ASSIGN_OR_RETURN(EntryTimes times, measure(*executor, entry, options.repeats));
      measured.emplace_back(&entry, std::move(times));
    }
  fmt::print("{{\"device\": \"{}\", \"cpu\": \"{}\", \"threads\": {}, \"tokens\": {}, \"memory_bytes\": {}, \"resident_bytes\": {}, "
             "\"entries\": [\n",
             device->description(), runtime::hostCpuName(), device->threads(), executor->plan().batch() * executor->plan().tokens(), executor->memoryBytes(),
             residentBytes());
  for (size_t i = 0; i < measured.size(); ++i) {
    printEntry(*measured[i].first, measured[i].second);
    fmt::print("{}\n", i + 1 < measured.size() ? "," : "");
  }
  fmt::print("]}}\n");
  return absl::OkStatus();
}

} // namespace

void addBenchCommand(CLI::App &app, Action *action) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("bench", "times every step of a package on made-up data; prints JSON");
  command->add_option("package", options->package, "a package folder that orielc wrote")->required();
  command->add_option("--repeats", options->repeats, "runs of which medians are taken")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--device", options->device, "cpu, cuda or cuda-emulated; the package is compiled for it")
      ->check(CLI::IsMember({"cpu", "cuda", "cuda-emulated"}))
      ->capture_default_str();
  command->add_option("--threads", options->threads, "0: all cores")->check(runtime::countOrZero());
  command->callback([action, options] { *action = [options] { return run(*options); }; });
}

} // namespace oriel::trainer
