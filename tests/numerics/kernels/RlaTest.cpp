// Residual linear attention in chunks against sums over all visible pairs in double, forward and gradient.
#include "kernels/rattention/Rla.h"
#include "kernels/elementwise/Elementwise.h"
#include "tests/numerics/kernels/FeatureMapReference.h"
#include "tests/support/kernels/KernelRunner.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace oriel::kernels;
using namespace oriel::testing;

namespace {

using Doubles = std::vector<double>;

/// dx from the cotangent of phi(x), through the Jacobian.
void phiGrad(FeatureMap map, const float *x, const double *dphi, int64_t dim, double *dx) {
  Doubles p = phi(map, x, dim);
  for (int64_t d = 0; d < dim; ++d)
    dx[d] = 0;
  for (int half = 0; half < 2; ++half)
    for (int64_t d = 0; d < dim; ++d) {
      double sign = half ? -1 : 1;
      if (map == FeatureMap::Relu) {
        dx[d] += sign * x[d] > 0 ? sign * dphi[half * dim + d] : 0;
        continue;
      }
      for (int64_t c = 0; c < dim; ++c)
        dx[d] += sign * dphi[half * dim + c] * p[half * dim + c] * ((c == d) - p[half * dim + d]);
    }
}

struct Case {
  RlaSpec spec;
  Floats q, k, v, dout, h0, dfinal;
  Ints docStart, lengths;
  Floats o, states, dstates, finalState, dq, dk, dv, dh0, workspace;
};

struct Options {
  int64_t documentTokens = 0; // 0: one document
  bool lengths = false;
};

Case makeCase(RlaSpec spec, Options options = {}) {
  spec = withDefaultTiles(spec, tileTarget());
  if (isGpu(tileTarget()))
    spec.chunk = std::min<int64_t>(spec.chunk, spec.headDim > 64 ? 32 : 64);
  spec.documents = options.documentTokens > 0;
  spec.lengths = options.lengths;
  Case c;
  c.spec = spec;
  int64_t rows = spec.batch * spec.tokens, state = 2 * spec.headDim * spec.valueDim;
  c.q = randomFloats(rows * spec.heads * spec.headDim, 1, 2.0f);
  c.k = randomFloats(rows * spec.kvHeads * spec.headDim, 2, 2.0f);
  c.v = randomFloats(rows * spec.kvHeads * spec.valueDim, 3);
  c.dout = randomFloats(rows * spec.heads * spec.valueDim, 4);
  c.h0 = randomFloats((spec.initialState == InitialState::PerBatchHead ? spec.batch : 1) * spec.heads * state, 5);
  c.dfinal = randomFloats(spec.batch * spec.heads * state, 6);
  c.docStart = Ints(rows, 0);
  for (int64_t i = 0; spec.documents && i < rows; ++i)
    c.docStart[i] = static_cast<int32_t>(i % spec.tokens / options.documentTokens * options.documentTokens);
  c.lengths = Ints(spec.batch, 0);
  for (int64_t b = 0; b < spec.batch; ++b)
    c.lengths[b] = static_cast<int32_t>(spec.tokens * (b + 1) / (spec.batch + 1));
  c.o = Floats(c.dout.size()), c.dq = Floats(c.q.size()), c.dk = Floats(c.k.size()), c.dv = Floats(c.v.size());
  c.finalState = Floats(c.dfinal.size()), c.dh0 = Floats(c.dfinal.size());
  c.states = Floats(spec.batch * spec.kvHeads * spec.savedStates() * state);
  c.dstates = Floats(c.states.size());
  c.workspace = Floats(spec.batch * spec.kvHeads * spec.workspaceStates() * state);
  return c;
}

void runForward(Case &c) {
  if (c.spec.twoPass) {
    std::vector<Argument> arguments = {c.k, c.v};
    if (c.spec.documents)
      arguments.push_back(c.docStart);
    if (c.spec.lengths)
      arguments.push_back(c.lengths);
    arguments.push_back(c.states);
    runKernel(buildRlaStates, symbol(c.spec, "states"), c.spec, arguments);
  }
  std::vector<Argument> arguments = {c.q, c.k, c.v};
  if (c.spec.initialState != InitialState::None)
    arguments.push_back(c.h0);
  if (c.spec.documents)
    arguments.push_back(c.docStart);
  if (c.spec.lengths)
    arguments.push_back(c.lengths);
  if (c.spec.twoPass)
    arguments.push_back(c.states);
  arguments.push_back(c.o);
  if (c.spec.saveEvery && !c.spec.twoPass)
    arguments.push_back(c.states);
  if (c.spec.finalState)
    arguments.push_back(c.finalState);
  runKernel(buildRla, symbol(c.spec, "fwd"), c.spec, arguments);
}

void runCotangents(Case &c) {
  std::vector<Argument> arguments = {c.q, c.dout};
  if (c.spec.documents)
    arguments.push_back(c.docStart);
  if (c.spec.finalState)
    arguments.push_back(c.dfinal);
  arguments.push_back(c.dstates);
  if (c.spec.initialState != InitialState::None)
    arguments.push_back(c.dh0);
  runKernel(buildRlaCotangents, symbol(c.spec, "cotangents"), c.spec, arguments);
}

void runBackward(Case &c) {
  if (c.spec.twoPass)
    runCotangents(c);
  bool initial = c.spec.initialState != InitialState::None;
  std::vector<Argument> arguments = {c.q, c.k, c.v, c.dout};
  if (initial)
    arguments.push_back(c.h0);
  if (c.spec.documents)
    arguments.push_back(c.docStart);
  if (c.spec.saveEvery)
    arguments.push_back(c.states);
  if (c.spec.twoPass)
    arguments.push_back(c.dstates);
  else if (c.spec.finalState)
    arguments.push_back(c.dfinal);
  for (Floats *output : {&c.dq, &c.dk, &c.dv})
    arguments.push_back(*output);
  if (initial && !c.spec.twoPass)
    arguments.push_back(c.dh0);
  arguments.push_back(c.workspace);
  runKernel(buildRlaGrad, symbol(c.spec, "bwd"), c.spec, arguments);
}

/// Sums over all visible pairs; gradients are those of sum(o∘do) (+ sum(final∘dfinal)).
class Reference {
public:
  explicit Reference(const Case &c)
      : o(c.o.size(), 0.0), finalState(c.dfinal.size(), 0.0), dq(c.q.size(), 0.0), dk(c.k.size(), 0.0),
        dv(c.v.size(), 0.0), dh0(c.dfinal.size(), 0.0), c_(c), s_(c.spec), width_(2 * s_.headDim),
        dphiK_(2 * c.k.size(), 0.0) {
    for (int64_t row = 0; row < s_.batch * s_.tokens * s_.kvHeads; ++row)
      phiK_.push_back(phi(s_.featureMap, c.k.begin() + row * s_.headDim, s_.headDim));
    for (int64_t b = 0; b < s_.batch; ++b)
      for (int64_t n = 0; n < s_.heads; ++n) {
        for (int64_t t = 0; t < s_.tokens; ++t)
          query(b, n, t);
        if (s_.finalState)
          last(b, n);
      }
    for (size_t row = 0; row < phiK_.size(); ++row)
      phiGrad(s_.featureMap, c.k.begin() + row * s_.headDim, &dphiK_[row * width_], s_.headDim, &dk[row * s_.headDim]);
  }

  Doubles o, finalState, dq, dk, dv, dh0;

private:
  /// Keys that token t sees.
  std::pair<int64_t, int64_t> visible(int64_t b, int64_t t) const {
    int64_t end = t - s_.window;
    if (s_.lengths)
      end = std::min<int64_t>(end, c_.lengths[b] - s_.window - 1);
    return {c_.docStart[b * s_.tokens + t], end};
  }
  int64_t keyRow(int64_t b, int64_t n, int64_t i) const { return (b * s_.tokens + i) * s_.kvHeads + n / s_.group(); }
  double initial(int64_t b, int64_t n, int64_t at) const {
    if (s_.initialState == InitialState::None)
      return 0;
    int64_t head = s_.initialState == InitialState::PerHead ? n : b * s_.heads + n;
    return c_.h0[head * width_ * s_.valueDim + at];
  }

  void query(int64_t b, int64_t n, int64_t t) {
    int64_t row = (b * s_.tokens + t) * s_.heads + n, oAt = row * s_.valueDim,
            stateAt = (b * s_.heads + n) * width_ * s_.valueDim;
    const float *x = c_.q.begin() + row * s_.headDim, *g = c_.dout.begin() + oAt;
    Doubles p = phi(s_.featureMap, x, s_.headDim), dp(width_, 0.0);
    auto [begin, end] = visible(b, t);
    for (int64_t i = begin; i < end; ++i) {
      int64_t key = keyRow(b, n, i), vAt = key * s_.valueDim;
      double a = 0, da = 0;
      for (int64_t d = 0; d < width_; ++d)
        a += p[d] * phiK_[key][d];
      for (int64_t e = 0; e < s_.valueDim; ++e) {
        o[oAt + e] += a * c_.v[vAt + e];
        da += double(g[e]) * c_.v[vAt + e];
        dv[vAt + e] += a * g[e];
      }
      for (int64_t d = 0; d < width_; ++d) {
        dp[d] += da * phiK_[key][d];
        dphiK_[key * width_ + d] += da * p[d];
      }
    }
    for (int64_t d = 0; d < width_; ++d)
      for (int64_t e = 0; e < s_.valueDim; ++e) {
        double h = initial(b, n, d * s_.valueDim + e);
        o[oAt + e] += p[d] * h;
        dp[d] += h * g[e];
        dh0[stateAt + d * s_.valueDim + e] += p[d] * g[e];
      }
    phiGrad(s_.featureMap, x, dp.data(), s_.headDim, &dq[row * s_.headDim]);
  }

  void last(int64_t b, int64_t n) {
    int64_t stateAt = (b * s_.heads + n) * width_ * s_.valueDim;
    auto [begin, end] = visible(b, s_.tokens - 1);
    for (int64_t d = 0; d < width_; ++d)
      for (int64_t e = 0; e < s_.valueDim; ++e) {
        int64_t at = stateAt + d * s_.valueDim + e;
        finalState[at] += initial(b, n, d * s_.valueDim + e);
        dh0[at] += c_.dfinal[at];
        for (int64_t i = begin; i < end; ++i) {
          int64_t key = keyRow(b, n, i), vAt = key * s_.valueDim + e;
          finalState[at] += phiK_[key][d] * c_.v[vAt];
          dphiK_[key * width_ + d] += c_.dfinal[at] * c_.v[vAt];
          dv[vAt] += c_.dfinal[at] * phiK_[key][d];
        }
      }
  }

  const Case &c_;
  const RlaSpec &s_;
  int64_t width_;
  std::vector<Doubles> phiK_;
  Doubles dphiK_;
};

/// dq, dk and dv again, by the kernels whose cells are chunks.
void runSideBySide(Case &c) {
  for (Floats *gradient : {&c.dq, &c.dk, &c.dv})
    std::fill(gradient->begin(), gradient->end(), std::numeric_limits<float>::quiet_NaN());
  std::vector<Argument> ofQueries = {c.q, c.k, c.v, c.dout}, ofKeys = ofQueries;
  if (c.spec.initialState != InitialState::None)
    ofQueries.push_back(c.h0);
  if (c.spec.documents)
    ofQueries.push_back(c.docStart), ofKeys.push_back(c.docStart);
  ofQueries.insert(ofQueries.end(), {c.states, c.dq});
  ofKeys.insert(ofKeys.end(), {c.dstates, c.dk, c.dv});
  runKernel(buildRlaDq, symbol(c.spec, "dq"), c.spec, ofQueries);
  runKernel(buildRlaDkDv, symbol(c.spec, "dkdv"), c.spec, ofKeys);
}

void checkForm(const RlaSpec &spec, Options options) {
  Case c = makeCase(spec, options);
  SCOPED_TRACE(symbol(c.spec, "bwd"));
  runForward(c);
  Reference expected(c);
  expectClose(c.o, expected.o, 1e-5, "o");
  if (spec.finalState)
    expectClose(c.finalState, expected.finalState, 1e-5, "final_state");
  if (options.lengths)
    return;
  runBackward(c);
  auto expectGradients = [&] {
    expectClose(c.dq, expected.dq, 1e-5, "dq");
    expectClose(c.dk, expected.dk, 1e-5, "dk");
    expectClose(c.dv, expected.dv, 1e-5, "dv");
  };
  expectGradients();
  if (spec.initialState != InitialState::None)
    expectClose(c.dh0, expected.dh0, 1e-5, "dh0");
  bool isCpu = !isGpu(tileTarget()); // where no job runs them, but they are right, too
  if (isCpu ? c.spec.twoPass && c.spec.saveEvery == 1 : runsSideBySide(c.spec, tileTarget())) {
    SCOPED_TRACE("side by side");
    runSideBySide(c);
    expectGradients();
  }
}

/// One pass, and two where states are saved.
void check(RlaSpec spec, Options options = {}) {
  checkForm(spec, options);
  if (spec.saveEvery) {
    spec.twoPass = true;
    checkForm(spec, options);
  }
}

RlaSpec makeSpec(int64_t tokens, int64_t heads, int64_t kvHeads, int64_t headDim, int64_t valueDim, int64_t window) {
  RlaSpec spec;
  spec.batch = 2, spec.tokens = tokens, spec.heads = heads, spec.kvHeads = kvHeads;
  spec.headDim = headDim, spec.valueDim = valueDim, spec.window = window;
  spec.chunk = 64, spec.saveEvery = 1;
  return spec;
}

TEST(RlaTest, AwkwardLengths) {
  for (int64_t tokens : {1, 63, 64, 65})
    check(makeSpec(tokens, 2, 1, 16, 16, 3));
}

TEST(RlaTest, Windows) {
  for (int64_t window : {-1, 0, 1, 15, 17, 200}) {
    RlaSpec spec = makeSpec(100, 2, 1, 16, 16, window);
    spec.chunk = 16, spec.saveEvery = 2, spec.finalState = true;
    check(spec);
  }
}

TEST(RlaTest, HeadSizesGroupsAndMaps) {
  RlaSpec spec = makeSpec(150, 2, 2, 6, 24, 10);
  check(spec);
  spec = makeSpec(150, 4, 2, 24, 6, 10);
  spec.featureMap = FeatureMap::Relu, spec.chunk = 32;
  check(spec);
  spec = makeSpec(130, 4, 1, 128, 64, 31);
  check(spec);
}

TEST(RlaTest, InitialAndFinalStates) {
  for (auto initial : {InitialState::PerHead, InitialState::PerBatchHead})
    for (auto map : {FeatureMap::Softmax, FeatureMap::Relu}) {
      RlaSpec spec = makeSpec(100, 4, 2, 24, 6, 5);
      spec.chunk = 32, spec.initialState = initial, spec.featureMap = map, spec.finalState = true;
      spec.saveEvery = map == FeatureMap::Relu ? 0 : 2;
      check(spec);
    }
}

TEST(RlaTest, Documents) {
  for (int64_t window : {-1, 0, 15, 40})
    for (int64_t documentTokens : {window == 0 ? 1 : 10, window == 0 ? 37 : 64}) {
      RlaSpec spec = makeSpec(200, 2, 1, 16, 16, window);
      spec.chunk = 32, spec.saveEvery = 3, spec.finalState = true, spec.initialState = InitialState::PerHead;
      check(spec, {.documentTokens = documentTokens});
    }
}

TEST(RlaTest, Lengths) {
  for (int64_t window : {-1, 7}) {
    RlaSpec spec = makeSpec(100, 2, 1, 16, 16, window);
    for (int64_t saveEvery : {0, 2}) {
      spec.finalState = true, spec.saveEvery = saveEvery, spec.chunk = 32;
      check(spec, {.lengths = true});
    }
  }
}

TEST(RlaTest, LongRow) { check(makeSpec(500, 2, 1, 24, 24, 70)); }

/// Any legal schedule gives the same values and gradients.
TEST(RlaTest, ScheduleChangesNothing) {
  RlaSpec spec = makeSpec(300, 2, 1, 16, 16, 20);
  spec.initialState = InitialState::PerHead, spec.finalState = true;
  Case base = makeCase(spec, {.documentTokens = 110});
  Reference expected(base);
  const std::pair<int64_t, int64_t> schedules[] = {{16, 1}, {16, 5}, {48, 2}, {64, 0}, {64, 100}, {128, 1}};
  for (auto [chunk, saveEvery] : schedules) {
    spec.chunk = chunk, spec.saveEvery = saveEvery;
    Case c = makeCase(spec, {.documentTokens = 110});
    SCOPED_TRACE(symbol(c.spec, "bwd"));
    runForward(c);
    runBackward(c);
    expectClose(c.o, expected.o, 2e-6, "o");
    expectClose(c.finalState, expected.finalState, 2e-6, "final_state");
    expectClose(c.dq, expected.dq, 2e-6, "dq");
    expectClose(c.dk, expected.dk, 2e-6, "dk");
    expectClose(c.dv, expected.dv, 2e-6, "dv");
    expectClose(c.dh0, expected.dh0, 2e-6, "dh0");
  }
}

/// Documents packed into one row give what they give alone, up to the order of sums.
TEST(RlaTest, PackedEqualsAlone) {
  const int64_t length = 75;
  RlaSpec spec = makeSpec(2 * length, 2, 1, 16, 16, 9);
  spec.batch = 1, spec.chunk = 32, spec.saveEvery = 2, spec.initialState = InitialState::PerHead;
  Case packed = makeCase(spec, {.documentTokens = length});
  spec.tokens = length;
  Case alone = makeCase(spec);
  for (auto [from, to] : {std::pair(&packed.q, &alone.q), std::pair(&packed.k, &alone.k),
                          std::pair(&packed.v, &alone.v), std::pair(&packed.dout, &alone.dout)})
    std::copy_n(from->begin() + to->size(), to->size(), to->begin());
  runForward(packed);
  runBackward(packed);
  runForward(alone);
  runBackward(alone);
  using Pair = std::tuple<const char *, const Floats *, const Floats *>;
  for (auto [name, from, to] : {Pair("o", &packed.o, &alone.o), Pair("dq", &packed.dq, &alone.dq),
                                Pair("dk", &packed.dk, &alone.dk), Pair("dv", &packed.dv, &alone.dv)})
    expectClose(std::span(from->begin() + to->size(), to->size()), Doubles(to->begin(), to->end()), 1e-6, name);
}

TEST(LearnedStateTest, ForwardAndGradient) {
  for (auto map : {FeatureMap::Softmax, FeatureMap::Relu})
    for (int64_t learned : {5, 128}) {
      LearnedStateSpec spec{3, learned, 24, 6, map};
      int64_t width = 2 * spec.headDim, state = width * spec.valueDim;
      Floats k = randomFloats(3 * learned * spec.headDim, 1, 2.0f), v = randomFloats(3 * learned * spec.valueDim, 2);
      Floats dh0 = randomFloats(3 * state, 3), h0(3 * state), dk(k.size()), dv(v.size());
      Doubles expectedH0(h0.size(), 0.0), expectedDk(k.size()), expectedDv(v.size(), 0.0);
      for (int64_t row = 0; row < 3 * learned; ++row) {
        int64_t n = row / learned;
        Doubles p = phi(map, k.begin() + row * spec.headDim, spec.headDim), dp(width, 0.0);
        for (int64_t d = 0; d < width; ++d)
          for (int64_t e = 0; e < spec.valueDim; ++e) {
            int64_t at = n * state + d * spec.valueDim + e, vAt = row * spec.valueDim + e;
            expectedH0[at] += p[d] * v[vAt];
            dp[d] += double(dh0[at]) * v[vAt];
            expectedDv[vAt] += p[d] * dh0[at];
          }
        phiGrad(map, k.begin() + row * spec.headDim, dp.data(), spec.headDim, &expectedDk[row * spec.headDim]);
      }
      runKernel(buildLearnedState, symbol(spec, false), spec, {k, v, h0});
      runKernel(buildLearnedStateGrad, symbol(spec, true), spec, {k, v, dh0, dk, dv});
      expectClose(h0, expectedH0, 1e-5, "h0");
      expectClose(dk, expectedDk, 1e-5, "dk_tokens");
      expectClose(dv, expectedDv, 1e-5, "dv_tokens");
    }
}

} // namespace
