// oriel export, oriel checkpoint verify | inspect: checkpoints without running a model.
#include "runtime/base/Status.h"
#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/checkpoint/ExportModel.h"
#include "trainer/commands/Commands.h"
#include "trainer/commands/OpenModel.h"

#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>

namespace oriel::trainer {
namespace {

// The checkpoint folders meant by a path: itself, or all below it, oldest first.
absl::StatusOr<std::vector<std::string>> foldersAt(const std::string &path) {
  if (std::filesystem::exists(path + "/manifest.json"))
    return std::vector<std::string>{path};
  CheckpointStore store(path);
  std::vector<std::string> folders;
  for (int64_t step : store.steps())
    folders.push_back(store.folderOfStep(step));
  if (folders.empty())
    return absl::NotFoundError(fmt::format("{}: no checkpoint", path));
  return folders;
}

absl::Status verifyAll(const std::string &path) {
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> folders, foldersAt(path));
  absl::Status worst;
  for (const std::string &folder : folders) {
    absl::StatusOr<CheckpointInfo> info = CheckpointStore::verify(folder);
    if (info.ok())
      fmt::print("{}: ok\n", folder);
    else if (worst.ok())
      worst = info.status();
    else
      fmt::print(stderr, "oriel: {}\n", std::string(info.status().message()));
  }
  return worst;
}

absl::Status inspect(const std::string &path) {
  ORIEL_ASSIGN_OR_RETURN(std::string folder, findCheckpoint(path));
  ORIEL_ASSIGN_OR_RETURN(CheckpointInfo info, CheckpointStore::verify(folder));
  fmt::print("{}\nstep {}, next sample {}, seed {}, run {}\nplan {}\njob {}\n", folder, info.step, info.position,
             info.seed, info.runId, info.planFingerprint, info.configHash);
  for (const auto &[key, value] : info.extra)
    if (key != "model_text" && key != "settings")
      fmt::print("{} {}\n", key, value);
  if (auto settings = info.extra.find("settings"); settings != info.extra.end())
    fmt::print("settings\n  {}\n", absl::StrReplaceAll(absl::StripSuffix(settings->second, "\n"), {{"\n", "\n  "}}));
  for (const ParameterPlace &place : info.parameters)
    fmt::print("  {:<44} [{}] at {}\n", place.name, fmt::join(place.shape, ", "), place.offset);
  return absl::OkStatus();
}

} // namespace

void addExportCommand(CLI::App &app, Action *action) {
  struct Options {
    std::string checkpoint, output;
  };
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("export", "write a checkpoint as model.safetensors and config.json");
  command->add_option("checkpoint", options->checkpoint, "a checkpoint, a folder of them, or the job file of a run")
      ->required();
  command->add_option("-o,--output", options->output, "folder to write")->required();
  command->callback([action, options] {
    *action = [options]() -> absl::Status {
      ORIEL_ASSIGN_OR_RETURN(std::string folder, findCheckpoint(options->checkpoint));
      ORIEL_RETURN_IF_ERROR(exportModel(folder, options->output));
      fmt::print("{} -> {}/model.safetensors\n", folder, options->output);
      return absl::OkStatus();
    };
  });
}

void addCheckpointCommand(CLI::App &app, Action *action) {
  auto path = std::make_shared<std::string>();
  CLI::App *command = app.add_subcommand("checkpoint", "look at checkpoints");
  command->require_subcommand(1);
  CLI::App *verify = command->add_subcommand("verify", "check every byte of a checkpoint, or of all in a folder");
  verify->add_option("path", *path, "a checkpoint or a folder of them")->required();
  verify->callback([action, path] { *action = [path] { return verifyAll(*path); }; });
  CLI::App *show = command->add_subcommand("inspect", "what a checkpoint holds");
  show->add_option("path", *path, "a checkpoint, a folder of them, or the job file of a run")->required();
  show->callback([action, path] { *action = [path] { return inspect(*path); }; });
}

} // namespace oriel::trainer
