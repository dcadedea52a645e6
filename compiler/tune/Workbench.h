// What the commands of oriel-tune work on: models compiled by orielc and packages run by oriel, both as processes
// beside this one. No MLIR here, and no kernel runs here.
#ifndef ORIEL_COMPILER_TUNE_WORKBENCH_H
#define ORIEL_COMPILER_TUNE_WORKBENCH_H

#include "compiler/schedule/Cost.h"
#include "compiler/schedule/Problem.h"
#include "runtime/base/TemporaryFolder.h"
#include "runtime/base/TuningFiles.h"
#include "runtime/plan/Package.h"

#include "absl/status/statusor.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace oriel::tune {

/// How a model is compiled; a package ignores it.
struct ModelOptions {
  int64_t batch = 1, tokens = 1024;
  std::string memoryBudget = "auto";
  std::string dtype = "f32";  // of activations and products
  std::string schedule;       // file of tape.schedule ops; empty: the compiler's
  std::string target = "cpu"; // as orielc takes it
};

/// A compiled model or a package as it was found.
struct Compiled {
  std::shared_ptr<const runtime::Package> package;
  std::optional<schedule::Problem> problem; // of a model
};

/// What `oriel bench` printed: medians of its runs.
struct Measured {
  std::string cpu;
  int64_t threads = 0;
  int64_t memoryBytes = 0, residentBytes = 0;
  std::map<std::string, double> entrySeconds;                      // "micro", "update"; not watched
  std::map<std::string, std::vector<schedule::Measurement>> steps; // by entry, in order; watched

  double seconds() const; // of all entries
};

/// The median of each time of several measurements of one package; not of none.
Measured medianOf(const std::vector<Measured> &runs);

class Workbench {
public:
  /// With a temporary folder. `files` are used instead of this machine's where they are
  /// not empty; a descriptor may be a shipped one's name. The programs lie beside this one, or are $ORIELC and $ORIEL.
  /// Errors: NotFound; InvalidArgument at a line of a descriptor or record.
  static absl::StatusOr<std::unique_ptr<Workbench>> open(const runtime::TuningFiles &files);

  /// `path` is a package folder or a model (.oriel). InvalidArgument with the compiler's diagnostics.
  absl::StatusOr<Compiled> compile(const std::string &path, const ModelOptions &options);
  absl::StatusOr<Measured> bench(const runtime::Package &package, int repeats);
  /// Measures several packages in turns, `repeats` times, so that a busy minute of the machine falls on all of them;
  /// medians over the turns. Says on stderr after each turn how far it is.
  absl::StatusOr<std::vector<Measured>>
  benchInTurns(const std::vector<std::shared_ptr<const runtime::Package>> &packages, int repeats);

  /// Writes a file of the temporary folder and returns its path.
  absl::StatusOr<std::string> write(const std::string &name, const std::string &text);

  /// What orielc predicts with for this machine's CPU, or for all targets where a descriptor was given.
  const schedule::CostModel &costs() const { return costs_; }
  /// What it predicts `package` with: a package for a GPU has the shipped descriptor of its chip if none was given, and what its
  /// kernels take of it where they were assembled.
  schedule::CostModel costsOf(const runtime::Package &package) const;
  /// The costs that are used from now on, also by orielc: descriptor and record in the temporary folder.
  absl::Status useCosts(schedule::CostModel costs);
  /// Why the tuning record is not used; empty when it is, or there is none.
  const std::string &warning() const { return warning_; }

private:
  explicit Workbench(runtime::TemporaryFolder folder) : folder_(std::move(folder)) {}
  absl::Status readCosts();

  runtime::TemporaryFolder folder_;
  std::string orielc_, oriel_, warning_;
  runtime::TuningFiles files_;
  schedule::CostModel costs_;
  bool deviceIsGiven_ = false;
  int compiled_ = 0;
};

/// What a step of a plan does, for the cost model.
schedule::Work workOf(const plan::Step &step);

} // namespace oriel::tune

#endif
