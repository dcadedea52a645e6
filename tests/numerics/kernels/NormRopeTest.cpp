// The root-mean-square norm and rotary positions against loops in double.
#include "kernels/elementwise/Elementwise.h"
#include "kernels/norm/RmsNorm.h"
#include "kernels/rope/Rope.h"
#include "tests/support/kernels/KernelRunner.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace oriel::kernels;
using namespace oriel::testing;

namespace {

struct NormReference {
  std::vector<double> y, dx, dweight;
};

NormReference normReference(const RmsNormSpec &spec, const Floats &x, const Floats &w, const Floats &dy) {
  NormReference reference{std::vector<double>(x.size()), std::vector<double>(x.size()),
                          std::vector<double>(w.size(), 0.0)};
  for (int64_t vector = 0; vector < spec.rows * spec.groups; ++vector) {
    int64_t base = vector * spec.width, weightBase = vector % spec.groups * spec.width;
    double squares = 0, mixed = 0;
    for (int64_t d = 0; d < spec.width; ++d)
      squares += double(x[base + d]) * x[base + d];
    double r = 1 / std::sqrt(squares / spec.width + spec.eps);
    auto weight = [&](int64_t d) { return double(w[weightBase + d]) + (spec.plusOne ? 1.0 : 0.0); };
    for (int64_t d = 0; d < spec.width; ++d)
      mixed += weight(d) * dy[base + d] * x[base + d] / spec.width;
    for (int64_t d = 0; d < spec.width; ++d) {
      reference.y[base + d] = x[base + d] * r * weight(d);
      reference.dx[base + d] = r * weight(d) * dy[base + d] - x[base + d] * r * r * r * mixed;
      reference.dweight[weightBase + d] += double(dy[base + d]) * x[base + d] * r;
    }
  }
  return reference;
}

void checkNorm(RmsNormSpec spec, float scale) {
  spec.tiles = tileTarget();
  int64_t size = spec.rows * spec.groups * spec.width, weights = spec.groups * spec.width;
  Floats x = randomFloats(size, 1, scale), w = randomFloats(weights, 2), dy = randomFloats(size, 3);
  Floats y(size), dx(size), partials(partialCount(spec.rows) * weights), dw(weights);
  runKernel(buildRmsNorm, symbol(spec, false), spec, {x, w, y});
  runKernel(buildRmsNormGrad, symbol(spec, true), spec, {x, w, dy, dx, partials});
  SumPartialsSpec sum{partialCount(spec.rows), weights};
  runKernel(buildSumPartials, symbol(sum), sum, {partials, dw});
  NormReference expected = normReference(spec, x, w, dy);
  expectClose(y, expected.y, 1e-6, "y");
  expectClose(dx, expected.dx, 1e-5, "dx");
  expectClose(dw, expected.dweight, 1e-5, "dweight");
}

/// The fused forms: the norm of a sum, and a gradient that adds what flows past the norm and gives y again. Outputs lie
/// apart, then on top of the inputs that they may replace.
void checkFusedNorm(RmsNormSpec spec, bool inPlace) {
  spec.tiles = tileTarget();
  spec.residual = spec.remake = true;
  int64_t size = spec.rows * spec.groups * spec.width, weights = spec.groups * spec.width;
  Floats a = randomFloats(size, 1), past = randomFloats(size, 4), w = randomFloats(weights, 2), x(size);
  for (int64_t i = 0; i < size; ++i)
    x[i] = a[i] + past[i];
  Floats dy = randomFloats(size, 3), partials(partialCount(spec.rows) * weights);
  NormReference expected = normReference(spec, x, w, dy);
  for (int64_t i = 0; i < size; ++i)
    expected.dx[i] += past[i];

  Floats sum(size), y(size), dx(size), again(size), kept = past;
  runKernel(buildRmsNorm, symbol(spec, false), spec, {a, past, w, inPlace ? a : sum, inPlace ? past : y});
  expectClose(inPlace ? a : sum, std::vector<double>(x.begin(), x.end()), 0, "sum");
  expectClose(inPlace ? past : y, expected.y, 1e-6, "y");
  runKernel(buildRmsNormGrad, symbol(spec, true), spec,
            {x, w, dy, kept, inPlace ? dy : dx, partials, inPlace ? x : again});
  expectClose(inPlace ? dy : dx, expected.dx, 1e-5, "dx");
  expectClose(inPlace ? x : again, expected.y, 1e-6, "y made again");
}

TEST(RmsNormTest, WithResidualAndRemade) {
  for (bool inPlace : {false, true}) {
    checkFusedNorm({63, 1, 256, 1e-6, false}, inPlace);
    checkFusedNorm({700, 3, 24, 1e-6, true}, inPlace);
  }
}

TEST(RmsNormTest, OneWeight) {
  for (int64_t rows : {1, 63, 700})
    for (int64_t width : {6, 64, 256, 1000})
      checkNorm({rows, 1, width, 1e-6, rows == 63}, 1.0f);
}

/// Widths whose tiles hold neither 16, 32 nor 64 rows by themselves, and more rows than 64 partials of 256 take.
TEST(RmsNormTest, TilesEndWherePartialSumsEnd) {
  checkNorm({700, 1, 80, 1e-6, false}, 1.0f);
  checkNorm({17000, 1, 24, 1e-6, false}, 1.0f);
  checkFusedNorm({700, 2, 80, 1e-6, false}, /*inPlace=*/true);
}

TEST(RmsNormTest, WeightPerHeadAndTinyRows) {
  for (float scale : {1.0f, 1e-4f})
    for (int64_t width : {24, 64})
      checkNorm({500, 3, width, 1e-8, false}, scale);
}

/// The rotation of one vector, straight from its definition.
std::vector<double> rotated(const RopeSpec &spec, const float *x, double position, double theta) {
  std::vector<double> y(x, x + spec.headDim);
  for (int64_t j = 0; j < spec.rotary / 2; ++j) {
    double angle = position * std::pow(theta, -2.0 * j / spec.rotary) * (spec.inverse ? -1 : 1);
    int64_t a = spec.interleaved ? 2 * j : j, c = spec.interleaved ? 2 * j + 1 : j + spec.rotary / 2;
    y[a] = x[a] * std::cos(angle) - x[c] * std::sin(angle);
    y[c] = x[c] * std::cos(angle) + x[a] * std::sin(angle);
  }
  return y;
}

void checkRope(const RopeSpec &spec) {
  const double theta = 10000;
  int64_t size = spec.batch * spec.tokens * spec.heads * spec.headDim;
  Floats x = randomFloats(size, 4), y(size);
  RopeTables tables = ropeTables(spec.tokens, spec.rotary, theta);
  Floats cos(tables.cos.size()), sin(tables.sin.size());
  std::copy(tables.cos.begin(), tables.cos.end(), cos.begin());
  std::copy(tables.sin.begin(), tables.sin.end(), sin.begin());
  Ints docStart(spec.batch * spec.tokens);
  std::vector<double> expected;
  for (int64_t row = 0; row < spec.batch * spec.tokens; ++row) {
    int64_t token = row % spec.tokens;
    docStart[row] = static_cast<int32_t>(token / 23 * 23);
    double position = spec.documents ? token - docStart[row] : token;
    for (int64_t head = 0; head < spec.heads; ++head)
      for (double v : rotated(spec, x.begin() + (row * spec.heads + head) * spec.headDim, position, theta))
        expected.push_back(v);
  }
  std::vector<Argument> arguments = {x, cos, sin};
  if (spec.documents)
    arguments.push_back(docStart);
  std::vector<Argument> inPlace = arguments;
  arguments.push_back(y);
  runKernel(buildRope, symbol(spec), spec, arguments);
  expectClose(y, expected, 1e-6, "y");
  inPlace.push_back(x);
  runKernel(buildRope, symbol(spec), spec, inPlace);
  expectClose(x, expected, 1e-6, "in place");
}

TEST(RopeTest, LayoutsDocumentsAndInverse) {
  for (bool interleaved : {false, true})
    for (bool documents : {false, true})
      for (int64_t tokens : {1, 65})
        checkRope({2, tokens, 3, 24, interleaved ? 24 : 10, interleaved, documents, documents});
  checkRope({1, 130, 2, 64, 64, false, true, false});
}

} // namespace
