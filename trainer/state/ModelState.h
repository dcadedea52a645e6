// A package ready to train or evaluate on one rank: the executor, and its buffers under the names of the plan contract
// (plan.proto). Owns the memory of parameters and moments; knows nothing of jobs, data or checkpoint files.
//
// The flat vector of parameters has P elements; rank r of W owns the r-th part of W of every bucket (OwnedRanges.h). `params`
// holds all of it on every rank (what it owns is the master copy), adam_m and adam_v hold what it owns only.
#pragma once

#include "runtime/communicator/Communicator.h"
#include "runtime/device/Device.h"
#include "runtime/executor/Executor.h"
#include "trainer/checkpoint/CheckpointStore.h"

#include "absl/status/statusor.h"

#include <memory>
#include <span>
#include <vector>

namespace oriel::trainer {

class ModelState {
public:
  /// InvalidArgument when the plan lacks a buffer that its entry points need. Device and communicator outlive it.
  static absl::StatusOr<std::unique_ptr<ModelState>>
  create(std::shared_ptr<const runtime::Package> package, runtime::Device &device, runtime::Communicator &communicator);

  runtime::Executor &executor() { return *executor_; }
  const plan::Plan &plan() const { return executor_->plan(); }
  bool canTrain() const { return !adamM_.empty(); }

  /// First values of what this rank owns, zero moments; then gathers.
  absl::Status initialize(uint64_t seed, runtime::Deadline deadline);
  /// Makes every rank's `params` whole again after owned ranges were written, and the device's state what the host wrote.
  absl::Status gatherParameters(runtime::Deadline deadline);
  /// Takes the parameters of another state of the same model, whatever its batch or world. Not collective: `other` has
  /// whole parameters.
  absl::Status copyParameters(ModelState &other);
  /// Fills the decay flags of what this rank owns.
  absl::Status setDecay(std::span<const std::string> noDecay);

  /// What a checkpoint saves, read from the device.
  absl::StatusOr<ShardSlices> slices();
  /// Where a checkpoint is loaded to, without moments when the plan cannot train; gatherParameters() is next.
  ShardTargets targets();
  std::vector<ParameterPlace> places() const;

  // IO buffers. Empty when no entry point of the plan has them.
  std::span<int32_t> tokens, targetTokens, docStart, position;
  std::span<float> loss, lossScale, hyper, decay, gradNorm, logits;

private:
  ModelState(std::unique_ptr<runtime::Executor> executor, runtime::Communicator &communicator, int threads)
      : executor_(std::move(executor)), communicator_(communicator), threads_(threads) {}
  absl::Status bindBuffers();
  std::span<float> paramsOf(const ElementRange &range) const { return params_.subspan(range.first, range.count); }
  absl::Status moveState(absl::Status (runtime::Executor::*move)(absl::string_view));

  std::unique_ptr<runtime::Executor> executor_;
  runtime::Communicator &communicator_;
  int threads_; // of the host
  std::span<float> params_, adamM_, adamV_;
  std::vector<ElementRange> owned_;
};

} // namespace oriel::trainer
