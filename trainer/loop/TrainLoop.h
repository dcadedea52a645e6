// A training run on one rank, from a checked job to its summary. Reading order of this folder: README.md, then this.
#pragma once

#include "runtime/communicator/Communicator.h"
#include "trainer/config/job.pb.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <functional>
#include <optional>
#include <string>

namespace oriel::trainer {

struct TrainSummary {
  int64_t firstStep = 0, lastStep = 0;      // steps done before and after this run
  bool stopped = false;                     // by a signal, before the job's last step
  double trainLoss = 0;                     // of the last step; 0 when none was done
  double tokensPerSecond = 0;               // over this run's steps, without validation and checkpoints
  std::optional<double> validationPerToken; // nats
  std::optional<double> validationPerByte;
  std::string checkpoint, metrics, report; // paths; empty when there is none
  std::string samplePrompt, sample;
  absl::Status lastSave; // not OK: the weights that training ended with are in no checkpoint; the same on all ranks
  std::string profile;   // where the time went, a table; empty unless the job profiles
};

/// Collective. Runs the job to its end, or until a stop was requested (StopSignal.h). The summary is complete on rank
/// 0. Errors name rank and step; the other ranks learn of them through the coordinator. `abandon` is called from
/// another thread when this rank is stuck or the job has failed elsewhere and the training thread does not come back:
/// it must not return control to the loop (the program prints the reason and leaves by _exit).
absl::StatusOr<TrainSummary> train(const Job &job, runtime::Communicator &communicator,
                                   const std::function<void(const absl::Status &)> &abandon);

} // namespace oriel::trainer
