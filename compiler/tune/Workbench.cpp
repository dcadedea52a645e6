#include "compiler/tune/Workbench.h"

#include "compiler/schedule/ProblemText.h"
#include "compiler/schedule/ShippedDevices.h"
#include "runtime/base/Clock.h"
#include "runtime/base/CpuFeatures.h"
#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "runtime/base/Subprocess.h"
#include "runtime/plan/PlanCheck.h"

#include "absl/strings/ascii.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>

namespace oriel::tune {

namespace fs = std::filesystem;

namespace {

absl::StatusOr<std::string> outputOf(const std::vector<std::string> &command) {
  constexpr double patienceSeconds = 7200; // large models on small machines
  ORIEL_ASSIGN_OR_RETURN(runtime::ProcessResult result,
                         runtime::runProcess(command, runtime::Deadline::after(patienceSeconds)));
  if (result.exitStatus == 0)
    return result.standardOutput;
  return absl::InvalidArgumentError(fmt::format("{} ended with status {}:\n{}",
                                                fs::path(command[0]).filename().string(), result.exitStatus,
                                                std::string(absl::StripTrailingAsciiWhitespace(result.standardError))));
}

/// Reads `path` with parseDevice or parseRecord; the value as it was where there is no path.
template <typename Value, typename Parse> absl::Status readText(const std::string &path, Parse parse, Value &value) {
  if (path.empty())
    return absl::OkStatus();
  ORIEL_ASSIGN_OR_RETURN(std::string text, runtime::readFile(path));
  std::string error;
  std::optional<Value> parsed = parse(text, path, error);
  if (!parsed)
    return absl::InvalidArgumentError(error);
  value = *std::move(parsed);
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<std::unique_ptr<Workbench>> Workbench::open(const runtime::TuningFiles &files) {
  ORIEL_ASSIGN_OR_RETURN(runtime::TemporaryFolder folder, runtime::TemporaryFolder::create("oriel-tune"));
  std::unique_ptr<Workbench> bench(new Workbench(std::move(folder)));
  ORIEL_ASSIGN_OR_RETURN(bench->orielc_, runtime::findSiblingProgram("orielc", "ORIELC"));
  ORIEL_ASSIGN_OR_RETURN(bench->oriel_, runtime::findSiblingProgram("oriel", "ORIEL"));
  bench->files_ = runtime::findTuningFiles();
  bench->deviceIsGiven_ = !files.device.empty();
  if (bench->deviceIsGiven_)
    bench->files_.device = files.device;
  if (!files.record.empty())
    bench->files_.record = files.record;
  ORIEL_RETURN_IF_ERROR(bench->readCosts());
  return bench;
}

absl::Status Workbench::readCosts() {
  schedule::TuningRecord record;
  costs_.device = schedule::withCores(costs_.device, runtime::hostCores());
  if (!files_.device.empty()) {
    std::string error;
    std::optional<schedule::DeviceDescriptor> device = schedule::findDevice(files_.device, error);
    if (!device)
      return absl::InvalidArgumentError(error);
    costs_.device = *std::move(device);
  }
  ORIEL_RETURN_IF_ERROR(readText(files_.record, schedule::parseRecord, record));
  if (!files_.record.empty())
    warning_ = costs_.use(std::move(record), files_.record);
  return absl::OkStatus();
}

schedule::CostModel Workbench::costsOf(const runtime::Package &package) const {
  std::string_view gpu = schedule::gpuOfChip(package.plan().target().chip());
  schedule::CostModel costs = costs_;
  if (!deviceIsGiven_ && !gpu.empty())
    costs = {*schedule::shippedDevice(gpu), {}, {}};
  for (const plan::EntryPoint &entry : package.plan().entry_points())
    for (const plan::Step &step : entry.steps())
      if (const plan::Launch &launch = step.launch(); launch.registers() > 0)
        costs.blocks[launch.symbol()] = {
            {launch.threads(), launch.registers(), static_cast<int64_t>(launch.shared_bytes())},
            launch.stages(),
            launch.warpgroup_share()};
  return costs;
}

absl::Status Workbench::useCosts(schedule::CostModel costs) {
  costs_ = std::move(costs);
  ORIEL_ASSIGN_OR_RETURN(files_.device, write("this.device", schedule::printDevice(costs_.device)));
  costs_.record.device = costs_.device.name;
  ORIEL_ASSIGN_OR_RETURN(files_.record, write("this.tuning", schedule::printRecord(costs_.record)));
  return absl::OkStatus();
}

absl::StatusOr<Compiled> Workbench::compile(const std::string &path, const ModelOptions &options) {
  Compiled compiled;
  if (fs::is_directory(path)) {
    ORIEL_ASSIGN_OR_RETURN(compiled.package, runtime::Package::load(path));
    return compiled;
  }
  std::string folder = fmt::format("{}/package{}", folder_.path(), compiled_++), problem = folder + ".problem", error;
  std::vector<std::string> command = {orielc_,
                                      path,
                                      "-o",
                                      folder,
                                      "--problem",
                                      problem,
                                      "--batch",
                                      std::to_string(options.batch),
                                      "--tokens",
                                      std::to_string(options.tokens),
                                      "--memory-budget",
                                      options.memoryBudget,
                                      "--dtype",
                                      options.dtype};
  auto give = [&](const char *option, const std::string &file) {
    if (!file.empty())
      command.insert(command.end(), {option, file});
  };
  give("--schedule", options.schedule);
  command.insert(command.end(), {"--target", options.target});
  bool forThisCpu = options.target == "cpu";
  if (forThisCpu || deviceIsGiven_)
    give("--device", files_.device);
  if (forThisCpu)
    give("--tuning", files_.record);
  ORIEL_RETURN_IF_ERROR(outputOf(command).status());
  ORIEL_ASSIGN_OR_RETURN(compiled.package, runtime::Package::load(folder));
  ORIEL_ASSIGN_OR_RETURN(std::string text, runtime::readFile(problem));
  compiled.problem = schedule::parseProblem(text, problem, error);
  return compiled.problem ? absl::StatusOr<Compiled>(std::move(compiled)) : absl::InternalError(error);
}

absl::StatusOr<Measured> Workbench::bench(const runtime::Package &package, int repeats) {
  ORIEL_ASSIGN_OR_RETURN(std::string text,
                         outputOf({oriel_, "bench", package.folder(), "--repeats", std::to_string(repeats)}));
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return absl::InternalError("oriel bench printed no JSON:\n" + text);
  Measured measured;
  measured.cpu = json.value("cpu", "");
  measured.threads = json.value("threads", int64_t{0});
  measured.memoryBytes = json.value("memory_bytes", int64_t{0});
  measured.residentBytes = json.value("resident_bytes", int64_t{0});
  for (const auto &entry : json["entries"]) {
    std::string name = entry.value("name", "");
    measured.entrySeconds[name] = entry.value("seconds", 0.0);
    const plan::EntryPoint *planned = package.findEntry(name);
    if (!planned || entry["steps"].size() != static_cast<size_t>(planned->steps_size()))
      return absl::InternalError("oriel bench measured other steps than those of " + package.folder());
    for (int i = 0; i < planned->steps_size(); ++i)
      measured.steps[name].push_back({workOf(planned->steps(i)), entry["steps"][i].value("seconds", 0.0)});
  }
  return measured;
}

absl::StatusOr<std::vector<Measured>>
Workbench::benchInTurns(const std::vector<std::shared_ptr<const runtime::Package>> &packages, int repeats) {
  std::vector<std::vector<Measured>> runs(packages.size());
  double start = runtime::monotonicSeconds();
  for (int turn = 0; turn < repeats; ++turn) {
    for (size_t i = 0; i < packages.size(); ++i) {
      ORIEL_ASSIGN_OR_RETURN(Measured run, bench(*packages[i], 1));
      runs[i].push_back(std::move(run));
    }
    fmt::print(stderr, "measured {} schedules, turn {} of {}, after {:.0f} s\n", packages.size(), turn + 1, repeats,
               runtime::monotonicSeconds() - start);
  }
  std::vector<Measured> medians;
  for (const std::vector<Measured> &ofPackage : runs)
    medians.push_back(medianOf(ofPackage));
  return medians;
}

double Measured::seconds() const {
  double sum = 0;
  for (const auto &[entry, seconds] : entrySeconds)
    sum += seconds;
  return sum;
}

Measured medianOf(const std::vector<Measured> &runs) {
  auto median = [&](auto timeOf) {
    std::vector<double> times;
    for (const Measured &run : runs)
      times.push_back(timeOf(run));
    std::sort(times.begin(), times.end());
    size_t middle = times.size() / 2;
    return times.size() % 2 ? times[middle] : (times[middle - 1] + times[middle]) / 2;
  };
  Measured result = runs.front();
  for (auto &[entry, seconds] : result.entrySeconds)
    seconds = median([&, &name = entry](const Measured &run) { return run.entrySeconds.at(name); });
  for (auto &[entry, steps] : result.steps)
    for (size_t i = 0; i < steps.size(); ++i)
      steps[i].seconds = median([&, &name = entry](const Measured &run) { return run.steps.at(name)[i].seconds; });
  return result;
}

absl::StatusOr<std::string> Workbench::write(const std::string &name, const std::string &text) {
  std::string path = folder_.path() + "/" + name;
  ORIEL_RETURN_IF_ERROR(runtime::writeFileAtomically(path, text));
  return path;
}

schedule::Work workOf(const plan::Step &step) {
  schedule::Work work;
  work.action = runtime::actionOf(step);
  work.flops = step.flops();
  work.bytes = step.bytes_moved();
  if (step.has_gemm()) {
    work.m = step.gemm().m();
    work.n = step.gemm().n();
    work.k = step.gemm().k();
    work.dtype = step.gemm().dtype() == plan::BF16 ? "bf16" : "f32";
  } else if (step.has_launch()) {
    const plan::Launch &launch = step.launch();
    work.cells = 1;
    for (int64_t size : launch.grid())
      work.cells *= size;
    work.productFlops = launch.product_flops();
    work.cellBytes = launch.cell_bytes();
    work.rounds = launch.rounds();
  }
  return work;
}

} // namespace oriel::tune
