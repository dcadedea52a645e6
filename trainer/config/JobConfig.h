// Job files: TOML in, a checked protobuf Job out. The schema (job.proto) is the only list of keys; reading, checking,
// overriding and printing all walk it by reflection, so a new field needs no code here.
//
// Errors are InvalidArgument with file:line, what is wrong and what was probably meant. No exception leaves.
#pragma once

#include "trainer/config/job.pb.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <span>
#include <string>
#include <string_view>

namespace oriel::trainer {

/// Reads a job file, applies overrides ("training.steps=1000", the value in TOML syntax or a bare string), makes paths
/// absolute against the file's folder, and checks ranges and relations. The result has every table present.
absl::StatusOr<Job> loadJob(const std::string &path, std::span<const std::string> overrides = {});

/// The same from text; `fileName` is used in messages and for relative paths.
absl::StatusOr<Job> parseJob(std::string_view toml, const std::string &fileName,
                             std::span<const std::string> overrides = {});

/// Ranges of single fields and relations between fields (batch is a power-of-two multiple of micro_batch …).
absl::Status checkJob(const Job &job);

/// The whole job as TOML with defaults filled in; reads back to an equal job.
std::string printJob(const Job &job);

/// Every key with its type, default, range and meaning, as TOML comments (`oriel train --help-config`).
std::string describeJobSchema();

/// The fields that determine the numbers of a run (see jobNumericsHash), one "key = value" a line.
std::string printNumerics(const Job &job);

/// Which of them differ between a job that printNumerics() wrote down and this one: "training.steps = 20 (was 10), …".
/// Says so when nothing was written down.
std::string numericsDifference(std::string_view before, const Job &job);

/// 32 hex digits over the fields that determine the numbers of a run: model and data paths are left out (their contents
/// are hashed by the plan and by the token files), and so are places, names, deadlines and everything about output.
std::string jobNumericsHash(const Job &job);

/// The resolved folders, e.g. checkpointDir(job) = run_dir/checkpoints unless the job says otherwise.
std::string checkpointDir(const Job &job);
std::string metricsDir(const Job &job);

} // namespace oriel::trainer
