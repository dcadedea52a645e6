// The suite on threads, and what only the local communicator promises: calls that disagree are told apart.
#include "tests/conformance/communicator/Suite.h"

#include "runtime/communicator/TreeOrder.h"
#include "runtime/communicator/local/LocalCommunicator.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <thread>

namespace oriel::runtime {
namespace {

using ::testing::HasSubstr;

/// Runs `body` on every rank of a new group and returns the statuses in rank order.
std::vector<absl::Status> onRanks(int size, const std::function<absl::Status(Communicator &)> &body) {
  auto group = createLocalGroup(size);
  std::vector<absl::Status> statuses(group.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < group.size(); ++rank)
    threads.emplace_back([&, rank] { statuses[rank] = body(*group[rank]); });
  for (std::thread &thread : threads)
    thread.join();
  return statuses;
}

class LocalConformance : public ::testing::TestWithParam<std::tuple<ConformanceCheck, int>> {};

TEST_P(LocalConformance, Holds) {
  auto [check, size] = GetParam();
  for (const absl::Status &status : onRanks(size, check.run))
    EXPECT_EQ(status, absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(Local, LocalConformance,
                         ::testing::Combine(::testing::ValuesIn(conformanceChecks()), ::testing::Values(1, 2, 3, 4, 6)),
                         [](const auto &info) {
                           return std::string(std::get<0>(info.param).name) + std::to_string(std::get<1>(info.param));
                         });

TEST(LocalCommunicator, ALatePeerIsNamedAndTheGroupStaysBroken) {
  auto group = createLocalGroup(3);
  float data[3] = {};
  absl::Status first, second, late;
  std::thread other([&] { second = group[1]->allGather(data, 1, DType::F32, Deadline::after(20)); });
  first = group[0]->allGather(data, 1, DType::F32, Deadline::after(0.5));
  other.join();
  late = group[2]->allGather(data, 1, DType::F32, Deadline::after(20));
  EXPECT_EQ(first.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(first.message(), "all_gather #1 (rank 0 of 3, 4 B per rank, f32): no answer from rank 2 within 0.5 s");
  EXPECT_FALSE(second.ok());
  EXPECT_EQ(late.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(late.message()), HasSubstr("all_gather #1 (rank 2 of 3"));
}

TEST(LocalCommunicator, CallsThatDisagreeFailOnAllRanks) {
  auto statuses = onRanks(2, [](Communicator &c) -> absl::Status {
    float data[8] = {};
    return c.allGather(data, c.rank() == 0 ? 1 : 2, DType::F32, Deadline::after(20));
  });
  for (const absl::Status &status : statuses) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("rank 0 called all_gather #1"));
  }
}

/// A rank that adds its own leaves in tree order first changes nothing: the ground of equal bits on 1, 2 and 4 ranks.
TEST(TreeOrder, SubtreesOfPowersOfTwoCompose) {
  constexpr int leaves = 8;
  constexpr int64_t count = 5000;
  auto makeParts = [](std::vector<std::vector<float>> &storage) {
    std::vector<float *> parts;
    for (int leaf = 0; leaf < leaves; ++leaf) {
      storage.emplace_back(static_cast<size_t>(count));
      for (int64_t i = 0; i < count; ++i)
        storage.back()[static_cast<size_t>(i)] = 1.0f / static_cast<float>(1 + leaf * 37 + i % 91);
    }
    for (auto &values : storage)
      parts.push_back(values.data());
    return parts;
  };
  std::vector<std::vector<float>> whole;
  addInTreeOrder(makeParts(whole), count);
  for (int ranks : {2, 4, 8}) {
    std::vector<std::vector<float>> split;
    std::vector<float *> parts = makeParts(split), roots;
    size_t perRank = static_cast<size_t>(leaves / ranks);
    for (size_t first = 0; first < parts.size(); first += perRank) {
      addInTreeOrder(absl::MakeSpan(parts).subspan(first, perRank), count);
      roots.push_back(parts[first]);
    }
    addInTreeOrder(roots, count);
    EXPECT_EQ(split[0], whole[0]) << ranks << " ranks";
  }
}

} // namespace
} // namespace oriel::runtime
