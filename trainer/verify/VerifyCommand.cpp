// Reads all cases first, so that a malformed file is reported before minutes of work; then runs them one by one.
#include "trainer/verify/VerifyCommand.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "runtime/base/Subprocess.h"
#include "runtime/base/TemporaryFolder.h"
#include "trainer/device/OpenDevice.h"
#include "trainer/verify/RunCase.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

namespace oriel::trainer {

namespace {

/// The folder for texts and packages: a temporary one unless one is named.
class WorkFolder {
public:
  absl::Status open(const std::string &keep) {
    path_ = keep;
    if (!keep.empty())
      return runtime::makeFolders(keep);
    ORIEL_ASSIGN_OR_RETURN(temporary_, runtime::TemporaryFolder::create("oriel-verify"));
    path_ = temporary_->path();
    return absl::OkStatus();
  }
  /// A folder for one case: a case that comes again gets another.
  absl::StatusOr<std::string> of(const GoldenCase &golden) {
    std::string folder = absl::StrCat(path_, "/", golden.family, "-", golden.name);
    if (int times = ++seen_[folder]; times > 1)
      absl::StrAppend(&folder, "-", times);
    ORIEL_RETURN_IF_ERROR(runtime::makeFolders(folder));
    return folder;
  }

private:
  std::string path_;
  std::optional<runtime::TemporaryFolder> temporary_;
  std::map<std::string, int> seen_;
};

constexpr double tf32Tolerance = 1e-3;

DeviceRequest deviceOf(const VerifyOptions &options) {
  std::string kind = options.target == "nvidia-emulated" ? "cuda-emulated" : options.target;
  return {kind, {options.threads, /*firstCore=*/kind == "cpu" ? 0 : -1}, options.seed, {}};
}

absl::StatusOr<std::vector<GoldenCase>> readCases(const std::vector<std::string> &paths) {
  std::vector<GoldenCase> cases;
  for (const std::string &path : paths) {
    ORIEL_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(path));
    ORIEL_ASSIGN_OR_RETURN(GoldenCase golden, readGoldenCase(file));
    cases.push_back(std::move(golden));
  }
  return cases;
}

void print(std::ostream &out, const GoldenCase &golden, const std::vector<NamedComparison> &comparisons) {
  for (const auto &[tensor, comparison] : comparisons)
    out << absl::StrFormat("%-30s %-28s %s\n", absl::StrCat(golden.family, "/", golden.name), tensor,
                           comparison.describe());
  out.flush();
}

/// What became of all cases.
struct Tally {
  size_t tensors = 0, failed = 0, cases = 0, notRun = 0;

  absl::Status status(const VerifyOptions &options) const {
    std::string message;
    if (failed > 0)
      message = absl::StrCat(failed, " of ", tensors, " tensors FAIL");
    if (notRun > 0)
      absl::StrAppend(&message, message.empty() ? "" : "; ", notRun, " of ", cases, " cases did not run on ",
                      options.target, " (", options.chip, ")");
    return message.empty() ? absl::OkStatus() : absl::FailedPreconditionError(message);
  }
};

/// The lines of a message that carry its cause, shortened to a few hundred characters of one line.
std::string oneLine(absl::string_view message) {
  std::string line(message.substr(0, 400));
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

/// The last report of each kernel, as lines, and every finding.
class CheckReports {
public:
  void add(const runtime::emulated::LaunchReport &report) {
    summaries_[report.kernel] = report.summary();
    for (const std::string &finding : report.findings)
      findings_.push_back(absl::StrCat(report.kernel, ": ", finding));
  }
  void print(std::ostream &out) {
    for (const auto &[kernel, summary] : summaries_)
      out << "  " << kernel << ": " << summary << "\n";
    for (const std::string &finding : findings_)
      out << "  FOUND " << finding << "\n";
    summaries_.clear();
    findings_.clear();
  }

private:
  std::map<std::string, std::string> summaries_;
  std::vector<std::string> findings_;
};

class Verification {
public:
  Verification(const VerifyOptions &options, std::ostream &out) : options_(options), out_(out) {}

  absl::Status run(const std::vector<GoldenCase> &cases) {
    if (options_.prebuilt.empty()) {
      ORIEL_ASSIGN_OR_RETURN(compiler_, runtime::findSiblingProgram("orielc", "ORIELC"));
    }
    if (!options_.compileOnly) {
      ORIEL_RETURN_IF_ERROR(openDevice());
    }
    ORIEL_RETURN_IF_ERROR(work_.open(options_.prebuilt.empty() ? options_.keep : options_.prebuilt));
    for (size_t i = 0; i < cases.size(); ++i)
      ORIEL_RETURN_IF_ERROR(runtime::withContext(runOne(cases[i]), options_.cases[i]));
    return tally_.status(options_);
  }

private:
  absl::Status openDevice() {
    DeviceRequest request = deviceOf(options_);
    if (options_.check)
      request.emulatorReport = [this](const runtime::emulated::LaunchReport &report) { reports_.add(report); };
    absl::StatusOr<std::unique_ptr<runtime::Device>> device = trainer::openDevice(request);
    if (!device.ok())
      return runtime::withContext(device.status(), "--target " + options_.target);
    device_ = *std::move(device);
    return absl::OkStatus();
  }

  absl::Status runOne(const GoldenCase &golden) {
    ORIEL_ASSIGN_OR_RETURN(std::string folder, work_.of(golden));
    TextRun how{device_.get(), compiler_, folder, {}};
    bool cpu = options_.target == "cpu";
    if (!cpu) {
      how.compilerOptions = {"--target", options_.check ? absl::StrCat("nvidia-checked:", options_.chip)
                                                        : compileTargetOf(deviceOf(options_).kind, options_.chip)};
      how.leastTolerance = tf32Tolerance;
    }
    ++tally_.cases;
    absl::StatusOr<std::vector<NamedComparison>> comparisons = compareCase(golden, how);
    reports_.print(out_);
    if (!comparisons.ok() && !cpu)
      return reportNotRun(golden, comparisons.status());
    ORIEL_RETURN_IF_ERROR(comparisons.status());
    print(out_, golden, *comparisons);
    tally_.tensors += comparisons->size();
    for (const NamedComparison &named : *comparisons)
      tally_.failed += named.comparison.ok ? 0 : 1;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<NamedComparison>> compareCase(const GoldenCase &golden, const TextRun &how) {
    bool bf16 = options_.dtype == "bf16";
    if (!options_.compileOnly)
      return bf16 ? runCaseInBf16(golden, how) : runCase(golden, how);
    ORIEL_RETURN_IF_ERROR(compileCase(golden, how, bf16));
    return std::vector<NamedComparison>();
  }

  /// A faulty kernel ends a CUDA device, so the next case gets a new one.
  absl::Status reportNotRun(const GoldenCase &golden, const absl::Status &reason) {
    ++tally_.notRun;
    out_ << absl::StrFormat("%-30s %-28s %s\n", absl::StrCat(golden.family, "/", golden.name), "not run",
                            oneLine(reason.message()));
    out_.flush();
    return device_ ? openDevice() : absl::OkStatus();
  }

  const VerifyOptions &options_;
  std::ostream &out_;
  std::string compiler_;
  std::unique_ptr<runtime::Device> device_;
  CheckReports reports_;
  WorkFolder work_;
  Tally tally_;
};

} // namespace

absl::Status verify(const VerifyOptions &options, std::ostream &out) {
  if (options.compileOnly && options.keep.empty())
    return absl::InvalidArgumentError("--compile-only leaves packages in a folder: say which with --keep");
  if (!options.prebuilt.empty() && (options.compileOnly || !options.keep.empty()))
    return absl::InvalidArgumentError("--prebuilt runs packages that are there: leave out --keep and --compile-only");
  if (options.check && options.target != "nvidia-emulated")
    return absl::InvalidArgumentError("--check is of the emulator: use it with --target nvidia-emulated");
  ORIEL_ASSIGN_OR_RETURN(std::vector<GoldenCase> cases, readCases(options.cases));
  return Verification(options, out).run(cases);
}

void addVerifyCommand(CLI::App &app, std::function<absl::Status()> *action) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App *command = app.add_subcommand("verify", "run golden cases through the compiled kernels and compare");
  command->add_option("cases", options->cases, "golden cases (.safetensors)")->required()->check(CLI::ExistingFile);
  command->add_option("--dtype", options->dtype, "what activations and operands of products lie in")
      ->capture_default_str()
      ->check(CLI::IsMember({"f32", "bf16"}));
  command->add_option("--target", options->target, "where kernels run")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "nvidia-emulated", "cuda"}));
  command->add_option("--chip", options->chip, "that NVIDIA kernels are compiled for")->capture_default_str();
  command->add_option("--seed", options->seed, "of the emulator: the order in which it runs the threads of a block")
      ->capture_default_str();
  command->add_flag("--check", options->check,
                    "nvidia-emulated: check every access to memory for races, bounds and alignment, and print what the "
                    "kernels move and which banks conflict");
  command->add_option("--threads", options->threads, "threads; 0 means every core")
      ->capture_default_str()
      ->check(CLI::Range(0, 4096));
  command->add_option("--keep", options->keep, "keep the lm texts and packages in this folder");
  command->add_flag("--compile-only", options->compileOnly, "leave packages in the folder of --keep and run nothing");
  command->add_option("--prebuilt", options->prebuilt, "run the packages that --keep left in this folder; no compiler")
      ->check(CLI::ExistingDirectory);
  command->callback([options, action] { *action = [options] { return verify(*options, std::cout); }; });
}

} // namespace oriel::trainer
