// Elementwise kernels, sums over rows, gates and table look-ups against loops in double.
#include "kernels/elementwise/Elementwise.h"
#include "kernels/embed/Embed.h"
#include "kernels/gate/Gate.h"
#include "tests/support/kernels/KernelRunner.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace oriel::kernels;
using namespace oriel::testing;

namespace {

constexpr double tolerance = 1e-5;

TEST(ElementwiseTest, AddsFromLeftToRight) {
  for (int64_t elements : {1, 100, 4096, 5001}) {
    Floats a = randomFloats(elements, 1), b = randomFloats(elements, 2), c = randomFloats(elements, 3), y(elements);
    AddSpec spec{elements, 3};
    runKernel(buildAdd, symbol(spec), spec, {a, b, c, y});
    for (int64_t i = 0; i < elements; ++i)
      if (usesBf16Storage())
        ASSERT_NEAR(y[i], (a[i] + b[i]) + c[i], 3.0f / 256);
      else
        ASSERT_EQ(y[i], (a[i] + b[i]) + c[i]);
  }
}

TEST(ElementwiseTest, SoftCap) {
  Floats x = randomFloats(3000, 4, 50.0f);
  std::vector<double> expected;
  for (float v : x)
    expected.push_back(30.0 * std::tanh(v / 30.0));
  SoftCapSpec spec{3000, 30.0};
  runKernel(buildSoftCap, symbol(spec), spec, {x});
  expectClose(x, expected, tolerance, "x");
}

/// Sums partials as the plan does.
Floats sumPartials(Floats &partials, int64_t parts, int64_t width) {
  Floats y(width);
  SumPartialsSpec spec{parts, width};
  runKernel(buildSumPartials, symbol(spec), spec, {partials, y});
  return y;
}

TEST(ElementwiseTest, SumsRows) {
  for (int64_t rows : {1, 63, 300, 1000})
    for (int64_t width : {6, 64, 100}) {
      Floats x = randomFloats(rows * width, 5), partials(partialCount(rows) * width);
      std::vector<double> expected(width, 0.0);
      for (int64_t i = 0; i < rows * width; ++i)
        expected[i % width] += x[i];
      SumRowsSpec spec{rows, width};
      runKernel(buildSumRows, symbol(spec), spec, {x, partials});
      expectClose(sumPartials(partials, partialCount(rows), width), expected, tolerance, "sum");
    }
}

TEST(ElementwiseTest, ScaleChannels) {
  for (int64_t width : {6, 80}) {
    const int64_t rows = 530;
    Floats x = randomFloats(rows * width, 6), s = randomFloats(width, 7), dy = randomFloats(rows * width, 8);
    Floats y(rows * width), dx(rows * width), partials(partialCount(rows) * width);
    std::vector<double> expectedY, expectedDx, expectedDs(width, 0.0);
    for (int64_t i = 0; i < rows * width; ++i) {
      expectedY.push_back(double(x[i]) * s[i % width]);
      expectedDx.push_back(double(dy[i]) * s[i % width]);
      expectedDs[i % width] += double(dy[i]) * x[i];
    }
    ScaleChannelsSpec spec{rows, width};
    runKernel(buildScaleChannels, symbol(spec, false), spec, {x, s, y});
    runKernel(buildScaleChannelsGrad, symbol(spec, true), spec, {x, s, dy, dx, partials});
    expectClose(y, expectedY, tolerance, "y");
    expectClose(dx, expectedDx, tolerance, "dx");
    expectClose(sumPartials(partials, partialCount(rows), width), expectedDs, tolerance, "dscale");
  }
}

double activate(GateActivation activation, double x) {
  if (activation == GateActivation::Silu)
    return x / (1 + std::exp(-x));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

TEST(GateTest, ForwardAndGradient) {
  for (auto activation : {GateActivation::Silu, GateActivation::Gelu})
    for (int64_t elements : {17, 2048, 5000}) {
      Floats g = randomFloats(elements, 9, 8.0f), u = randomFloats(elements, 10), dy = randomFloats(elements, 11);
      Floats y(elements), dg(elements), du(elements);
      std::vector<double> expectedY, expectedDg, expectedDu;
      for (int64_t i = 0; i < elements; ++i) {
        // The derivative by a central difference in double: error about 1e-10.
        double h = 1e-5, slope = (activate(activation, g[i] + h) - activate(activation, g[i] - h)) / (2 * h);
        expectedY.push_back(activate(activation, g[i]) * u[i]);
        expectedDg.push_back(double(dy[i]) * u[i] * slope);
        expectedDu.push_back(dy[i] * activate(activation, g[i]));
      }
      GateSpec spec{elements, activation};
      runKernel(buildGate, symbol(spec, false), spec, {g, u, y});
      runKernel(buildGateGrad, symbol(spec, true), spec, {g, u, dy, dg, du});
      expectClose(y, expectedY, tolerance, "y");
      expectClose(dg, expectedDg, tolerance, "dgate");
      expectClose(du, expectedDu, tolerance, "dup");
      // With y made again, and every output on top of an input.
      spec.remake = true;
      runKernel(buildGateGrad, symbol(spec, true), spec, {g, u, dy, g, u, dy});
      expectClose(g, expectedDg, tolerance, "dgate in place");
      expectClose(u, expectedDu, tolerance, "dup in place");
      expectClose(dy, expectedY, tolerance, "y made again");
    }
}

TEST(EmbedTest, LooksUpAndAddsBack) {
  for (int64_t rows : {1, 65, 300}) {
    const int64_t vocab = 50, width = 72;
    const double scale = 1.5;
    Floats table = randomFloats(vocab * width, 12), dy = randomFloats(rows * width, 13);
    Floats y(rows * width), dtable(vocab * width);
    Ints tokens(rows);
    for (int64_t r = 0; r < rows; ++r)
      tokens[r] = static_cast<int32_t>((r * 7 + r / 3) % (vocab - 1) + 1);
    std::vector<double> expectedY, expectedD(vocab * width, 0.0);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t d = 0; d < width; ++d) {
        expectedY.push_back(scale * table[tokens[r] * width + d]);
        expectedD[tokens[r] * width + d] += scale * dy[r * width + d];
      }
    EmbedSpec spec{rows, vocab, width, scale, false};
    runKernel(buildEmbed, symbol(spec, false), spec, {table, tokens, y});
    runKernel(buildEmbedGrad, symbol(spec, true), spec, {dy, tokens, dtable});
    expectClose(y, expectedY, tolerance, "y");
    expectClose(dtable, expectedD, tolerance, "dtable");
    spec.accumulate = true;
    runKernel(buildEmbedGrad, symbol(spec, true), spec, {dy, tokens, dtable});
    for (double &d : expectedD)
      d *= 2;
    expectClose(dtable, expectedD, tolerance, "dtable twice");
  }
}

TEST(EmbedTest, SelectsOnePositionPerRow) {
  const int64_t batch = 3, tokens = 20, width = 600;
  Floats x = randomFloats(batch * tokens * width, 14), y(batch * width);
  Ints position(batch);
  position[0] = 0, position[1] = 19, position[2] = 7;
  SelectPositionSpec spec{batch, tokens, width};
  runKernel(buildSelectPosition, symbol(spec), spec, {x, position, y});
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t d = 0; d < width; ++d)
      ASSERT_EQ(y[b * width + d], x[(b * tokens + position[b]) * width + d]);
}

} // namespace
