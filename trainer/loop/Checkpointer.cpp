#include "trainer/loop/Checkpointer.h"

#include "runtime/base/Status.h"
#include "trainer/loop/Agreement.h"
#include "trainer/loop/Failpoint.h"

#include "absl/strings/str_cat.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace oriel::trainer {

Checkpointer::Checkpointer(CheckpointStore &store, ModelState &state, ControlPlane &control,
                           runtime::Communicator &communicator, double deadlineSeconds)
    : state_(state),
      save_(store, communicator.rank(), communicator.size(),
            {[&control, deadlineSeconds](int64_t step,
                                         const absl::Status &prepared) -> absl::StatusOr<BackgroundSave::Decision> {
               auto timeout = std::chrono::milliseconds(static_cast<int64_t>(deadlineSeconds * 1000));
               ORIEL_ASSIGN_OR_RETURN(runtime::CommitDecision decision, control.client().vote(step, prepared, timeout));
               return BackgroundSave::Decision{decision.commit, decision.reason};
             },
             [rank = communicator.rank()](const char *phase, int64_t step) { return failpoint(phase, rank, step); }}) {}

absl::Status Checkpointer::begin(const CheckpointInfo &info, bool last) {
  ORIEL_ASSIGN_OR_RETURN(ShardSlices slices, state_.slices());
  return save_.begin(info, slices, fmt::format("{}-{}", info.runId.substr(0, 12), info.step),
                     last ? BackgroundSave::Slices::Still : BackgroundSave::Slices::Changing);
}

constexpr char kStartOver[] = "; to start over, name another run_dir";

absl::StatusOr<std::optional<LoadedCheckpoint>> resume(CheckpointStore &store, ModelState &state,
                                                       runtime::Communicator &communicator, double deadlineSeconds) {
  std::vector<ParameterPlace> places = state.places();
  absl::StatusOr<LoadedCheckpoint> loaded = store.loadNewest(state.targets(), &places);
  bool none = absl::IsNotFound(loaded.status()) && store.steps().empty();
  if (!none && !loaded.ok())
    loaded = absl::Status(loaded.status().code(), absl::StrCat(loaded.status().message(), kStartOver));
  runtime::Deadline deadline = runtime::Deadline::after(deadlineSeconds);
  ORIEL_RETURN_IF_ERROR(agree(communicator, none ? absl::OkStatus() : loaded.status(), deadline));

  std::string mine = none ? "no checkpoint" : loaded->path;
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> all, communicator.allGatherBytes(mine, deadline));
  for (size_t rank = 0; rank < all.size(); ++rank)
    if (all[rank] != all[0])
      return asAgreed(absl::FailedPreconditionError(
          fmt::format("ranks see different checkpoints: rank 0 {}, rank {} {} (all ranks must see one folder)", all[0],
                      rank, all[rank])));
  if (none)
    return std::optional<LoadedCheckpoint>();
  ORIEL_RETURN_IF_ERROR(state.gatherParameters(deadline));
  return std::optional<LoadedCheckpoint>(*std::move(loaded));
}

absl::StatusOr<LoadedCheckpoint> takeWeights(const std::string &path, ModelState &state,
                                             runtime::Communicator &communicator, double deadlineSeconds) {
  runtime::Deadline deadline = runtime::Deadline::after(deadlineSeconds);
  std::vector<std::string> skipped;
  absl::StatusOr<std::string> mine = std::string();
  if (communicator.rank() == 0)
    mine = findGoodCheckpoint(path, skipped);
  ORIEL_ASSIGN_OR_RETURN(std::string folder, fromRankZero(communicator, mine, deadline));
  std::vector<ParameterPlace> places = state.places();
  ShardTargets targets = state.targets();
  for (ShardTarget &target : targets)
    target.adamM = target.adamV = {};
  absl::StatusOr<LoadedCheckpoint> loaded = CheckpointStore::load(folder, targets, &places);
  ORIEL_RETURN_IF_ERROR(agree(communicator, loaded.status(), deadline));
  ORIEL_RETURN_IF_ERROR(state.gatherParameters(deadline));
  loaded->skipped = std::move(skipped);
  return loaded;
}

} // namespace oriel::trainer
