// Layouts hold every element of a tile once, copies aside, and the accumulator's as the PTX manual says.
#include "compiler/codegen/nvidia/Layout.h"

#include "gtest/gtest.h"
#include <map>
#include <vector>

namespace oriel::codegen::nvidia {
namespace {

/// Coordinates of the slots of one thread along one dimension.
std::vector<int64_t> places(const LayoutDim &dim, int64_t size, int64_t warp, int64_t lane) {
  std::vector<int64_t> result;
  int64_t warpIndex = warp / dim.warpStep % dim.warps, laneIndex = lane / dim.laneStep % dim.lanes;
  for (int64_t slot = 0; slot < dim.slots(size); ++slot)
    result.push_back(size == 1 ? 0
                               : warpIndex * (size / dim.warps) + slot / dim.vector * dim.lanes * dim.vector +
                                     laneIndex * dim.vector + slot % dim.vector);
  return result;
}

/// Whether the thread answers for its slots, the others being copies (RegisterLowering::isOwner).
bool isOwner(const Layout &layout, int64_t rows, int64_t cols, int64_t warp, int64_t lane) {
  bool isFirst = warp < layout.rows.warps * layout.cols.warps && lane < layout.rows.lanes * layout.cols.lanes;
  for (auto [dim, size] : {std::pair(layout.rows, rows), std::pair(layout.cols, cols)})
    isFirst &= size > 1 || (warp / dim.warpStep % dim.warps == 0 && lane / dim.laneStep % dim.lanes == 0);
  return isFirst;
}

/// Reports elements that are not held by exactly one owner, and threads that hold what there is not.
void expectCover(const Layout &layout, int64_t rows, int64_t cols, int64_t warps) {
  std::map<std::pair<int64_t, int64_t>, int64_t> owners;
  for (int64_t warp = 0; warp < warps; ++warp)
    for (int64_t lane = 0; lane < 32; ++lane)
      for (int64_t row : places(layout.rows, rows, warp, lane))
        for (int64_t col : places(layout.cols, cols, warp, lane)) {
          EXPECT_TRUE(row >= 0 && row < rows && col >= 0 && col < cols) << row << ", " << col;
          owners[{row, col}] += isOwner(layout, rows, cols, warp, lane);
        }
  ASSERT_EQ(int64_t(owners.size()), rows * cols);
  for (auto &[place, count] : owners)
    EXPECT_EQ(count, 1) << place.first << ", " << place.second;
}

TEST(Layout, EveryElementHasOneOwner) {
  for (int64_t warps : {4, 8})
    for (int64_t rows : {1, 16, 32, 48, 64, 80, 256})
      for (int64_t cols : {1, 16, 32, 48, 96, 128, 272}) {
        SCOPED_TRACE(testing::Message() << rows << "x" << cols << " with " << warps << " warps");
        expectCover(rowLayout(rows, cols, warps), rows, cols, warps);
        if (rows > 1 && cols > 1)
          for (bool isMajorCols : {false, true})
            expectCover(mmaLayout(rows, cols, isMajorCols, warps), rows, cols, warps);
      }
}

TEST(Layout, AccumulatorsAreThoseOfTheManual) {
  Layout layout = mmaLayout(16, 16, /*isMajorCols=*/false, 1);
  EXPECT_TRUE(isMmaMajor(layout.rows));
  EXPECT_TRUE(isMmaMinor(layout.cols));
  EXPECT_EQ(places(layout.rows, 16, 0, 5), (std::vector<int64_t>{1, 9}));
  EXPECT_EQ(places(layout.cols, 16, 0, 5), (std::vector<int64_t>{2, 3, 10, 11}));
}

TEST(Layout, WarpsGoAlongTheMajorDimensionFirst) {
  Layout tall = mmaLayout(64, 32, /*isMajorCols=*/false, 4), flat = mmaLayout(16, 64, /*isMajorCols=*/false, 4);
  EXPECT_EQ(tall.rows.warps, 4);
  EXPECT_EQ(tall.cols.warps, 1);
  EXPECT_EQ(flat.rows.warps, 1);
  EXPECT_EQ(flat.cols.warps, 4);
  EXPECT_EQ(mmaLayout(32, 64, /*isMajorCols=*/true, 4), mmaLayout(64, 32, /*isMajorCols=*/false, 4).transposed());
}

TEST(Layout, BroadcastsAreReadableWhereTheirDimensionAgrees) {
  Layout scores = mmaLayout(64, 64, false, 4), sums = mmaLayout(64, 32, false, 4), turned = scores.transposed();
  EXPECT_TRUE(isReadableIn(scores, 64, 1, sums));
  EXPECT_FALSE(isReadableIn(scores, 64, 1, turned));
  EXPECT_TRUE(isReadableIn(scores, 1, 1, turned));
}

} // namespace
} // namespace oriel::codegen::nvidia
