#include "trainer/loop/TrainStep.h"

#include "runtime/base/Status.h"
#include "trainer/loop/Agreement.h"
#include "trainer/loop/Failpoint.h"
#include "trainer/optimizer/Schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace oriel::trainer {

TrainStep::TrainStep(const Job &job, TreeShare share, ModelState &state, const MixedDataset &data,
                     runtime::Communicator &communicator, std::function<void(const char *)> beat)
    : job_(job), share_(share), state_(state), data_(data), communicator_(communicator), beat_(std::move(beat)),
      gathered_(communicator.size() * (share.leaves + 1)), leafLoss_(communicator.size() * share.leaves) {}

absl::StatusOr<StepOutcome> TrainStep::run(const StepStart &start) {
  const int64_t step = start.step, position = start.position;
  std::string context = fmt::format("rank {}, step {}", communicator_.rank(), step);
  int64_t tokensPerStep = job_.training().batch() * job_.training().sequence();
  state_.lossScale[0] = static_cast<float>(1.0 / static_cast<double>(tokensPerStep));
  for (int64_t leaf = 0; leaf < share_.leaves; ++leaf)
    if (absl::Status status = runLeaf(leaf, step, position); !status.ok())
      return runtime::withContext(status, context);
  beat_("losses");
  if (absl::Status status = gatherLosses(start.stopRequested); !status.ok())
    return runtime::withContext(status, context);
  StepOutcome outcome;
  outcome.loss = treeSum(leafLoss_) / static_cast<double>(tokensPerStep);
  for (int rank = 0; rank < communicator_.size(); ++rank)
    outcome.stop |= gathered_[(rank + 1) * (share_.leaves + 1) - 1] != 0;

  outcome.skipped = findBadLoss(position);
  if (outcome.skipped.empty()) {
    if (absl::Status status = update(start); !status.ok())
      return runtime::withContext(status, context);
    outcome.gradNorm = state_.gradNorm[0];
    if (!std::isfinite(outcome.gradNorm))
      outcome.skipped = fmt::format("the norm of the gradient is {} (samples {} to {}; the loss is {})", outcome.gradNorm,
                                    position, position + job_.training().batch() - 1, outcome.loss);
  } else {
    outcome.gradNorm = std::numeric_limits<double>::quiet_NaN();
  }
  if (!outcome.skipped.empty() && start.skippedInRow >= job_.optimizer().max_skipped())
    return asAgreed(absl::DataLossError(fmt::format(
        "step {}: {}; the weights were not updated{}", step, outcome.skipped,
        start.skippedInRow > 0
            ? fmt::format(", and {} step(s) before it were skipped (optimizer.max_skipped)", start.skippedInRow)
             : "")));
  return outcome;
}

// The kernel of the step changes nothing where the norm is not finite.
absl::Status TrainStep::update(const StepStart &start) {
  beat_("update");
  ORIEL_RETURN_IF_ERROR(failpoint("update", communicator_.rank(), start.step));
  std::array<float, 8> hyper = hyperVector(job_, start.step, start.step - start.skipped);
  std::copy(hyper.begin(), hyper.end(), state_.hyper.begin());
  return state_.executor().run("update");
}

absl::Status TrainStep::runLeaf(int64_t leaf, int64_t step, int64_t position) {
  beat_("micro");
  ORIEL_RETURN_IF_ERROR(failpoint("micro", communicator_.rank(), step));
  int64_t rows = job_.training().micro_batch();
  int64_t global = communicator_.rank() * share_.leaves + leaf;
  ORIEL_RETURN_IF_ERROR(
      data_.fillRows(position + global * rows, rows, state_.tokens, state_.targetTokens, state_.docStart));
  ORIEL_RETURN_IF_ERROR(runMicro(leaf));
  gathered_[communicator_.rank() * (share_.leaves + 1) + leaf] = state_.loss[0];
  return absl::OkStatus();
}

absl::Status TrainStep::runMicro(int64_t leaf) {
  runtime::Executor &executor = state_.executor();
  if (leaf + 1 == share_.leaves && communicator_.size() > 1)
    return executor.run("last_micro");
  int64_t slot = slotOfLeaf(leaf);
  ORIEL_RETURN_IF_ERROR(executor.run("micro", slot));
  for (int64_t i = 0; i < additionsAfterLeaf(leaf); ++i)
    ORIEL_RETURN_IF_ERROR(executor.run("accumulate", slot - 1 - i));
  return absl::OkStatus();
}

absl::Status TrainStep::gatherLosses(bool stopRequested) {
  int64_t width = share_.leaves + 1;
  gathered_[(communicator_.rank() + 1) * width - 1] = stopRequested ? 1.0f : 0.0f;
  if (communicator_.size() > 1)
    ORIEL_RETURN_IF_ERROR(communicator_.allGather(gathered_.data(), width, runtime::DType::F32,
                                                  runtime::Deadline::after(job_.distributed().deadline())));
  for (int64_t rank = 0; rank < communicator_.size(); ++rank)
    std::copy_n(gathered_.begin() + rank * width, share_.leaves, leafLoss_.begin() + rank * share_.leaves);
  return absl::OkStatus();
}

std::string TrainStep::findBadLoss(int64_t position) const {
  for (size_t leaf = 0; leaf < leafLoss_.size(); ++leaf)
    if (!std::isfinite(leafLoss_[leaf])) {
      int64_t first = position + static_cast<int64_t>(leaf) * job_.training().micro_batch();
      return fmt::format("the loss of micro-batch {} (samples {} to {}, rank {}) is {}", leaf, first,
                         first + job_.training().micro_batch() - 1, leaf / share_.leaves, leafLoss_[leaf]);
    }
  return "";
}

} // namespace oriel::trainer
