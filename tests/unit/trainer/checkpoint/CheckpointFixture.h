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

  absl::Status prepareAll(CheckpointStore &store, int64_t step, int world, const std::string &transaction) {
    const int64_t slice = paddedLength(world) / world;
    for (int rank = 0; rank < world; ++rank) {
      std::vector<float> parts[3];
      for (int which = 0; which < 3; ++which) {
        std::vector<float> all = flat(which, step, paddedLength(world));
        parts[which].assign(all.begin() + rank * slice, all.begin() + (rank + 1) * slice);
      }
      absl::Status status =
          store.prepare(infoAt(step), {rank * slice, parts[0], parts[1], parts[2]}, rank, world, transaction);
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
    const int64_t length = paddedLength(world), slice = length / world;
    std::vector<float> all[3];
    absl::StatusOr<LoadedCheckpoint> last = absl::InternalError("no rank");
    for (int rank = 0; rank < world; ++rank) {
      std::vector<float> parts[3];
      for (auto &part : parts)
        part.assign(static_cast<size_t>(slice), 99.0f);
      last = store.loadNewest({rank * slice, parts[0], parts[1], parts[2]});
      if (!last.ok())
        return last;
      for (int which = 0; which < 3; ++which)
        all[which].insert(all[which].end(), parts[which].begin(), parts[which].end());
    }
    for (int which = 0; which < 3; ++which)
      EXPECT_EQ(all[which], flat(which, last->info.step, length)) << "world " << world;
    return last;
  }

  TemporaryFolder folder;
};

} // namespace oriel::trainer
