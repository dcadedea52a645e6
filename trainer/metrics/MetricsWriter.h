// Numbers of a run on disk: metrics.jsonl and a TensorBoard event file. One writer per run (rank 0), one thread.
#pragma once

#include "trainer/metrics/AppendFile.h"
#include "trainer/metrics/EventFile.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oriel::trainer {

using Scalars = std::vector<std::pair<std::string, double>>;

struct MetricsFiles {
  std::string dir;
  bool jsonl = true;
  bool tensorboard = true;
};

class MetricsWriter {
public:
  /// Opens for appending. `resumeStep` drops JSONL records of later steps, which a run that died has left; -1 keeps
  /// all.
  static absl::StatusOr<MetricsWriter> open(const MetricsFiles &files, int64_t resumeStep = -1);

  /// One record, written at once, or no part of it: {"step": 12, "time": 1764000000.1, "train/loss": 2.5, …}. Names as in TensorBoard. NaN and
  /// infinities are written as strings, since JSON has no numbers for them.
  absl::Status add(int64_t step, const Scalars &scalars);

private:
  std::optional<AppendFile> jsonl_;
  std::unique_ptr<EventFile> events_;
};

/// The JSONL records of one scalar as (step, value), in file order; unreadable lines are skipped (a killed writer tears
/// the last one). NotFound when there is no file.
absl::StatusOr<std::vector<std::pair<int64_t, double>>> readScalar(const std::string &metricsDir,
                                                                   const std::string &name);

} // namespace oriel::trainer
