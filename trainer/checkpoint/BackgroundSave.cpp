// The thread of a background save. Everything it touches is its own until `ended_` is set.
#include "trainer/checkpoint/BackgroundSave.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <utility>

namespace oriel::trainer {

BackgroundSave::~BackgroundSave() {
  if (thread_.joinable())
    thread_.join();
}

absl::Status BackgroundSave::phase(const char *name, int64_t step) const {
  return hooks_.phase ? hooks_.phase(name, step) : absl::OkStatus();
}

ShardSlices BackgroundSave::takeSnapshot(const ShardSlices &slices) {
  size_t total = 0;
  for (const ShardSlice &slice : slices)
    total += slice.params.size();
  for (std::vector<float> *values : {&params_, &adamM_, &adamV_}) {
    values->clear();
    values->reserve(total);
  }
  auto keep = [](std::vector<float> &values, std::span<const float> part) {
    values.insert(values.end(), part.begin(), part.end());
    return std::span<const float>(values).last(part.size());
  };
  ShardSlices snapshot;
  for (const ShardSlice &slice : slices)
    snapshot.push_back({slice.first, keep(params_, slice.params), keep(adamM_, slice.adamM), keep(adamV_, slice.adamV)});
  return snapshot;
}

absl::Status BackgroundSave::begin(const CheckpointInfo &info, const ShardSlices &slices,
                                   const std::string &transaction, Slices during) {
  if (thread_.joinable())
    return absl::FailedPreconditionError(
        fmt::format("checkpoint of step {}: the one before it has not been waited for", info.step));
  ended_ = false;
  ShardSlices snapshot = during == Slices::Changing ? takeSnapshot(slices) : slices;
  thread_ = std::thread([this, info, snapshot, transaction] {
    result_ = run(info, snapshot, transaction);
    ended_ = true;
  });
  return absl::OkStatus();
}

SaveResult BackgroundSave::run(const CheckpointInfo &info, const ShardSlices &slices, const std::string &transaction) {
  SaveResult result{info.step, false, "", "", absl::OkStatus()};
  absl::Status prepared = phase("prepare", info.step);
  if (prepared.ok())
    prepared = store_.prepare(info, slices, rank_, world_, transaction);
  result.fatal = phase("vote", info.step);
  if (!result.fatal.ok())
    return result;
  absl::StatusOr<Decision> decision = hooks_.vote(info.step, prepared);
  if (!decision.ok() || !decision->commit) {
    if (rank_ == 0)
      store_.abort(info.step, transaction).IgnoreError(); // sweep() at the next start removes what this left
    result.fatal = decision.status();
    result.reason = decision.ok() ? decision->reason : std::string(decision.status().message());
    return result;
  }
  result.fatal = phase("commit", info.step);
  if (!result.fatal.ok())
    return result;
  result.committed = true;
  if (rank_ == 0) {
    absl::StatusOr<std::string> folder = store_.commit(info, world_, transaction);
    result.committed = folder.ok();
    (folder.ok() ? result.folder : result.reason) = folder.ok() ? *folder : std::string(folder.status().message());
  }
  result.fatal = phase("committed", info.step);
  return result;
}

std::optional<SaveResult> BackgroundSave::poll() { return ended_ ? wait() : std::nullopt; }

std::optional<SaveResult> BackgroundSave::wait() {
  if (!thread_.joinable())
    return std::nullopt;
  thread_.join();
  ended_ = false;
  return std::exchange(result_, {});
}

} // namespace oriel::trainer
