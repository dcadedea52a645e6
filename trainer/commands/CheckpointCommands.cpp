// oriel export, oriel checkpoint verify | inspect: checkpoints without running a model.
#include "runtime/base/Files.h"
#include "runtime/base/Log.h"
#include "runtime/base/Status.h"
#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/checkpoint/ExportModel.h"
#include "trainer/commands/Commands.h"
#include "trainer/commands/OpenModel.h"
#include "trainer/tokenizer/Tokenizer.h"

#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

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
  runtime::initLogging(-1);
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

struct ExportOptions {
  std::string checkpoint, output, tokenizer;
};

struct FileToCopy {
  TokenizerFile file;
  std::string bytes;
};

absl::StatusOr<std::vector<FileToCopy>> readTokenizer(const std::string &spec) {
  std::vector<FileToCopy> copies;
  for (const TokenizerFile &file : tokenizerFiles(spec)) {
    ORIEL_ASSIGN_OR_RETURN(std::string bytes, runtime::readFile(file.path));
    copies.push_back({file, std::move(bytes)});
  }
  return copies;
}

absl::Status runExport(const ExportOptions &options) {
  runtime::initLogging(-1);
  ORIEL_ASSIGN_OR_RETURN(std::string folder, findCheckpoint(options.checkpoint));
  ORIEL_ASSIGN_OR_RETURN(CheckpointInfo info, exportModel(folder, options.output));
  fmt::print("{} -> {}/model.safetensors\n", folder, options.output);
  const std::string recorded = info.extra.try_emplace("tokenizer", "byte").first->second;
  absl::StatusOr<std::vector<FileToCopy>> tokenizer =
      readTokenizer(options.tokenizer.empty() ? recorded : options.tokenizer);
  if (!tokenizer.ok() && !options.tokenizer.empty())
    return runtime::withContext(tokenizer.status(), "--tokenizer");
  if (!tokenizer.ok()) {
    spdlog::warn("the tokenizer of the run is not in {}: {} (--tokenizer says where it is now)", options.output,
                 std::string(tokenizer.status().message()));
    return absl::OkStatus();
  }
  for (const auto &[file, bytes] : *tokenizer) {
    const std::string copy = options.output + "/" + file.sharedName;
    ORIEL_RETURN_IF_ERROR(runtime::writeFileAtomically(copy, bytes));
    fmt::print("{} -> {}\n", file.path, copy);
  }
  return absl::OkStatus();
}

} // namespace

void addExportCommand(CLI::App &app, Action *action) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App *command =
      app.add_subcommand("export", "write a checkpoint as model.safetensors and config.json, with its tokenizer");
  command->add_option("checkpoint", options->checkpoint, "a checkpoint, a folder of them, or the job file of a run")
      ->required();
  command->add_option("-o,--output", options->output, "folder to write")->required();
  command->add_option("--tokenizer", options->tokenizer,
                      "the tokenizer of the run, where it is no longer where training found it");
  command->callback([action, options] { *action = [options] { return runExport(*options); }; });
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
