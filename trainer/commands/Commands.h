// The commands of `oriel`, one function and one file each. A function adds its sub-command to the command line; when
// the command line names it, parsing sets `*action`, which main runs afterwards. (`oriel data` is in trainer/data,
// `oriel verify` in trainer/verify.)
#pragma once

#include "absl/status/status.h"

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace oriel::trainer {

using Action = std::function<absl::Status()>;

void addTrainCommand(CLI::App &app, Action *action);       // mpirun -n N oriel train JOB
void addEvalCommand(CLI::App &app, Action *action);        // the validation loss of a checkpoint
void addGenerateCommand(CLI::App &app, Action *action);    // text from a checkpoint
void addStatusCommand(CLI::App &app, Action *action);      // asks a running job
void addCoordinatorCommand(CLI::App &app, Action *action); // a standalone coordinator
void addExportCommand(CLI::App &app, Action *action);      // a checkpoint as one safetensors file
void addPlanCommand(CLI::App &app, Action *action);        // buffers and peak memory, without running anything
void addBenchCommand(CLI::App &app, Action *action);       // times of every step of a package, as JSON
void addCheckpointCommand(CLI::App &app, Action *action);  // verify and inspect

/// Prints the error of a command, once and on one rank, and returns the exit code: 0 ok, 1 failure, 2 usage or
/// malformed input.
int report(const absl::Status &status);

} // namespace oriel::trainer
