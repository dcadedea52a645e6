// Fused RAttention and the gradient of its norms against loops over all visible pairs in double.
#include "kernels/rattention/RAttention.h"
#include "tests/numerics/kernels/FeatureMapReference.h"
#include "tests/support/kernels/KernelRunner.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace oriel::kernels;
using namespace oriel::testing;

namespace {

using Doubles = std::vector<double>;

struct Case {
  RAttentionSpec spec;
  Floats rotatedQ, rotatedK, q, k, v, swaScale, rlaScale, h0;
  Ints docStart;
  Floats y, swa, lse, rla, states;
};

struct Options {
  int64_t documentTokens = 0; // 0: one document
  bool leak = false;          // the linear part runs across documents
};

Case makeCase(RAttentionSpec spec, Options options = {}) {
  RlaSpec &s = spec.linear;
  spec.window.documents = options.documentTokens > 0;
  s.documents = spec.window.documents && !options.leak;
  spec = withDefaultTiles(spec, tileTarget());
  Case c;
  c.spec = spec;
  int64_t rows = s.batch * s.tokens, state = 2 * s.headDim * s.valueDim;
  c.rotatedQ = randomFloats(rows * s.heads * s.headDim, 1, 3.0f);
  c.rotatedK = randomFloats(rows * s.kvHeads * s.headDim, 2, 3.0f);
  c.q = randomFloats(c.rotatedQ.size(), 3, 2.0f);
  c.k = randomFloats(c.rotatedK.size(), 4, 2.0f);
  c.v = randomFloats(rows * s.kvHeads * s.valueDim, 5);
  c.swaScale = randomFloats(s.heads * s.valueDim, 6);
  c.rlaScale = randomFloats(s.heads * s.valueDim, 7);
  c.h0 = randomFloats((s.initialState == InitialState::PerBatchHead ? s.batch : 1) * s.heads * state, 8);
  c.docStart = Ints(rows, 0);
  for (int64_t i = 0; spec.window.documents && i < rows; ++i)
    c.docStart[i] = static_cast<int32_t>(i % s.tokens / options.documentTokens * options.documentTokens);
  c.y = Floats(rows * s.heads * s.valueDim), c.swa = Floats(c.y.size()), c.rla = Floats(c.y.size());
  c.lse = Floats(rows * s.heads);
  c.states = Floats(s.batch * s.kvHeads * s.savedStates() * state);
  return c;
}

void run(Case &c) {
  const RlaSpec &s = c.spec.linear;
  std::vector<Argument> arguments = {c.rotatedQ, c.rotatedK, c.q, c.k, c.v, c.swaScale, c.rlaScale};
  if (s.initialState != InitialState::None)
    arguments.push_back(c.h0);
  if (c.spec.window.documents)
    arguments.push_back(c.docStart);
  if (s.twoPass) {
    std::vector<Argument> first = {c.k, c.v};
    if (s.documents)
      first.push_back(c.docStart);
    first.push_back(c.states);
    runKernel(buildRlaStates, symbol(s, "states"), s, first);
    arguments.push_back(c.states);
  }
  for (Floats *output : {&c.y, &c.swa, &c.lse, &c.rla})
    arguments.push_back(*output);
  if (s.saveEvery && !s.twoPass)
    arguments.push_back(c.states);
  runKernel(buildRAttention, symbol(c.spec), c.spec, arguments);
}

double dot(const float *a, const float *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += double(a[i]) * b[i];
  return sum;
}

/// 1 / sqrt(mean(x²) + eps)
template <typename T> double inverseRms(const T *x, int64_t n, double eps) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += double(x[i]) * x[i];
  return 1 / std::sqrt(sum / double(n) + eps);
}

struct Reference {
  Doubles y, swa, lse, rla;

  explicit Reference(const Case &c) : y(c.y.size()), swa(y), lse(c.lse.size()), rla(y), c_(c), s_(c.spec.linear) {
    for (int64_t b = 0; b < s_.batch; ++b)
      for (int64_t n = 0; n < s_.heads; ++n)
        for (int64_t t = 0; t < s_.tokens; ++t) {
          int64_t row = (b * s_.tokens + t) * s_.heads + n;
          window(b, n, t, row);
          linear(b, n, t, row);
          sum(n, row * s_.valueDim);
        }
  }

private:
  int64_t keyRow(int64_t b, int64_t n, int64_t i) const { return (b * s_.tokens + i) * s_.kvHeads + n / s_.group(); }

  void window(int64_t b, int64_t n, int64_t t, int64_t row) {
    int64_t dim = s_.headDim, begin = std::max<int64_t>(c_.docStart[b * s_.tokens + t], t - s_.window);
    Doubles scores;
    double total = 0;
    for (int64_t i = begin; i <= t; ++i)
      scores.push_back(c_.spec.window.scale *
                       dot(c_.rotatedQ.begin() + row * dim, c_.rotatedK.begin() + keyRow(b, n, i) * dim, dim));
    for (double score : scores)
      total += std::exp(score);
    lse[(b * s_.heads + n) * s_.tokens + t] = std::log(total);
    for (int64_t i = begin; i <= t; ++i)
      for (int64_t e = 0; e < s_.valueDim; ++e)
        swa[row * s_.valueDim + e] += std::exp(scores[i - begin]) / total * c_.v[keyRow(b, n, i) * s_.valueDim + e];
  }

  void linear(int64_t b, int64_t n, int64_t t, int64_t row) {
    int64_t dim = s_.headDim, width = s_.valueDim;
    Doubles p = phi(s_.featureMap, c_.q.begin() + row * dim, dim);
    for (int64_t i = s_.documents ? c_.docStart[b * s_.tokens + t] : 0; i <= t - s_.window - 1; ++i) {
      Doubles pk = phi(s_.featureMap, c_.k.begin() + keyRow(b, n, i) * dim, dim);
      double a = 0;
      for (int64_t d = 0; d < 2 * dim; ++d)
        a += p[d] * pk[d];
      for (int64_t e = 0; e < width; ++e)
        rla[row * width + e] += a * c_.v[keyRow(b, n, i) * width + e];
    }
    if (s_.initialState == InitialState::None)
      return;
    int64_t head = s_.initialState == InitialState::PerHead ? n : b * s_.heads + n;
    for (int64_t d = 0; d < 2 * dim; ++d)
      for (int64_t e = 0; e < width; ++e)
        rla[row * width + e] += p[d] * c_.h0[(head * 2 * dim + d) * width + e];
  }

  void sum(int64_t n, int64_t at) {
    double r = inverseRms(&swa[at], s_.valueDim, c_.spec.eps), l = inverseRms(&rla[at], s_.valueDim, c_.spec.eps);
    for (int64_t e = 0; e < s_.valueDim; ++e)
      y[at + e] =
          swa[at + e] * r * c_.swaScale[n * s_.valueDim + e] + rla[at + e] * l * c_.rlaScale[n * s_.valueDim + e];
  }

  const Case &c_;
  const RlaSpec &s_;
};

/// Sequential and in two passes, with and without saved states.
void check(RAttentionSpec spec, Options options = {}) {
  const std::pair<bool, int64_t> forms[] = {{false, 0}, {false, 3}, {true, 1}, {true, 3}};
  for (auto [twoPass, saveEvery] : forms) {
    spec.linear.twoPass = twoPass;
    spec.linear.saveEvery = saveEvery;
    Case c = makeCase(spec, options);
    SCOPED_TRACE(symbol(c.spec));
    run(c);
    Reference expected(c);
    expectClose(c.swa, expected.swa, 1e-5, "swa");
    expectClose(c.lse, expected.lse, 1e-5, "lse");
    expectClose(c.rla, expected.rla, 1e-5, "rla");
    expectClose(c.y, expected.y, 1e-5, "y");
  }
}

RAttentionSpec makeSpec(int64_t tokens, int64_t heads, int64_t kvHeads, int64_t headDim, int64_t valueDim,
                        int64_t window) {
  RlaSpec linear;
  linear.batch = 2, linear.tokens = tokens, linear.heads = heads, linear.kvHeads = kvHeads;
  linear.headDim = headDim, linear.valueDim = valueDim, linear.window = window, linear.chunk = 32;
  AttentionSpec attention;
  attention.batch = 2, attention.tokens = tokens, attention.heads = heads, attention.kvHeads = kvHeads;
  attention.headDim = headDim, attention.valueDim = valueDim, attention.window = window;
  attention.scale = 1.0 / std::sqrt(double(headDim));
  return {attention, linear, 1e-6};
}

TEST(RAttentionTest, AwkwardLengths) {
  for (int64_t tokens : {1, 31, 32, 33, 150})
    check(makeSpec(tokens, 2, 1, 16, 16, 7));
}

TEST(RAttentionTest, Windows) {
  for (int64_t window : {0, 1, 15, 31, 200, 300})
    check(makeSpec(270, 2, 1, 16, 16, window));
}

TEST(RAttentionTest, HeadSizesGroupsChunksAndMaps) {
  RAttentionSpec spec = makeSpec(150, 4, 2, 6, 24, 10);
  spec.linear.chunk = 48;
  check(spec);
  spec = makeSpec(150, 3, 3, 24, 6, 40);
  spec.linear.featureMap = FeatureMap::Relu, spec.linear.chunk = 128;
  check(spec);
  check(makeSpec(130, 4, 1, 128, 64, 31));
}

TEST(RAttentionTest, DocumentsAndInitialStates) {
  for (auto initial : {InitialState::PerHead, InitialState::PerBatchHead})
    for (bool leak : {false, true})
      for (int64_t documentTokens : {10, 64}) {
        RAttentionSpec spec = makeSpec(200, 2, 1, 16, 16, 15);
        spec.linear.initialState = initial;
        check(spec, {documentTokens, leak});
      }
}

TEST(HeadNormsTest, Gradient) {
  for (int64_t tokens : {1, 300, 17000}) { // 17000: partial sums whose rows are no multiple of the tile's
    HeadNormsSpec spec{tokens < 1000 ? 2 : 1, tokens, 3, 24, 1e-6};
    int64_t rows = spec.batch * tokens, size = rows * spec.heads * spec.valueDim, scales = spec.heads * spec.valueDim;
    Floats swa = randomFloats(size, 1), rla = randomFloats(size, 2, 0.01f), swaScale = randomFloats(scales, 3);
    Floats rlaScale = randomFloats(scales, 4), dy = randomFloats(size, 5);
    Floats dswa(size), drla(size), delta(rows * spec.heads), swaParts(spec.partials() * scales), rlaParts(swaParts);
    runKernel(buildHeadNormsGrad, symbol(spec), spec,
              {swa, rla, swaScale, rlaScale, dy, dswa, drla, swaParts, rlaParts, delta});
    Doubles expectedDelta(delta.size(), 0.0);
    auto checkNorm = [&](const Floats &x, const Floats &scale, const Floats &dx, const Floats &parts, bool window) {
      Doubles expectedDx(size), expectedScale(scales, 0.0), sums(scales, 0.0);
      for (int64_t row = 0; row < rows * spec.heads; ++row) {
        int64_t at = row * spec.valueDim, n = row % spec.heads, t = row / spec.heads;
        double r = inverseRms(x.begin() + at, spec.valueDim, spec.eps), mean = 0;
        for (int64_t e = 0; e < spec.valueDim; ++e)
          mean += double(dy[at + e]) * scale[n * spec.valueDim + e] * x[at + e] / double(spec.valueDim);
        for (int64_t e = 0; e < spec.valueDim; ++e) {
          expectedDx[at + e] = r * dy[at + e] * scale[n * spec.valueDim + e] - x[at + e] * r * r * r * mean;
          expectedScale[n * spec.valueDim + e] += dy[at + e] * x[at + e] * r;
          if (window)
            expectedDelta[(t / tokens * spec.heads + n) * tokens + t % tokens] += double(dx[at + e]) * x[at + e];
        }
      }
      for (int64_t i = 0; i < parts.size(); ++i)
        sums[i % scales] += parts[i];
      expectClose(dx, expectedDx, 1e-5, window ? "dswa" : "drla");
      Floats total(scales);
      std::copy(sums.begin(), sums.end(), total.begin());
      expectClose(total, expectedScale, 1e-5, window ? "dswa_scale" : "drla_scale");
    };
    checkNorm(swa, swaScale, dswa, swaParts, true);
    checkNorm(rla, rlaScale, drla, rlaParts, false);
    // delta is what cancellation leaves of the gradient, as it was stored, along x: its size is that of its terms.
    for (int64_t i = 0; i < delta.size(); ++i)
      ASSERT_NEAR(delta[i], expectedDelta[i], 1e-5) << i;
  }
}

} // namespace
