#include "trainer/loop/Checkpointer.h"

#include "runtime/base/Status.h"
#include "trainer/loop/Agreement.h"
#include "trainer/loop/Failpoint.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace oriel::trainer {

absl::StatusOr<SaveOutcome> Checkpointer::save(const CheckpointInfo &info, double deadlineSeconds) {
  int rank = communicator_.rank(), world = communicator_.size();
  std::string transaction = fmt::format("{}-{}", info.runId.substr(0, 12), info.step);
  absl::Status prepared = failpoint("prepare", rank, info.step);
  prepared.Update(store_.prepare(info, state_.slices(), rank, world, transaction));
  ORIEL_RETURN_IF_ERROR(failpoint("vote", rank, info.step));
  auto timeout = std::chrono::milliseconds(static_cast<int64_t>(deadlineSeconds * 1000));
  absl::StatusOr<runtime::CommitDecision> decision = control_.client().vote(info.step, prepared, timeout);
  if (!decision.ok() || !decision->commit) {
    if (rank == 0)
      store_.abort(info.step, transaction).IgnoreError(); // sweep() at the next start removes what this left
    if (!decision.ok())
      return decision.status();
    return SaveOutcome{false, "", decision->reason};
  }
  ORIEL_RETURN_IF_ERROR(failpoint("commit", rank, info.step));
  SaveOutcome outcome{true, "", ""};
  if (rank == 0) {
    absl::StatusOr<std::string> folder = store_.commit(info, world, transaction);
    if (folder.ok())
      outcome.folder = *folder;
    else
      outcome = {false, "", std::string(folder.status().message())};
  }
  ORIEL_RETURN_IF_ERROR(failpoint("committed", rank, info.step));
  return outcome;
}

absl::StatusOr<std::optional<LoadedCheckpoint>> resume(CheckpointStore &store, ModelState &state,
                                                       runtime::Communicator &communicator, double deadlineSeconds) {
  std::vector<ParameterPlace> places = state.places();
  absl::StatusOr<LoadedCheckpoint> loaded = store.loadNewest(state.targets(), &places);
  bool none = absl::IsNotFound(loaded.status()) && store.steps().empty();
  runtime::Deadline deadline = runtime::Deadline::after(deadlineSeconds);
  ORIEL_RETURN_IF_ERROR(agree(communicator, none ? absl::OkStatus() : loaded.status(), deadline));

  std::string mine = none ? "no checkpoint" : loaded->path;
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> all, communicator.allGatherBytes(mine, deadline));
  for (size_t rank = 0; rank < all.size(); ++rank)
    if (all[rank] != all[0])
      return asAgreed(absl::FailedPreconditionError(fmt::format(
          "ranks see different checkpoints: rank 0 {}, rank {} {} (all ranks must see one folder)", all[0], rank, all[rank])));
  if (none)
    return std::optional<LoadedCheckpoint>();
  ORIEL_RETURN_IF_ERROR(state.gatherParameters(deadline));
  return std::optional<LoadedCheckpoint>(*std::move(loaded));
}

} // namespace oriel::trainer
