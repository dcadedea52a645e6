// oriel: trains, evaluates, samples and looks after models that orielc compiled. Registers commands; no logic of its
// own.
#include "tools/common/CommandLine.h"
#include "trainer/commands/Commands.h"
#include "trainer/data/DataCommands.h"
#include "trainer/verify/VerifyCommand.h"

#include <CLI/CLI.hpp>

int main(int argc, char **argv) {
  using namespace oriel::trainer;
  CLI::App app{"oriel trains RAttention language models. Models are compiled by orielc."};
  app.set_version_flag("--version", std::string("oriel ") + ORIEL_VERSION);
  app.require_subcommand(1);
  Action action;
  for (auto *add :
       {addDataCommands, addTrainCommand, addEvalCommand, addGenerateCommand, addStatusCommand, addPlanCommand,
        addExportCommand, addCheckpointCommand, addBenchCommand, addVerifyCommand, addCoordinatorCommand})
    add(app, &action);
  if (std::optional<int> code = oriel::parseCommandLine(app, argc, argv))
    return *code;
  return action ? report(action()) : 0;
}
