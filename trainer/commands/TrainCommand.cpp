// oriel train: a job from its file to its summary.
#include "runtime/base/Status.h"
#include "trainer/commands/Commands.h"
#include "trainer/commands/DescribePlan.h"
#include "trainer/commands/Ranks.h"
#include "trainer/config/JobConfig.h"
#include "trainer/loop/Agreement.h"
#include "trainer/loop/RunSetup.h"
#include "trainer/loop/TrainLoop.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace oriel::trainer {
namespace {

constexpr const char *kProfileOverride = "metrics.profile_steps=3"; // of --profile

struct Options {
  std::string job, device;
  std::vector<std::string> overrides;
  bool printConfig = false, helpConfig = false, dryRun = false, profile = false;
};

void printSummary(const TrainSummary &summary) {
  if (summary.stopped)
    fmt::print("stopped after step {}{}\n", summary.lastStep,
               summary.lastSave.ok() ? "; the same command goes on from the checkpoint" : "");
  if (summary.lastStep > summary.firstStep)
    fmt::print("training loss   {:.4f} nats/token at step {}, {:.0f} tokens/s\n", summary.trainLoss, summary.lastStep,
               summary.tokensPerSecond);
  if (summary.validationPerToken)
    fmt::print("validation loss {:.4f} nats/token{}\n", *summary.validationPerToken,
               summary.validationPerByte ? fmt::format(", {:.4f} nats/byte", *summary.validationPerByte) : "");
  if (!summary.sample.empty())
    fmt::print("sample\n{:-<72}\n{}{}\n{:-<72}\n", "", summary.samplePrompt, summary.sample, "");
  if (!summary.profile.empty())
    fmt::print("profile of rank 0\n{}", summary.profile);
  for (auto [name, path] :
       {std::pair("checkpoint", &summary.checkpoint), {"metrics", &summary.metrics}, {"report", &summary.report}})
    if (!path->empty())
      fmt::print("{:<15} {}\n", name, *path);
}

absl::Status dryRun(const Job &job, runtime::Communicator &communicator) {
  ORIEL_ASSIGN_OR_RETURN(RunSetup setup, setUpRun(job, communicator));
  if (communicator.rank() == 0)
    fmt::print("{}data: {} training rows per epoch{}\nnothing was trained (--dry-run)\n",
               describePlan(setup.state->plan(), /*buffers=*/10), setup.training->rowsPerEpoch(),
               setup.validation ? fmt::format(", {} validation rows", setup.validation->rowsPerEpoch()) : "");
  return absl::OkStatus();
}

absl::Status runRanks(const Options &options, runtime::Communicator &communicator) {
  std::vector<std::string> overrides = options.overrides;
  if (options.profile)
    overrides.push_back(kProfileOverride);
  if (!options.device.empty())
    overrides.push_back(fmt::format("training.device=\"{}\"", options.device));
  absl::StatusOr<Job> job = loadJob(options.job, overrides);
  ORIEL_RETURN_IF_ERROR(agree(communicator, job.status(), runtime::Deadline::after(60)));
  if (options.dryRun)
    return dryRun(*job, communicator);
  ORIEL_ASSIGN_OR_RETURN(TrainSummary summary, train(*job, communicator, leaveAtOnce));
  if (communicator.rank() == 0)
    printSummary(summary);
  return summary.lastSave;
}

absl::Status run(const Options &options) {
  if (options.helpConfig) {
    fmt::print("{}", describeJobSchema());
    return absl::OkStatus();
  }
  if (options.job.empty())
    return absl::InvalidArgumentError(
        "oriel train needs a job file (try: oriel train job.toml, oriel train --help-config)");
  if (options.printConfig) {
    ORIEL_ASSIGN_OR_RETURN(Job job, loadJob(options.job, options.overrides));
    fmt::print("{}", printJob(job));
    return absl::OkStatus();
  }
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<runtime::Communicator> communicator, startRanks());
  return endRanks(runRanks(options, *communicator), *communicator);
}

} // namespace

void addTrainCommand(CLI::App &app, Action *action) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("train", "train a model; under mpirun -n N with N ranks");
  command->add_option("job", options->job, "job file (TOML)");
  command->add_option("--set", options->overrides, "override a key of the job, e.g. --set training.steps=100")
      ->allow_extra_args(false);
  command->add_option("--device", options->device, "the same as --set training.device=DEVICE")
      ->check(CLI::IsMember({"cpu", "cuda", "cuda-emulated"}));
  command->add_flag("--print-config", options->printConfig, "print the job with everything filled in, and stop");
  command->add_flag("--help-config", options->helpConfig, "print every key of a job with its meaning, and stop");
  command->add_flag("--dry-run", options->dryRun, "check job, data and model, compile, print the plan, and stop");
  command->add_flag("--profile", options->profile,
                    "profile three steps: a table of kernels, and a trace for Perfetto in the metrics folder");
  command->callback([action, options] { *action = [options] { return run(*options); }; });
}

} // namespace oriel::trainer
