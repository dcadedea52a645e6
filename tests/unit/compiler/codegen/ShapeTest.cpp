// tile.reduce, transpose, fill and cast.
#include <algorithm>

#include "tests/unit/compiler/codegen/TargetsTest.h"

namespace oriel::tests {
namespace {

class ShapeTest : public TargetsTest {};

TEST_P(ShapeTest, ReducesBothWays) {
  const std::vector<std::array<int64_t, 2>> shapes = {{64, 64}, {16, 48}, {48, 16}, {1, 64}, {64, 1}, {16, 96}, {1, 1}};
  auto nameOf = [](auto shape) { return "reduce" + std::to_string(shape[0]) + "x" + std::to_string(shape[1]); };
  for (auto [R, C] : shapes) {
    TileBuilder b = kernel(
        nameOf(std::array{R, C}),
        {buffer({R, C}), buffer({R, 1}), buffer({R, 1}), buffer({1, C}), buffer({1, C}), buffer({R, 1})}, {1, 1, 1}, 5);
    Value tile = b.load(b.buffer(0), whole(b), R, C);
    b.store(b.reduceSum(tile, 1), b.buffer(1), whole(b));
    b.store(b.reduceMax(tile, 1), b.buffer(2), whole(b));
    b.store(b.reduceSum(tile, 0), b.buffer(3), whole(b));
    b.store(b.reduceMax(tile, 0), b.buffer(4), whole(b));
    b.store(b.reduceMin(tile, 1), b.buffer(5), whole(b));
  }
  ASSERT_EQ(runner.compile(target()), "");
  for (auto [R, C] : shapes) {
    SCOPED_TRACE(nameOf(std::array{R, C}));
    auto in = noise(R * C);
    std::vector<float> rowSum(R), rowMax(R), colSum(C), colMax(C), rowMin(R);
    ASSERT_EQ(runner.run(nameOf(std::array{R, C}),
                         {in.data(), rowSum.data(), rowMax.data(), colSum.data(), colMax.data(), rowMin.data()}),
              "");
    for (int64_t r = 0; r < R; ++r) {
      double sum = 0;
      for (int64_t c = 0; c < C; ++c)
        sum += in[r * C + c];
      EXPECT_NEAR(rowSum[r], sum, 1e-5);
      EXPECT_EQ(rowMax[r], *std::max_element(&in[r * C], &in[r * C] + C));
      EXPECT_EQ(rowMin[r], *std::min_element(&in[r * C], &in[r * C] + C));
    }
    for (int64_t c = 0; c < C; ++c) {
      double sum = 0;
      float greatest = in[c];
      for (int64_t r = 0; r < R; ++r)
        sum += in[r * C + c], greatest = std::max(greatest, in[r * C + c]);
      EXPECT_NEAR(colSum[c], sum, 1e-5);
      EXPECT_EQ(colMax[c], greatest);
    }
  }
}

TEST_P(ShapeTest, Transposes) {
  for (auto [R, C] : {std::array<int64_t, 2>{16, 16}, {64, 32}, {16, 80}, {1, 48}, {32, 1}}) {
    std::string name = "transpose" + std::to_string(R) + "x" + std::to_string(C);
    TileBuilder b = kernel(name, {buffer({R, C}), buffer({C, R})});
    b.store(b.transpose(b.load(b.buffer(0), whole(b), R, C)), b.buffer(1), whole(b));
    ASSERT_EQ(runner.compile(target()), "");
    auto in = noise(R * C);
    std::vector<float> out(R * C);
    ASSERT_EQ(runner.run(name, {in.data(), out.data()}), "");
    for (int64_t r = 0; r < R; ++r)
      for (int64_t c = 0; c < C; ++c)
        ASSERT_EQ(out[c * R + r], in[r * C + c]);
  }
}

TEST_P(ShapeTest, ConvertsIntegersAndFillsFromScalars) {
  TileBuilder b = kernel("convert", {intBuffer({16, 32}), buffer({16, 32})}, {1, 1, 1});
  Value numbers = b.convert(b.load(b.buffer(0), whole(b), 16, 32), b.builder().getF32Type());
  Value filled = b.fill(toF32(b.loadScalar(b.buffer(0), {b.index(1), b.index(2)})), 16, 32);
  b.store(b.map({numbers, filled}, [](Scalar x, Scalar y) { return x + y * 0.5; }), b.buffer(1), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  std::vector<int32_t> in(512);
  for (int i = 0; i < 512; ++i)
    in[i] = i * 3 - 100;
  std::vector<float> out(512);
  ASSERT_EQ(runner.run("convert", {in.data(), out.data()}), "");
  for (int i = 0; i < 512; ++i)
    ASSERT_EQ(out[i], in[i] + in[34] * 0.5f);
}

ORIEL_FOR_ALL_TARGETS(ShapeTest);

} // namespace
} // namespace oriel::tests
