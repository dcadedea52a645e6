// The question of a kernel's tiles: the answer is the one that assembling everything would give, found with few
// assemblies.
#include "compiler/schedule/Tiling.h"

#include "gtest/gtest.h"
#include <optional>
#include <random>

namespace oriel::schedule {
namespace {

/// What an assembler would say of each candidate: its time, no less than planned, or a refusal.
struct Truth {
  std::vector<std::optional<double>> seconds;
};

/// Of as many warps as rows.
TilingCandidate candidate(int64_t rows, double seconds) {
  TilingCandidate result;
  result.rows = result.warps = rows;
  result.time.seconds = seconds;
  return result;
}

/// Solves by `truth`; returns how many candidates were assembled.
size_t solve(TilingQuestion &question, const Truth &truth) {
  size_t assembled = 0;
  std::vector<TilingCandidate> &candidates = question.candidates;
  solveTiling(question, [&](size_t i) -> std::string {
    ++assembled;
    if (!truth.seconds[i])
      return "spills";
    candidates[i].time.seconds = *truth.seconds[i];
    return "";
  });
  return assembled;
}

TEST(Tiling, WordsNameAllOfIt) {
  EXPECT_EQ(wordsOf(Tiling{64, 128, 8, 3}), "rows 64 columns 128 warps 8 stages 3");
}

TEST(Tiling, TheFastestThatIsAcceptedIsChosen) {
  TilingQuestion question{"k", {}, "", {candidate(1, 10), candidate(2, 5), candidate(3, 6), candidate(4, 7)}, {}};
  EXPECT_EQ(solve(question, {{10, std::nullopt, 8, 7}}), 3u); // 2 is refused, 3 is slower than planned, 4 is not
  EXPECT_EQ(question.candidates.front().rows, 4);
  ASSERT_EQ(question.candidates.size(), 3u);
  EXPECT_EQ(question.candidates[1].rows, 3);
  EXPECT_EQ(question.candidates[2].rows, 1);
  EXPECT_FALSE(question.candidates[2].assembled);
  EXPECT_EQ(question.refused, (std::vector<RefusedTiling>{{{2, 0, 2, 0}, "spills"}}));
}

TEST(Tiling, RivalsMustBeBetterByTheMargin) {
  for (auto [rival, chosen] : {std::pair(9.8, 1), std::pair(9.6, 2)}) {
    TilingQuestion question{"k", {}, "", {candidate(1, 10), candidate(2, rival)}, {}};
    solve(question, {{10, rival}});
    EXPECT_EQ(question.candidates.front().rows, chosen) << rival;
  }
}

TEST(Tiling, AmongEqualsTheOneThatWaitsLeastWins) {
  TilingQuestion question{"k", {}, "", {candidate(1, 10), candidate(2, 5), candidate(3, 5)}, {}};
  question.candidates[1].time.latencySeconds = 2;
  question.candidates[2].time.latencySeconds = 1;
  EXPECT_EQ(solve(question, {{10, 5, 5}}), 1u);
  EXPECT_EQ(question.candidates.front().rows, 3);
}

TEST(Tiling, WhatPlansMoreRegistersThanARefusedOneIsNotAssembled) {
  TilingQuestion question{"k", {}, "", {candidate(1, 10), candidate(2, 5), candidate(3, 6), candidate(4, 7)}, {}};
  for (size_t i : {1, 2, 3}) {
    question.candidates[i].warps = 8;
    question.candidates[i].registers = i == 3 ? 100 : 200;
  }
  EXPECT_EQ(solve(question, {{10, std::nullopt, 6, 7}}), 2u);
  EXPECT_EQ(question.candidates.front().rows, 4);
  EXPECT_EQ(question.candidates.size(), 2u);
  EXPECT_EQ(question.refused.size(), 1u);
}

TEST(Tiling, WithoutAnAcceptedOneItIsTheKernelsOwn) {
  TilingQuestion question{"k", {}, "", {candidate(1, 10)}, {}};
  Truth truth{{std::nullopt}};
  for (int64_t rows = 2; rows < 9; ++rows) {
    question.candidates.push_back(candidate(rows, 5));
    truth.seconds.emplace_back(std::nullopt);
  }
  EXPECT_EQ(solve(question, truth), mostAssembledTilings);
  EXPECT_EQ(question.candidates.front().rows, 1);
  EXPECT_EQ(question.refused.size(), mostAssembledTilings);
  TilingQuestion alone{"k", {}, "", {candidate(1, 10)}, {}};
  EXPECT_EQ(solve(alone, {{std::nullopt}}), 1u);
  EXPECT_EQ(alone.candidates.front().rows, 1);
}

/// Plans are never too slow, so the search must agree with assembling everything, as long as it may go on.
TEST(Tiling, AgreesWithAssemblingEverything) {
  std::mt19937 random(3);
  std::uniform_int_distribution<int> number(1, 1000);
  size_t assembledInAll = 0, finished = 0;
  for (int round = 0; round < 500; ++round) {
    TilingQuestion question{"k", {}, "", {}, {}};
    Truth truth;
    std::optional<std::pair<double, int64_t>> best;
    for (int64_t rows = 1; rows <= 9; ++rows) {
      double planned = number(random), real = planned + number(random) / 10.0;
      bool isRefused = rows > 1 && number(random) < 300;
      question.candidates.push_back(candidate(rows, planned));
      truth.seconds.push_back(isRefused ? std::nullopt : std::optional(real));
      double cost = rows == 1 ? real * (1 - tilingMargin) : real;
      if (!isRefused && (!best || cost < best->first))
        best = {cost, rows};
    }
    size_t assembled = solve(question, truth);
    assembledInAll += assembled;
    if (assembled < mostAssembledTilings) {
      ++finished;
      EXPECT_EQ(question.candidates.front().rows, best->second) << round;
    }
  }
  EXPECT_GT(finished, 400u);
  EXPECT_LT(assembledInAll, 500u * 3);
}

} // namespace
} // namespace oriel::schedule
