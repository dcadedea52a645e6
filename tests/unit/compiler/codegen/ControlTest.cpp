// Loops and branches that carry tiles: in place, exchanged, copied, not executed at all; and a small online softmax.
#include <cmath>

#include "tests/unit/compiler/codegen/TargetsTest.h"

namespace oriel::tests {
namespace {

class ControlTest : public TargetsTest {
protected:
  using Values = TileBuilder::Values;
};

TEST_P(ControlTest, AccumulatesInPlace) {
  constexpr int64_t K = 160;
  TileBuilder b = kernel("sum", {buffer({16, K}), buffer({K, 32}), buffer({16, 32})});
  auto sums = b.loop(b.index(0), b.index(K), 16, {b.zeros(16, 32)}, [&](Scalar k, mlir::ValueRange acc) -> Values {
    Value left = b.load(b.buffer(0), Place{{b.index(0), k}, 0, 1}, 16, 16);
    Value right = b.load(b.buffer(1), Place{{k, b.index(0)}, 0, 1}, 16, 32);
    return {b.dot(left, right, acc[0])};
  });
  b.store(sums[0], b.buffer(2), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  EXPECT_EQ(runner.info("sum").scratchBytes, (16 * 32 + 16 * 16 + 16 * 32) * 4) << "one accumulator, two operands";
  auto left = noise(16 * K), right = noise(K * 32, 2);
  std::vector<float> out(16 * 32);
  ASSERT_EQ(runner.run("sum", {left.data(), right.data(), out.data()}), "");
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 32; ++j) {
      double sum = 0;
      for (int k = 0; k < K; ++k)
        sum += double(left[i * K + k]) * right[k * 32 + j];
      ASSERT_NEAR(out[i * 32 + j], sum, 1e-5);
    }
}

TEST_P(ControlTest, ExchangesCarriedTiles) {
  // (a, b, n) -> (b, a + b, n + 1): Fibonacci by tiles; the number of rounds comes from memory.
  TileBuilder b =
      kernel("fibonacci", {buffer({16, 16}), intBuffer({1}), buffer({16, 16}), buffer({16, 16})}, {1, 1, 1}, 2);
  Value one = b.load(b.buffer(0), whole(b), 16, 16);
  Scalar rounds = toIndex(b.loadScalar(b.buffer(1), {b.index(0)}));
  auto last = b.loop(b.index(0), rounds, 1, {b.zeros(16, 16), one}, [&](Scalar, mlir::ValueRange t) -> Values {
    return {t[1], b.map({t[0], t[1]}, [](Scalar x, Scalar y) { return x + y; })};
  });
  b.store(last[0], b.buffer(2), whole(b));
  b.store(b.map({last[1], one}, [](Scalar x, Scalar o) { return x * o; }), b.buffer(3), whole(b));

  TileBuilder s = kernel("swap", {buffer({16, 16}), buffer({16, 16}), intBuffer({1}), buffer({16, 16})});
  Value x = s.load(s.buffer(0), whole(s), 16, 16), y = s.load(s.buffer(1), whole(s), 16, 16);
  Scalar times = toIndex(s.loadScalar(s.buffer(2), {s.index(0)}));
  auto swapped = s.loop(s.index(0), times, 1, {x, y}, [&](Scalar, mlir::ValueRange t) -> Values {
    return {t[1], t[0]};
  });
  s.store(s.map({swapped[0], swapped[1]}, [](Scalar a, Scalar b) { return a - 2.0 * b; }), s.buffer(3), whole(s));

  ASSERT_EQ(runner.compile(target()), "");
  std::vector<float> ones(256, 1), a(256), c(256), p = noise(256), q = noise(256, 2);
  for (auto [n, fib, next] : {std::array<int32_t, 3>{0, 0, 1}, {1, 1, 1}, {2, 1, 2}, {10, 55, 89}}) {
    ASSERT_EQ(runner.run("fibonacci", {ones.data(), &n, a.data(), c.data()}), "");
    EXPECT_EQ(a, std::vector<float>(256, fib)) << n;
    EXPECT_EQ(c, std::vector<float>(256, next)) << n;
    ASSERT_EQ(runner.run("swap", {p.data(), q.data(), &n, a.data()}), "");
    for (int i = 0; i < 256; ++i)
      EXPECT_FLOAT_EQ(a[i], n % 2 ? q[i] - 2 * p[i] : p[i] - 2 * q[i]);
  }
}

TEST_P(ControlTest, BranchesHandOnTiles) {
  TileBuilder b =
      kernel("branch", {buffer({16, 16}), intBuffer({4}), buffer({4, 16, 16}), buffer({4, 16, 16})}, {4, 1, 1}, 2);
  Value x = b.load(b.buffer(0), whole(b), 16, 16);
  Value y = b.map({x}, [](Scalar x) { return x + 1.0; });
  Scalar flag = b.loadScalar(b.buffer(1), {b.x()});
  auto picked = b.when(
      flag > 0.0, {x.getType(), x.getType()},
      [&]() -> Values {
        return {b.map({x}, [](Scalar x) { return x * 3.0; }), x};
      },
      [&]() -> Values {
        return {x, y};
      });
  Place out{{b.x(), b.index(0), b.index(0)}, 1, 2};
  b.store(picked[0], b.buffer(2), out);
  b.store(picked[1], b.buffer(3), out);
  b.when(flag > 1.0, [&] { b.store(b.fill(7.0, 16, 16), b.buffer(2), out); });
  ASSERT_EQ(runner.compile(target()), "");
  auto in = noise(256);
  std::vector<int32_t> flags = {0, 1, 2, -1};
  std::vector<float> first(1024), second(1024);
  ASSERT_EQ(runner.run("branch", {in.data(), flags.data(), first.data(), second.data()}), "");
  for (int cell = 0; cell < 4; ++cell)
    for (int i = 0; i < 256; ++i) {
      EXPECT_FLOAT_EQ(first[cell * 256 + i], flags[cell] > 1 ? 7 : flags[cell] > 0 ? in[i] * 3 : in[i]);
      EXPECT_FLOAT_EQ(second[cell * 256 + i], flags[cell] > 0 ? in[i] : in[i] + 1);
    }
}

TEST_P(ControlTest, OnlineSoftmaxMatchesSoftmax) {
  constexpr int64_t T = 40, D = 24; // neither fills its tiles
  constexpr double low = -std::numeric_limits<double>::infinity();
  TileBuilder b = kernel("softmax", {buffer({T, D}), buffer({T, D}), buffer({T, D}), buffer({T, D})}, {3, 1, 1});
  auto tile = [&](int buffer, Scalar row) { return b.load(b.buffer(buffer), Place{{row, b.index(0)}, 0, 1}, 16, 32); };
  Scalar q0 = b.x() * 16;
  Value q = tile(0, q0);
  auto done = b.loop(b.index(0), q0 + 16, 16, {b.zeros(16, 32), b.fill(low, 16, 1), b.zeros(16, 1)},
                     [&](Scalar k0, mlir::ValueRange carried) -> Values {
                       Scalar shift = toI32(q0 - k0);
                       Value s = b.map({b.dotBT(q, tile(1, k0))},
                                       [&](Scalar s) { return select(b.col() <= b.row() + shift, s, low); });
                       Value m = b.map({carried[1], b.reduceMax(s, 1)}, [](Scalar a, Scalar b) { return max(a, b); });
                       Value p = b.map({s, m}, [](Scalar s, Scalar m) { return exp(s - m); });
                       Value scale = b.map({carried[1], m}, [](Scalar old, Scalar m) { return exp(old - m); });
                       Value sum = b.map({carried[2], scale, b.reduceSum(p, 1)},
                                         [](Scalar l, Scalar c, Scalar s) { return l * c + s; });
                       Value o = b.map({carried[0], scale}, [](Scalar o, Scalar c) { return o * c; });
                       return {b.dot(p, tile(2, k0), o), m, sum};
                     });
  Value o = b.map({done[0], done[2]}, [](Scalar o, Scalar l) { return o / l; });
  b.store(o, b.buffer(3), Place{{q0, b.index(0)}, 0, 1});
  ASSERT_EQ(runner.compile(target()), "");
  auto q_ = noise(T * D, 1), k_ = noise(T * D, 2), v_ = noise(T * D, 3);
  std::vector<float> out(T * D);
  ASSERT_EQ(runner.run("softmax", {q_.data(), k_.data(), v_.data(), out.data()}), "");
  for (int t = 0; t < T; ++t) {
    std::vector<double> weights(t + 1);
    double total = 0;
    for (int i = 0; i <= t; ++i) {
      double s = 0;
      for (int d = 0; d < D; ++d)
        s += double(q_[t * D + d]) * k_[i * D + d];
      total += weights[i] = std::exp(s);
    }
    for (int d = 0; d < D; ++d) {
      double wanted = 0;
      for (int i = 0; i <= t; ++i)
        wanted += weights[i] / total * v_[i * D + d];
      ASSERT_NEAR(out[t * D + d], wanted, 2e-6);
    }
  }
}

TEST_P(ControlTest, ComputesWithScalars) {
  TileBuilder b = kernel("scalars", {buffer({4}), buffer({16, 16})});
  Scalar x = b.loadScalar(b.buffer(0), {b.index(2)});
  b.store(b.fill(exp(x) + sqrt(x * x + 1.0), 16, 16), b.buffer(1), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  std::vector<float> in = {1, 2, 0.75f, 4}, out(256);
  ASSERT_EQ(runner.run("scalars", {in.data(), out.data()}), "");
  for (float value : out)
    EXPECT_NEAR(value, std::exp(0.75) + 1.25, 1e-6);
}

TEST_P(ControlTest, NamesWhatItCannotLower) {
  EXPECT_EQ(runner.parse(R"(tile.kernel @odd(%o: memref<16x16xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
    %c0 = arith.constant 0 : index
    %t = tile.map -> tensor<16x16xf32> {
      %v = arith.constant 2.0 : f32
      %w = math.sin %v : f32
      tile.yield %w : f32
    }
    tile.store %t, %o[%c0, %c0] rows 0 cols 1 : tensor<16x16xf32>, memref<16x16xf32>
    tile.return
  })"),
            "");
  EXPECT_NE(runner.compile(target()).find("no vector form of math.sin on 'f32'"), std::string::npos);
}

ORIEL_FOR_ALL_TARGETS(ControlTest);

} // namespace
} // namespace oriel::tests
