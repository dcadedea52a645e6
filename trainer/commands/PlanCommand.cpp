// oriel plan: what a step costs, for any number of ranks, without having the machines.
#include "runtime/base/Counts.h"
#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "trainer/commands/Commands.h"
#include "trainer/commands/DescribePlan.h"
#include "trainer/config/JobConfig.h"
#include "trainer/loop/RunSetup.h"

#include "absl/strings/match.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <memory>

namespace oriel::trainer {
namespace {

struct Options {
  std::string path, dtype = "f32";
  int world = 1;
  int64_t batch = 8, tokens = 256, slots = 1, buffers = 20;
};

absl::StatusOr<PackageRequest> requestOf(const Options &options) {
  if (absl::EndsWith(options.path, ".toml")) {
    ORIEL_ASSIGN_OR_RETURN(Job job, loadJob(options.path));
    ORIEL_ASSIGN_OR_RETURN(std::string text, runtime::readFile(job.model()));
    return packageRequestOf(job, text, options.world);
  }
  PackageRequest request;
  ORIEL_ASSIGN_OR_RETURN(request.modelText, runtime::readFile(options.path));
  request.modelPath = options.path;
  request.batch = options.batch;
  request.tokens = options.tokens;
  request.world = options.world;
  request.gradSlots = options.slots;
  request.dtype = options.dtype;
  return request;
}

absl::Status run(const Options &options) {
  std::shared_ptr<const runtime::Package> package;
  if (std::filesystem::is_directory(options.path)) {
    ORIEL_ASSIGN_OR_RETURN(package, runtime::Package::load(options.path));
  } else {
    ORIEL_ASSIGN_OR_RETURN(PackageRequest request, requestOf(options));
    ORIEL_ASSIGN_OR_RETURN(CachedPackage cached,
                           findOrCompile(request, runtime::Deadline::after(kCompileDeadlineSeconds)));
    package = cached.package;
  }
  fmt::print("{}", describePlan(package->plan(), options.buffers));
  return absl::OkStatus();
}

} // namespace

void addPlanCommand(CLI::App &app, Action *action) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("plan", "buffers, peak memory and FLOPs of a step");
  command->add_option("path", options->path, "a job (.toml), a model (.oriel) or a package folder")->required();
  command->add_option("--world", options->world, "ranks of the fsdp axis")
      ->check(runtime::positiveCount())
      ->capture_default_str();
  command->add_option("--batch", options->batch, "rows of a micro-batch (of a model)")->check(runtime::positiveCount());
  command->add_option("--tokens", options->tokens, "tokens of a row (of a model)")->check(runtime::positiveCount());
  command->add_option("--grad-slots", options->slots, "gradient slots (of a model)")->check(runtime::positiveCount());
  command->add_option("--dtype", options->dtype, "of activations: f32 or bf16 (of a model)")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  command->add_option("--buffers", options->buffers, "how many of the largest buffers to list")->capture_default_str();
  command->callback([action, options] { *action = [options] { return run(*options); }; });
}

} // namespace oriel::trainer
