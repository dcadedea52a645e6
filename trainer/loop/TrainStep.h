// One optimizer step: micro-batches along the fixed binary tree, the losses of all ranks, clipped AdamW.
//
//   for each leaf of this rank:   rows -> IO buffers, run micro into its slot, run the additions that close subtrees
//                                 (of several ranks, last_micro for the last leaf: it adds and sums over ranks by itself)
//   all-gather of leaf losses and stop requests       (every rank sums the same numbers in the same order)
//   run update                                         (norm, AdamW on the rank's shares, all-gather)
//
// Nothing is allocated after the first step.
#pragma once

#include "trainer/config/job.pb.h"
#include "trainer/data/MixedDataset.h"
#include "trainer/loop/MicroBatchTree.h"
#include "trainer/state/ModelState.h"

#include <functional>
#include <vector>

namespace oriel::trainer {

struct StepOutcome {
  double loss = 0;     // nats per token, of the weights before the update
  double gradNorm = 0; // before clipping
  bool stop = false;   // some rank was asked to stop: the same answer on all ranks
};

class TrainStep {
public:
  /// All references outlive it. `beat` is called before each piece of work with its name.
  TrainStep(const Job &job, TreeShare share, ModelState &state, const MixedDataset &data,
            runtime::Communicator &communicator, std::function<void(const char *)> beat);

  /// Step `step` on the samples from `position` on. Errors name the step; a loss that is not finite is an error on
  /// every rank and leaves the weights untouched.
  absl::StatusOr<StepOutcome> run(int64_t step, int64_t position, bool stopRequested);

private:
  absl::Status runMicro(int64_t leaf);
  absl::Status runLeaf(int64_t leaf, int64_t step, int64_t position);
  absl::Status gatherLosses(bool stopRequested);
  absl::Status checkFinite(int64_t step, int64_t position) const;

  const Job &job_;
  const TreeShare share_;
  ModelState &state_;
  const MixedDataset &data_;
  runtime::Communicator &communicator_;
  const std::function<void(const char *)> beat_;
  std::vector<float> gathered_;  // [world, leaves + 1]: losses of a rank's leaves, then its stop request
  std::vector<double> leafLoss_; // [world * leaves]
};

} // namespace oriel::trainer
