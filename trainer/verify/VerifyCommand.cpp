// Reads all cases first, so that a malformed file is reported before minutes of work; then runs them one by one.
#include "trainer/verify/VerifyCommand.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "runtime/base/Subprocess.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "trainer/verify/RunCase.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>

namespace oriel::trainer {

namespace {

/// The folder for texts and packages; a temporary one goes away with the object.
class WorkFolder {
public:
  absl::Status open(const std::string &keep) {
    path_ = keep;
    if (!keep.empty())
      return runtime::makeFolders(keep);
    std::string pattern = (std::filesystem::temp_directory_path() / "oriel-verify-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      return runtime::errnoStatus("make a temporary folder");
    path_ = pattern;
    temporary_ = true;
    return absl::OkStatus();
  }
  ~WorkFolder() {
    std::error_code ignored;
    if (temporary_)
      std::filesystem::remove_all(path_, ignored);
  }
  /// A fresh folder for one case.
  absl::StatusOr<std::string> of(const GoldenCase &golden, size_t index) {
    std::string folder = absl::StrCat(path_, "/", index, "-", golden.family);
    ORIEL_RETURN_IF_ERROR(runtime::makeFolders(folder));
    return folder;
  }

private:
  std::string path_;
  bool temporary_ = false;
};

absl::Status checkOptions(const VerifyOptions &options) {
  if (options.target != "cpu")
    return absl::UnimplementedError(absl::StrCat("--target ", options.target, ": only cpu can be run so far"));
  return absl::OkStatus();
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

} // namespace

absl::Status verify(const VerifyOptions &options, std::ostream &out) {
  ORIEL_RETURN_IF_ERROR(checkOptions(options));
  ORIEL_ASSIGN_OR_RETURN(std::vector<GoldenCase> cases, readCases(options.cases));
  ORIEL_ASSIGN_OR_RETURN(std::string compiler, runtime::findSiblingProgram("orielc", "ORIELC"));
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<runtime::Device> device,
                         runtime::createCpuDevice({options.threads, /*firstCore=*/0}));
  WorkFolder work;
  ORIEL_RETURN_IF_ERROR(work.open(options.keep));
  size_t tensors = 0, failed = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    ORIEL_ASSIGN_OR_RETURN(std::string folder, work.of(cases[i], i));
    auto run = options.dtype == "bf16" ? runCaseInBf16 : runCase;
    auto comparisons = run(cases[i], {*device, compiler, folder, {}});
    ORIEL_RETURN_IF_ERROR(runtime::withContext(comparisons.status(), options.cases[i]));
    print(out, cases[i], *comparisons);
    tensors += comparisons->size();
    for (const NamedComparison &named : *comparisons)
      failed += named.comparison.ok ? 0 : 1;
  }
  if (failed > 0)
    return absl::FailedPreconditionError(absl::StrCat(failed, " of ", tensors, " tensors FAIL"));
  return absl::OkStatus();
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
  command->add_option("--threads", options->threads, "threads; 0 means every core")
      ->capture_default_str()
      ->check(CLI::Range(0, 4096));
  command->add_option("--keep", options->keep, "keep the lm texts and packages in this folder");
  command->callback([options, action] { *action = [options] { return verify(*options, std::cout); }; });
}

} // namespace oriel::trainer
