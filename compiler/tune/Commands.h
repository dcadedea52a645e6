// The commands of oriel-tune. Each returns what it prints: text for terminals, JSON for programs, or a page for people.
#ifndef ORIEL_COMPILER_TUNE_COMMANDS_H
#define ORIEL_COMPILER_TUNE_COMMANDS_H

#include "compiler/tune/Workbench.h"

namespace oriel::tune {

enum class Format { Text, Json, Html };

struct Request {
  ModelOptions model;
  Format format = Format::Text;
  bool measure = false; // run it too
  int repeats = 5;      // runs of which medians are taken
};

/// Kernels (layers, calls, grid, tiles, FLOPs, saved bytes, predicted and measured time, what bounds it), the schedule
/// of the mixers, the memory over the step, and totals, of a package or a model.
absl::StatusOr<std::string> show(Workbench &bench, const std::string &path, const Request &request);

} // namespace oriel::tune

#endif
