// One optimizer step: micro-batches along the fixed binary tree, the losses of all ranks, clipped AdamW.
//
//   for each leaf of this rank:   rows -> IO buffers, run micro into its slot, run the additions that close subtrees
//                                 (of several ranks, last_micro for the last leaf: it adds and sums over ranks by
//                                 itself)
//   all-gather of leaf losses and stop requests       (every rank sums the same numbers in the same order)
//   run update                                         (norm, AdamW on the rank's shares, all-gather)
//
// A step whose loss or gradient is not finite changes no weight and no moment. It is an error, or skipped where
// optimizer.max_skipped allows: every rank decides alike, from the same numbers.
//
// Nothing is allocated after the first step.
#pragma once

#include "trainer/config/job.pb.h"
#include "trainer/data/MixedDataset.h"
#include "trainer/loop/MicroBatchTree.h"
#include "trainer/state/ModelState.h"

#include <functional>
#include <string>
#include <vector>

namespace oriel::trainer {

struct StepOutcome {
  double loss = 0;     // nats per token, of the weights before the update
  double gradNorm = 0; // before clipping
  bool stop = false;   // some rank was asked to stop: the same answer on all ranks
  std::string skipped; // why weights and moments are those before the step; empty when they are not
};

/// Where a step begins; the same on all ranks.
struct StepStart {
  int64_t step = 0;           // 0 is the first
  int64_t position = 0;       // its first sample
  int64_t skipped = 0;        // steps before it that changed nothing: Adam's bias correction counts the others
  int64_t skippedInRow = 0;   // those right before it
  bool stopRequested = false; // of this rank
};

class TrainStep {
public:
  /// All references outlive it. `beat` is called before each piece of work with its name.
  TrainStep(const Job &job, TreeShare share, ModelState &state, const MixedDataset &data,
            runtime::Communicator &communicator, std::function<void(const char *)> beat);

  /// Errors name the step. A loss or gradient that is not finite leaves weights and moments untouched: DataLoss on
  /// every rank once optimizer.max_skipped steps in a row were skipped.
  absl::StatusOr<StepOutcome> run(const StepStart &start);

private:
  absl::Status runMicro(int64_t leaf);
  absl::Status runLeaf(int64_t leaf, int64_t step, int64_t position);
  absl::Status gatherLosses(bool stopRequested);
  absl::Status update(const StepStart &start);
  /// What is wrong with the first loss that is not finite; empty when all are.
  std::string findBadLoss(int64_t position) const;

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
