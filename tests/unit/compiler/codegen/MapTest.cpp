// tile.map: broadcasting, places, scalars from outside, several results, and the accuracy of the elementary functions.
#include <cmath>
#include <limits>

#include "tests/unit/compiler/codegen/TargetsTest.h"

namespace oriel::tests {
namespace {

class MapTest : public TargetsTest {
protected:
  using Function = Scalar (*)(Scalar);

  /// Largest error of `fn` over `inputs`, relative to max(|reference|, floor).
  double worstError(llvm::StringRef name, Function fn, double (*reference)(double), std::vector<float> inputs,
                    double floor) {
    int64_t count = (inputs.size() + 63) / 64 * 64;
    inputs.resize(count, 1.0f);
    TileBuilder b = kernel(name, {buffer({count / 64, 64}), buffer({count / 64, 64})}, {count / 64, 1, 1});
    Place place{{b.x(), b.index(0)}, 0, 1};
    b.store(b.map({b.load(b.buffer(0), place, 1, 64)}, fn), b.buffer(1), place);
    EXPECT_EQ(runner.compile(target()), "");
    std::vector<float> out(count);
    EXPECT_EQ(runner.run(name.str(), {inputs.data(), out.data()}), "");
    double worst = 0;
    for (int64_t i = 0; i < count; ++i) {
      double wanted = reference(inputs[i]);
      if (std::isinf(static_cast<float>(wanted)) || wanted == 0) {
        EXPECT_EQ(out[i], static_cast<float>(wanted)) << name.str() << "(" << inputs[i] << ")";
        continue;
      }
      worst = std::max(worst, std::abs(out[i] - wanted) / std::max(std::abs(wanted), floor));
    }
    return worst;
  }

  static std::vector<float> range(double from, double to, int count) {
    std::vector<float> values;
    for (int i = 0; i <= count; ++i)
      values.push_back(static_cast<float>(from + (to - from) * i / count));
    return values;
  }
};

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr double leastNormal = 1.17549435e-38;

TEST_P(MapTest, Exp) {
  auto inputs = range(-103, 88.7, 40000);
  inputs.insert(inputs.end(), {-infinity, -1e30f, -200.0f, -106.0f, 89.5f, 1e30f, infinity, 0.0f, -0.0f, 1e-8f});
  EXPECT_LT(worstError(
                "exp_", [](Scalar x) { return exp(x); }, std::exp, inputs, leastNormal),
            2e-7);
}

TEST_P(MapTest, Log) {
  auto inputs = range(1e-3, 5.0, 20000);
  for (float x = 1e-44f; x < 1e38f; x *= 1.37f)
    inputs.push_back(x);
  inputs.insert(inputs.end(), {0.0f, infinity, 1.0f, std::nextafter(1.0f, 2.0f), std::nextafter(1.0f, 0.0f)});
  EXPECT_LT(worstError(
                "log_", [](Scalar x) { return log(x); }, std::log, inputs, 0),
            2e-7);
}

TEST_P(MapTest, Tanh) {
  auto inputs = range(-12, 12, 40000);
  inputs.insert(inputs.end(), {-infinity, infinity, 1e-20f, -1e-5f, 100.0f, -3e38f, 0.0f});
  EXPECT_LT(worstError(
                "tanh_", [](Scalar x) { return tanh(x); }, std::tanh, inputs, leastNormal),
            2e-7);
}

TEST_P(MapTest, SquareRoots) {
  auto inputs = range(1e-6, 100, 20000);
  for (float x = 2e-38f; x < 1e38f; x *= 1.71f)
    inputs.push_back(x);
  EXPECT_LT(worstError(
                "sqrt_", [](Scalar x) { return sqrt(x); }, std::sqrt, inputs, 0),
            1e-7);
  EXPECT_LT(worstError(
                "rsqrt_", [](Scalar x) { return rsqrt(x); }, [](double x) { return 1 / std::sqrt(x); }, inputs, 0),
            2e-7);
}

TEST_P(MapTest, NotANumberStaysOne) {
  TileBuilder b = kernel("nan", {buffer({16, 16}), buffer({16, 16})});
  Value x = b.load(b.buffer(0), whole(b), 16, 16);
  b.store(b.map({x}, [](Scalar x) { return exp(x) + tanh(x) + log(x) + sqrt(x); }), b.buffer(1), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  std::vector<float> in(256, std::nanf("")), out(256);
  ASSERT_EQ(runner.run("nan", {in.data(), out.data()}), "");
  for (float value : out)
    EXPECT_TRUE(std::isnan(value));
}

TEST_P(MapTest, BroadcastsRowsColumnsAndSingles) {
  constexpr int64_t R = 32, C = 48;
  TileBuilder b = kernel("broadcast", {buffer({R, C}), buffer({R, 1}), buffer({1, C}), buffer({1, 1}), buffer({R, C})});
  Value full = b.load(b.buffer(0), whole(b), R, C), column = b.load(b.buffer(1), whole(b), R, 1);
  Value row = b.load(b.buffer(2), whole(b), 1, C), one = b.load(b.buffer(3), whole(b), 1, 1);
  Scalar three = b.f32(3);
  Value sum = b.map({full, column, row, one}, [&](Scalar f, Scalar c, Scalar r, Scalar o) {
    Scalar upper = b.col() > b.row();
    return select(upper, f * c + r, o * three) + toF32(b.row()) * 100.0;
  });
  b.store(sum, b.buffer(4), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  auto f = noise(R * C, 1), c = noise(R, 2), r = noise(C, 3), o = noise(1, 4);
  std::vector<float> out(R * C);
  ASSERT_EQ(runner.run("broadcast", {f.data(), c.data(), r.data(), o.data(), out.data()}), "");
  for (int64_t i = 0; i < R; ++i)
    for (int64_t j = 0; j < C; ++j)
      ASSERT_NEAR(out[i * C + j], (j > i ? f[i * C + j] * c[i] + r[j] : o[0] * 3) + i * 100, 1e-3) << i << "," << j;
}

TEST_P(MapTest, ColumnResultsRunAlongRows) {
  constexpr int64_t R = 48;
  TileBuilder b = kernel("column", {buffer({R, 1}), buffer({1, 1}), buffer({R, 1}), intBuffer({R, 1})}, {1, 1, 1}, 2);
  Value x = b.load(b.buffer(0), whole(b), R, 1), one = b.load(b.buffer(1), whole(b), 1, 1);
  auto results = b.mapN({x, one}, [](TileBuilder &b, llvm::ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
    return {in[0] * in[1] + toF32(b.row()), b.row() * 2.0 + b.col()};
  });
  b.store(results[0], b.buffer(2), whole(b));
  b.store(results[1], b.buffer(3), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  auto in = noise(R), scale = noise(1, 7);
  std::vector<float> out(R);
  std::vector<int32_t> places(R);
  ASSERT_EQ(runner.run("column", {in.data(), scale.data(), out.data(), places.data()}), "");
  for (int64_t i = 0; i < R; ++i) {
    EXPECT_NEAR(out[i], in[i] * scale[0] + i, 1e-5);
    EXPECT_EQ(places[i], 2 * i);
  }
}

TEST_P(MapTest, WritesOverAnOperandOnlyWhenItIsNotReadAgain) {
  TileBuilder b = kernel("inplace", {buffer({16, 32}), buffer({16, 32})});
  Value x = b.load(b.buffer(0), whole(b), 16, 32);
  Value y = b.map({x}, [](Scalar x) { return x * 2.0; }); // x is read below
  Value z = b.map({y}, [](Scalar y) { return y + 1.0; }); // y is not
  auto both = b.mapN({x, z}, [](TileBuilder &, llvm::ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
    return {in[0] - in[1], in[0] * in[1]};
  });
  b.store(b.map({both[0], both[1]}, [](Scalar a, Scalar b) { return a + 10.0 * b; }), b.buffer(1), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  EXPECT_EQ(runner.info("inplace").scratchBytes, 2 * 16 * 32 * 4);
  auto in = noise(512);
  std::vector<float> out(512);
  ASSERT_EQ(runner.run("inplace", {in.data(), out.data()}), "");
  for (int i = 0; i < 512; ++i) {
    float z = in[i] * 2 + 1;
    ASSERT_NEAR(out[i], (in[i] - z) + 10 * (in[i] * z), 1e-4);
  }
}

ORIEL_FOR_ALL_TARGETS(MapTest);

} // namespace
} // namespace oriel::tests
