// oriel eval: the validation loss of a checkpoint under a job's data, on any number of ranks.
#include "runtime/base/Counts.h"
#include "runtime/base/Status.h"
#include "trainer/commands/Commands.h"
#include "trainer/commands/OpenModel.h"
#include "trainer/commands/Ranks.h"
#include "trainer/config/JobConfig.h"
#include "trainer/loop/Agreement.h"
#include "trainer/loop/Validate.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace oriel::trainer {
namespace {

struct Options {
  std::string job, checkpoint;
  std::vector<std::string> overrides;
  int64_t batches = -1;
};

absl::StatusOr<Job> jobOf(const Options &options) {
  ORIEL_ASSIGN_OR_RETURN(Job job, loadJob(options.job, options.overrides));
  if (job.data().validation().empty())
    return absl::InvalidArgumentError(fmt::format("{}: data.validation is not set", options.job));
  job.mutable_data()->clear_weights();
  job.mutable_data()->clear_train();
  job.mutable_data()->add_train(job.data().validation()); // the training set is not needed
  return job;
}

absl::Status loadWeights(const Options &options, const Job &job, ModelState &state, std::string &folder) {
  ORIEL_ASSIGN_OR_RETURN(folder, findCheckpoint(options.checkpoint.empty() ? checkpointDir(job) : options.checkpoint));
  std::vector<ParameterPlace> places = state.places();
  return CheckpointStore::load(folder, state.targets(), &places).status();
}

absl::Status runRanks(const Options &options, runtime::Communicator &communicator) {
  absl::StatusOr<Job> job = jobOf(options);
  ORIEL_RETURN_IF_ERROR(agree(communicator, job.status(), runtime::Deadline::after(60)));
  double patience = job->distributed().deadline();
  ORIEL_ASSIGN_OR_RETURN(RunSetup setup, setUpRun(*job, communicator));
  std::string folder;
  ORIEL_RETURN_IF_ERROR(
      agree(communicator, loadWeights(options, *job, *setup.state, folder), runtime::Deadline::after(patience)));
  ORIEL_RETURN_IF_ERROR(setup.state->gatherParameters(runtime::Deadline::after(patience)));
  int64_t batches = options.batches >= 0 ? options.batches : job->validation().batches();
  ORIEL_ASSIGN_OR_RETURN(ValidationResult result,
                         validate(*setup.state, *setup.validation, batches, setup.tokenizer.get(), communicator,
                                  patience, [](const char *) {}));
  if (communicator.rank() == 0)
    fmt::print("{}: validation loss {:.6f} nats/token{} over {} tokens\n", folder, result.perToken(),
               result.bytes > 0 ? fmt::format(", {:.6f} nats/byte", result.perByte()) : "", result.tokens);
  return absl::OkStatus();
}

absl::Status run(const Options &options) {
  ORIEL_ASSIGN_OR_RETURN(auto communicator, startRanks());
  return endRanks(runRanks(options, *communicator), *communicator);
}

} // namespace

void addEvalCommand(CLI::App &app, Action *action) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("eval", "the validation loss of a checkpoint");
  command->add_option("job", options->job, "job file (TOML)")->required();
  command->add_option("--checkpoint", options->checkpoint,
                      "a checkpoint or a folder of them; default: the job's newest");
  command->add_option("--batches", options->batches, "micro-batches over all ranks; 0: the whole set")
      ->check(runtime::countOrZero());
  command->add_option("--set", options->overrides, "override a key of the job")->allow_extra_args(false);
  command->callback([action, options] { *action = [options] { return run(*options); }; });
}

} // namespace oriel::trainer
