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

/// What was decided for the ops and mixers of `layer` (a layer path or the front of one) in a model, and what each
/// rival would cost in its place: time of the step and peak memory. InvalidArgument where there is no such layer.
absl::StatusOr<std::string> explain(Workbench &bench, const std::string &layer, const std::string &model,
                                    const Request &request);

/// Kernels, schedule, memory and time where the steps of two packages or models differ.
absl::StatusOr<std::string> diff(Workbench &bench, const std::string &a, const std::string &b, const Request &request);

/// Step time against memory budget: without a budget, and at each of `percents` of the arena that keeps everything.
/// Predicted, and measured where the request says so. Predicted time never falls as the budget shrinks.
absl::StatusOr<std::string> frontier(Workbench &bench, const std::string &model, const Request &request,
                                     const std::vector<double> &percents);

/// Runs `model` by several schedules and fits this machine's device descriptor to what their steps took. Writes it to
/// `output`, or where orielc finds it (runtime/base/TuningFiles.h) if that is empty. Tells predicted and measured time
/// before and after.
absl::StatusOr<std::string> calibrate(Workbench &bench, const std::string &model, const Request &request,
                                      const std::string &output);

/// Runs `model` with up to `candidates` schedules of its recurrent mixers (chunk, save interval, fused or apart) and
/// adds what each kernel and product took to the tuning record in `output`, or where orielc finds it if that is empty.
/// Tells what the compiler chooses before and after. For a GPU nothing is run or written: searchForGpu.
absl::StatusOr<std::string> search(Workbench &bench, const std::string &model, const Request &request,
                                   int64_t candidates, const std::string &output);

/// Assembles up to `candidates` schedules of the recurrent mixers of `model`, which was compiled for a GPU as `before`, and
/// tells what their kernels take of a multiprocessor, what the step is predicted to take, and which are refused and why.
absl::StatusOr<std::string> searchForGpu(Workbench &bench, const std::string &model, const Request &request,
                                         const Compiled &before, size_t candidates);

} // namespace oriel::tune

#endif
