// Tests that ranks come to one outcome, on the threads of the local communicator.
#include "trainer/loop/Agreement.h"
#include "runtime/communicator/local/LocalCommunicator.h"

#include <gtest/gtest.h>

#include <thread>

namespace oriel::trainer {
namespace {

using runtime::Communicator;
using runtime::Deadline;

// Runs `body` on `world` ranks and returns what each of them got.
template <typename Result> std::vector<Result> onRanks(int world, std::function<Result(Communicator &)> body) {
  auto group = runtime::createLocalGroup(world);
  std::vector<Result> results(world);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world; ++rank)
    threads.emplace_back([&, rank] { results[rank] = body(*group[rank]); });
  for (std::thread &thread : threads)
    thread.join();
  return results;
}

TEST(Agreement, AllWell) {
  for (const absl::Status &status :
       onRanks<absl::Status>(4, [](Communicator &c) { return agree(c, absl::OkStatus(), Deadline::after(10)); }))
    EXPECT_TRUE(status.ok());
}

TEST(Agreement, OneErrorIsEverybodysAndNamesTheRank) {
  auto body = [](Communicator &c) {
    return agree(c, c.rank() == 2 ? absl::NotFoundError("no file") : absl::OkStatus(), Deadline::after(10));
  };
  for (const absl::Status &status : onRanks<absl::Status>(4, body)) {
    EXPECT_TRUE(absl::IsNotFound(status));
    EXPECT_EQ(status.message(), "rank 2: no file");
    EXPECT_TRUE(isAgreed(status));
  }
}

TEST(Agreement, ASharedErrorNamesNoRank) {
  auto body = [](Communicator &c) { return agree(c, absl::InvalidArgumentError("bad job"), Deadline::after(10)); };
  for (const absl::Status &status : onRanks<absl::Status>(2, body))
    EXPECT_EQ(status.message(), "bad job");
}

TEST(Agreement, AMissingRankEndsAtTheDeadlineAndIsNotAgreed) {
  auto body = [](Communicator &c) {
    return c.rank() == 1 ? absl::OkStatus() : agree(c, absl::OkStatus(), Deadline::after(0.2));
  };
  absl::Status status = onRanks<absl::Status>(2, body)[0];
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(isAgreed(status));
}

TEST(Agreement, RankZeroSpeaksForAll) {
  using Text = absl::StatusOr<std::string>;
  auto say = [](Communicator &c) {
    return fromRankZero(c, c.rank() == 0 ? Text("one text") : Text("ignored"), Deadline::after(10));
  };
  for (const Text &text : onRanks<Text>(3, say)) {
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(*text, "one text");
  }
  auto fail = [](Communicator &c) {
    return fromRankZero(c, c.rank() == 0 ? Text(absl::InternalError("broken")) : Text("fine"), Deadline::after(10));
  };
  for (const Text &text : onRanks<Text>(3, fail)) {
    EXPECT_EQ(text.status().message(), "broken");
    EXPECT_TRUE(isAgreed(text.status()));
  }
}

} // namespace
} // namespace oriel::trainer
