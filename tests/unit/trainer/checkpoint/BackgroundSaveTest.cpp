// Saves in the background: what is saved is the state at begin(), ranks meet in the vote only, and failures are told.
#include "trainer/checkpoint/BackgroundSave.h"

#include "tests/unit/trainer/checkpoint/CheckpointFixture.h"

#include <condition_variable>
#include <mutex>

namespace oriel::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A ballot box: everybody's vote decides, and nobody leaves before all have voted.
class Ballot {
public:
  explicit Ballot(int world) : world_(world) {}
  absl::StatusOr<BackgroundSave::Decision> vote(const absl::Status &prepared) {
    std::unique_lock lock(mutex_);
    if (!prepared.ok())
      reason_ = std::string(prepared.message());
    if (++votes_ == world_)
      all_.notify_all();
    all_.wait(lock, [this] { return votes_ >= world_; });
    return BackgroundSave::Decision{reason_.empty(), reason_};
  }

private:
  const int world_;
  int votes_ = 0;
  std::string reason_;
  std::mutex mutex_;
  std::condition_variable all_;
};

class BackgroundSaveTest : public CheckpointFixture {
protected:
  struct Rank {
    std::vector<float> vectors[3]; // whole
    ShardSlices slices;
  };
  static Rank makeRank(int64_t step, int rank, int world) {
    Rank result;
    for (int which = 0; which < 3; ++which)
      result.vectors[which] = flat(which, step, paddedLength(world));
    for (const ElementRange &range : rangesOf(rank, world))
      result.slices.push_back({range.first, part(result.vectors[0], range), part(result.vectors[1], range),
                               part(result.vectors[2], range)});
    return result;
  }
  CheckpointStore store{folder / "c"};
};

TEST_F(BackgroundSaveTest, SavesTheStateAtBeginWhileItChanges) {
  Ballot ballot(2);
  BackgroundSave::Hooks hooks{[&](int64_t, const absl::Status &prepared) { return ballot.vote(prepared); }, nullptr};
  CheckpointStore other(folder / "c");
  BackgroundSave first(store, 0, 2, hooks), second(other, 1, 2, hooks);
  Rank ranks[2] = {makeRank(10, 0, 2), makeRank(10, 1, 2)};
  ASSERT_TRUE(first.begin(infoAt(10), ranks[0].slices, "t").ok());
  EXPECT_EQ(first.begin(infoAt(11), ranks[0].slices, "t").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(first.poll().has_value()) << "rank 1 has not voted";
  for (std::vector<float> &values : ranks[0].vectors)
    std::fill(values.begin(), values.end(), -1.0f); // training goes on
  ASSERT_TRUE(second.begin(infoAt(10), ranks[1].slices, "t", BackgroundSave::Slices::Still).ok());
  std::optional<SaveResult> results[2] = {first.wait(), second.wait()};
  ASSERT_TRUE(results[0] && results[1]);
  EXPECT_TRUE(results[0]->committed && results[1]->committed) << results[0]->reason;
  EXPECT_THAT(results[0]->folder, HasSubstr("step-000000010"));
  EXPECT_FALSE(first.wait().has_value()) << "a result is given once";
  EXPECT_EQ(loadAll(store, 1)->info.step, 10);
}

TEST_F(BackgroundSaveTest, OneRanksFailureAbortsForAll) {
  Ballot ballot(2);
  auto vote = [&](int64_t, const absl::Status &prepared) { return ballot.vote(prepared); };
  auto diskFull = [](const char *phase, int64_t) {
    return std::string_view(phase) == "prepare" ? absl::ResourceExhaustedError("no space on rank 1") : absl::OkStatus();
  };
  CheckpointStore other(folder / "c");
  BackgroundSave first(store, 0, 2, {vote, nullptr}), second(other, 1, 2, {vote, diskFull});
  Rank ranks[2] = {makeRank(10, 0, 2), makeRank(10, 1, 2)};
  ASSERT_TRUE(first.begin(infoAt(10), ranks[0].slices, "t").ok() &&
              second.begin(infoAt(10), ranks[1].slices, "t").ok());
  for (BackgroundSave *save : {&first, &second}) {
    std::optional<SaveResult> result = save->wait();
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->committed);
    EXPECT_TRUE(result->fatal.ok());
    EXPECT_EQ(result->reason, "no space on rank 1");
  }
  EXPECT_TRUE(store.steps().empty());
  EXPECT_FALSE(std::filesystem::exists(folder / "c/step-000000010.tmp-t"));
}

TEST_F(BackgroundSaveTest, AFailedVoteIsFatal) {
  auto vote = [](int64_t, const absl::Status &) -> absl::StatusOr<BackgroundSave::Decision> {
    return absl::UnavailableError("the coordinator is gone");
  };
  BackgroundSave save(store, 0, 1, {vote, nullptr});
  Rank rank = makeRank(10, 0, 1);
  ASSERT_TRUE(save.begin(infoAt(10), rank.slices, "t").ok());
  std::optional<SaveResult> result = save.wait();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->fatal.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(store.steps().empty());
}

TEST_F(BackgroundSaveTest, SavesAgainAndAgain) {
  auto vote = [](int64_t, const absl::Status &prepared) -> absl::StatusOr<BackgroundSave::Decision> {
    return BackgroundSave::Decision{prepared.ok(), std::string(prepared.message())};
  };
  BackgroundSave save(store, 0, 1, {vote, nullptr});
  for (int64_t step : {10, 20, 30, 40}) {
    Rank rank = makeRank(step, 0, 1);
    ASSERT_TRUE(save.begin(infoAt(step), rank.slices, "t").ok());
    std::optional<SaveResult> result;
    while (!(result = save.poll()))
      std::this_thread::yield();
    EXPECT_TRUE(result->committed) << result->reason;
    EXPECT_EQ(result->step, step);
  }
  EXPECT_THAT(store.steps(), ElementsAre(20, 30, 40));
}

} // namespace
} // namespace oriel::trainer
