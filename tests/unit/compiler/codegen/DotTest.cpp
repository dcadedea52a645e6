// tile.dot against plain loops in double, for all layouts and for shapes that take each path.
#include "tests/unit/compiler/codegen/TargetsTest.h"

#include <bit>

namespace oriel::tests {
namespace {

class DotTest : public TargetsTest {
protected:
  /// Drops the lower half of each number's bits.
  static void roundToBf16(std::vector<float> &values) {
    for (float &value : values)
      value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xffff0000u);
  }

  struct Case {
    int64_t m, n, k;
    bool transposeA, transposeB;
    bool bf16 = false; // operands; their values are exact in bf16, so the tolerance is that of f32
  };

  void check(Case c) {
    std::string name = std::string(c.bf16 ? "bf16" : "dot") + "_" + std::to_string(c.m) + "x" + std::to_string(c.n) +
                       "x" + std::to_string(c.k) + (c.transposeA ? "_ta" : "") + (c.transposeB ? "_tb" : "");
    SCOPED_TRACE(name);
    int64_t aRows = c.transposeA ? c.k : c.m, aCols = c.transposeA ? c.m : c.k;
    int64_t bRows = c.transposeB ? c.n : c.k, bCols = c.transposeB ? c.k : c.n;
    TileBuilder b =
        kernel(name, {buffer({aRows, aCols}), buffer({bRows, bCols}), buffer({c.m, c.n}), buffer({c.m, c.n})});
    Value left = b.load(b.buffer(0), whole(b), aRows, aCols), right = b.load(b.buffer(1), whole(b), bRows, bCols);
    if (c.bf16)
      left = b.convert(left, b.builder().getBF16Type()), right = b.convert(right, b.builder().getBF16Type());
    Value acc = b.load(b.buffer(2), whole(b), c.m, c.n);
    auto product = [&](Value start) {
      return mlir::Value(
          tile::DotOp::create(b.builder(), b.loc(), start.getType(), left, right, start, c.transposeA, c.transposeB));
    };
    // The second product starts from a constant and shows that the first left its operands whole.
    Value sum = b.map({product(acc), product(b.fill(0.5, c.m, c.n))}, [](Scalar x, Scalar y) { return x + 2.0 * y; });
    b.store(sum, b.buffer(3), whole(b));

    ASSERT_EQ(runner.compile(target()), "");
    std::vector<float> a_ = noise(c.m * c.k, 1), b_ = noise(c.k * c.n, 2), acc_ = noise(c.m * c.n, 3), out(c.m * c.n);
    if (c.bf16)
      roundToBf16(a_), roundToBf16(b_);
    ASSERT_EQ(runner.run(name, {a_.data(), b_.data(), acc_.data(), out.data()}), "");
    for (int64_t i = 0; i < c.m; ++i)
      for (int64_t j = 0; j < c.n; ++j) {
        double product = 0;
        for (int64_t k = 0; k < c.k; ++k)
          product +=
              double(a_[c.transposeA ? k * c.m + i : i * c.k + k]) * b_[c.transposeB ? j * c.k + k : k * c.n + j];
        ASSERT_NEAR(out[i * c.n + j], acc_[i * c.n + j] + product + 2 * (0.5 + product), 2e-6 * (c.k + 4))
            << "at " << i << ", " << j;
      }
  }
};

TEST_P(DotTest, MatchesPlainLoops) {
  for (bool transposeA : {false, true})
    for (bool transposeB : {false, true}) {
      check({64, 64, 64, transposeA, transposeB});
      check({16, 48, 32, transposeA, transposeB});
      check({48, 16, 80, transposeA, transposeB});
    }
}

TEST_P(DotTest, MatchesPlainLoopsOnVectors) {
  for (bool transposeA : {false, true})
    for (bool transposeB : {false, true}) {
      check({1, 64, 32, transposeA, transposeB});
      check({32, 1, 48, transposeA, transposeB});
      check({32, 48, 1, transposeA, transposeB});
      check({1, 1, 64, transposeA, transposeB});
      check({1, 32, 1, transposeA, transposeB});
      check({32, 1, 1, transposeA, transposeB});
      check({1, 1, 1, transposeA, transposeB});
    }
}

TEST_P(DotTest, MultipliesBf16) {
  for (bool transposeA : {false, true})
    for (bool transposeB : {false, true}) {
      check({16, 48, 32, transposeA, transposeB, true});
      check({48, 16, 80, transposeA, transposeB, true}); // words of b in eights
    }
  check({1, 64, 32, false, false, true});
  check({32, 1, 48, false, false, true});
}

TEST_P(DotTest, GivesTheSameBitsTwice) {
  TileBuilder b = kernel("twice", {buffer({64, 64}), buffer({64, 64})});
  Value x = b.load(b.buffer(0), whole(b), 64, 64);
  b.store(b.dotBT(x, x), b.buffer(1), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  std::vector<float> in = noise(64 * 64), first(64 * 64), second(64 * 64);
  ASSERT_EQ(runner.run("twice", {in.data(), first.data()}), "");
  ASSERT_EQ(runner.run("twice", {in.data(), second.data()}), "");
  EXPECT_EQ(first, second);
}

ORIEL_FOR_ALL_TARGETS(DotTest);

} // namespace
} // namespace oriel::tests
