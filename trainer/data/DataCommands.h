// `oriel data tokenize | train-tokenizer | inspect`, added to the command line of the oriel tool.
#pragma once

#include "absl/status/status.h"

#include <functional>

namespace CLI {
class App;
}

namespace oriel::trainer {

/// Adds the sub-command `data`. Parsing a command line that names one of its commands sets `*action`; the tool runs it
/// after parsing and turns the status into an exit code.
void addDataCommands(CLI::App &app, std::function<absl::Status()> *action);

} // namespace oriel::trainer
