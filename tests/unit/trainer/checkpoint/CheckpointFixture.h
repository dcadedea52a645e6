// A small run that is saved by any number of ranks: flat vectors whose element i is known.
#pragma once

#include "trainer/checkpoint/CheckpointStore.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>
#include <string>
#include <vector>

namespace oriel::trainer {

class CheckpointFixture : public testing::Test {
protected:
  static constexpr int64_t used = 5164; // not a multiple of anything

  static CheckpointInfo infoAt(int64_t step) {
    CheckpointInfo info{step, step * 16, 7, "run-1", "plan-a", "config-a", used, {}, {{"tokenizer", "byte"}}};
    info.parameters = {{"embed", {37, 53}, 0}, {"norm", {64}, 2048}, {"wq", {50, 50}, 2304}, {"h0", {300}, 4864}};
    return info;
  }
  /// Flat vector `which` at a step, padded to a length.
  static std::vector<float> flat(int which, int64_t step, int64_t length) {
    std::vector<float> values(static_cast<size_t>(length), 0.0f);
    for (int64_t i = 0; i < used; ++i)
      values[static_cast<size_t>(i)] = std::sin(static_cast<float>(i * (which + 1) + step));
    return values;
  }
  static int64_t paddedLength(int world) { return (used + 4096 * world - 1) / (4096 * world) * (4096 * world); }

  /// What a rank owns: one range alone, and otherwise its share of a short bucket and of a long one.
  static std::vector<ElementRange> rangesOf(int rank, int world) {
    if (world == 1)
      return {{0, paddedLength(1)}};
    const int64_t shortBucket = 512 * world, longBucket = paddedLength(world) - shortBucket;
    return {{512 * rank, 512}, {shortBucket + longBucket / world * rank, longBucket / world}};
  }
  static std::span<float> part(std::vector<float> &values, const ElementRange &range) {
    return std::span(values).subspan(static_cast<size_t>(range.first), static_cast<size_t>(range.count));
  }

  absl::Status prepareAll(CheckpointStore &store, int64_t step, int world, const std::string &transaction) {
    std::vector<float> all[3];
    for (int which = 0; which < 3; ++which)
      all[which] = flat(which, step, paddedLength(world));
    for (int rank = 0; rank < world; ++rank) {
      ShardSlices slices;
      for (const ElementRange &range : rangesOf(rank, world))
        slices.push_back({range.first, part(all[0], range), part(all[1], range), part(all[2], range)});
      absl::Status status = store.prepare(infoAt(step), slices, rank, world, transaction);
      if (!status.ok())
        return status;
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> save(CheckpointStore &store, int64_t step, int world = 1) {
    absl::Status status = prepareAll(store, step, world, "t1");
    if (!status.ok())
      return status;
    return store.commit(infoAt(step), world, "t1");
  }
  /// Loads on every rank of a world and checks every element against `flat`; returns the step loaded.
  absl::StatusOr<LoadedCheckpoint> loadAll(CheckpointStore &store, int world) {
    const int64_t length = paddedLength(world);
    std::vector<float> all[3];
    for (std::vector<float> &values : all)
      values.assign(static_cast<size_t>(length), 99.0f);
    absl::StatusOr<LoadedCheckpoint> last = absl::InternalError("no rank");
    for (int rank = 0; rank < world; ++rank) {
      ShardTargets targets;
      for (const ElementRange &range : rangesOf(rank, world))
        targets.push_back({range.first, part(all[0], range), part(all[1], range), part(all[2], range)});
      last = store.loadNewest(targets);
      if (!last.ok())
        return last;
    }
    for (int which = 0; which < 3; ++which)
      EXPECT_EQ(all[which], flat(which, last->info.step, length)) << "world " << world;
    return last;
  }

  TemporaryFolder folder;
};

} // namespace oriel::trainer
