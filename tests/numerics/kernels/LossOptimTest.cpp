// Cross entropy and the optimizer against loops in double.
#include "kernels/loss/CrossEntropy.h"
#include "kernels/optim/Optim.h"
#include "tests/support/kernels/KernelRunner.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

using namespace oriel::kernels;
using namespace oriel::testing;

namespace {

struct LossReference {
  std::vector<double> losses, dlogits;
};

LossReference lossReference(const CrossEntropySpec &spec, const Floats &logits, const Ints &targets, double lossScale) {
  LossReference reference;
  for (int64_t r = 0; r < spec.rows; ++r) {
    std::vector<double> z, slope;
    for (int64_t v = 0; v < spec.vocab; ++v) {
      double x = logits[r * spec.vocab + v], t = spec.softCap > 0 ? std::tanh(x / spec.softCap) : 0;
      z.push_back(spec.softCap > 0 ? spec.softCap * t : x);
      slope.push_back(1 - t * t);
    }
    double peak = *std::max_element(z.begin(), z.end()), sum = 0;
    for (double x : z)
      sum += std::exp(x - peak);
    double lse = peak + std::log(sum);
    bool counts = targets[r] >= 0;
    reference.losses.push_back(counts ? lse - z[targets[r]] : 0.0);
    for (int64_t v = 0; v < spec.vocab; ++v)
      reference.dlogits.push_back(counts ? lossScale * (std::exp(z[v] - lse) - (v == targets[r])) * slope[v] : 0.0);
  }
  return reference;
}

TEST(CrossEntropyTest, LossAndGradientInPlace) {
  for (int64_t rows : {1, 65})
    for (int64_t vocab : {10, 256, 1000})
      for (double softCap : {0.0, 30.0}) {
        Floats logits = randomFloats(rows * vocab, 1, 60.0f), losses(rows), evalLosses(rows), lossScale(1, 0.25f),
               total(1);
        Ints targets(rows);
        for (int64_t r = 0; r < rows; ++r)
          targets[r] = r % 5 == 3 ? -100 : static_cast<int32_t>(r * 13 % vocab);
        CrossEntropySpec spec{rows, vocab, softCap, false};
        LossReference expected = lossReference(spec, logits, targets, 0.25);
        runKernel(buildCrossEntropy, symbol(spec), spec, {targets, logits, evalLosses});
        spec.gradient = true;
        runKernel(buildCrossEntropy, symbol(spec), spec, {targets, lossScale, logits, losses});
        SumLossesSpec sum{rows};
        runKernel(buildSumLosses, symbol(sum), sum, {losses, total});
        expectClose(evalLosses, expected.losses, 1e-6, "losses without gradient");
        expectClose(losses, expected.losses, 1e-6, "losses");
        expectClose(logits, expected.dlogits, 1e-5, "dlogits");
        double expectedTotal = 0;
        for (double loss : expected.losses)
          expectedTotal += loss;
        expectClose(total, {expectedTotal}, 1e-6, "total");
      }
}

TEST(AdamWTest, ClipsDecaysAndSteps) {
  const int64_t n = 2 * 4096;
  FlatSpec spec{n};
  for (float maxNorm : {0.0f, 1.0f, 1e6f}) {
    Floats grads = randomFloats(n, 1, 3.0f), params = randomFloats(n, 2), m = randomFloats(n, 3),
           v = randomFloats(n, 4);
    for (float &x : v)
      x = std::abs(x);
    Floats decay(n / 256), hyper(HyperCount), blockSums(n / 4096), gradNorm(1);
    for (int64_t i = 0; i < decay.size(); ++i)
      decay[i] = static_cast<float>(i % 3 != 0);
    const float values[] = {1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, maxNorm, 0.19f, 0.0975f};
    std::copy(std::begin(values), std::end(values), hyper.begin());
    double squares = 0;
    for (float g : grads)
      squares += double(g) * g;
    double norm = std::sqrt(squares), clip = maxNorm > 0 ? std::min(1.0, maxNorm / (norm + 1e-6)) : 1.0;
    std::vector<double> expectedP, expectedM, expectedV;
    for (int64_t i = 0; i < n; ++i) {
      double g = grads[i] * clip;
      expectedM.push_back(m[i] * double(values[1]) + g * (1 - double(values[1])));
      expectedV.push_back(v[i] * double(values[2]) + g * g * (1 - double(values[2])));
      double step = expectedM[i] / values[6] / (std::sqrt(expectedV[i] / values[7]) + values[3]);
      expectedP.push_back(params[i] * (1 - double(values[0]) * values[4] * decay[i / 256]) - values[0] * step);
    }
    runKernel(buildSumSquares, sumSquaresSymbol(spec), spec, {grads, blockSums});
    NormSpec whole{n};
    runKernel(buildTotalNorm, totalNormSymbol(whole), whole, {blockSums, gradNorm});
    runKernel(buildAdamW, adamWSymbol(spec), spec, {grads, gradNorm, hyper, decay, params, m, v});
    expectClose(gradNorm, {norm}, 1e-6, "grad_norm");
    expectClose(m, expectedM, 1e-6, "m");
    expectClose(v, expectedV, 1e-6, "v");
    expectClose(params, expectedP, 1e-6, "params");
  }
}

TEST(AdamWTest, KeepsEveryBitWhereTheNormIsNotFinite) {
  const int64_t n = 2 * 4096;
  FlatSpec spec{n};
  for (float norm : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(),
                     std::numeric_limits<float>::max()}) {
    Floats grads = randomFloats(n, 1), params = randomFloats(n, 2), m = randomFloats(n, 3), v = randomFloats(n, 4);
    grads[5] = norm;
    for (float &x : v)
      x = std::abs(x);
    Floats decay(n / 256), hyper(HyperCount), gradNorm(1);
    gradNorm[0] = norm;
    const float values[] = {1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 1.0f, 0.19f, 0.0975f};
    std::copy(std::begin(values), std::end(values), hyper.begin());
    Floats oldParams = params, oldM = m, oldV = v;
    runKernel(buildAdamW, adamWSymbol(spec), spec, {grads, gradNorm, hyper, decay, params, m, v});
    auto isKept = [&](const Floats &now, const Floats &old) {
      return std::equal(now.begin(), now.end(), old.begin(), [](float a, float b) {
        return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
      });
    };
    bool finite = std::isfinite(norm);
    EXPECT_EQ(isKept(params, oldParams), !finite) << norm;
    EXPECT_EQ(isKept(m, oldM), !finite) << norm;
    EXPECT_EQ(isKept(v, oldV), !finite) << norm;
  }
}

/// The same bits, however many ranks hand their sums of how many buckets.
TEST(TotalNormTest, AddsBlocksInFlatOrder) {
  const int64_t blocks = 36, block = 4096;
  Floats sums = randomFloats(blocks, 1, 1e3f), expected(1);
  for (int64_t i = 0; i < blocks; ++i)
    sums[i] = std::abs(sums[i]) * (i == 20 ? 1e7f : 1.0f); // the order of the sum shows
  NormSpec alone{blocks * block};
  runKernel(buildTotalNorm, totalNormSymbol(alone), alone, {sums, expected});
  for (auto [ranks, bucket] : {std::pair<int64_t, int64_t>{2, 8}, {2, 36}, {4, 12}, {4, 16}}) {
    Floats byRank(blocks);
    int64_t done = 0;
    for (int64_t rank = 0; rank < ranks; ++rank)
      for (int64_t start = 0, size = blocks % bucket; start < blocks; start += size, size = bucket)
        for (int64_t i = rank * size / ranks; i < (rank + 1) * size / ranks; ++i)
          byRank[done++] = sums[start + i];
    NormSpec spec{blocks * block, ranks, bucket * block};
    Floats norm(1);
    runKernel(buildTotalNorm, totalNormSymbol(spec), spec, {byRank, norm});
    EXPECT_EQ(norm[0], expected[0]) << ranks << " ranks, buckets of " << bucket << " blocks";
  }
}

TEST(AccumulateTest, Adds) {
  const int64_t n = 3 * 4096;
  Floats a = randomFloats(n, 1), b = randomFloats(n, 2), before = a;
  runKernel(buildAccumulate, accumulateSymbol({n}), FlatSpec{n}, {b, a});
  for (int64_t i = 0; i < n; ++i)
    ASSERT_EQ(a[i], before[i] + b[i]);
}

} // namespace
