// Attention in blocks against explicit softmax in double, forward and gradient.
#include "kernels/attention/Attention.h"
#include "tests/support/kernels/KernelRunner.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace oriel::kernels;
using namespace oriel::testing;

namespace {

/// Inputs and outputs of one case.
struct Case {
  AttentionSpec spec;
  Floats q, k, v, dout;
  Ints docStart;
  Floats o, lse, delta, dq, exactDelta, dk, dv;
  Floats dqOnce, dkOnce, dvOnce; // from the kernel that makes scores once
  Floats dqByRows, dkByRows, dvByRows;

  bool goesByRows() const { return !runsOnNvidia() && seesFewKeys(spec); }
};

/// Documents of `documentTokens` tokens each; 0: one document.
Case makeCase(AttentionSpec spec, int64_t documentTokens) {
  spec.documents = documentTokens > 0;
  spec.scale = 1.0 / std::sqrt(double(spec.headDim));
  Case c;
  c.spec = spec;
  int64_t rows = spec.batch * spec.tokens;
  c.q = randomFloats(rows * spec.heads * spec.headDim, 1, 3.0f);
  c.k = randomFloats(rows * spec.kvHeads * spec.headDim, 2, 3.0f);
  c.v = randomFloats(rows * spec.kvHeads * spec.valueDim, 3);
  c.dout = randomFloats(rows * spec.heads * spec.valueDim, 4);
  c.docStart = Ints(rows, 0);
  for (int64_t i = 0; spec.documents && i < rows; ++i)
    c.docStart[i] = static_cast<int32_t>(i % spec.tokens / documentTokens * documentTokens);
  c.o = c.dout, c.dq = c.q, c.dk = c.k, c.dv = c.v;
  for (Floats *output : {&c.o, &c.dq, &c.dk, &c.dv})
    std::fill(output->begin(), output->end(), NAN);
  c.dqOnce = c.dqByRows = c.dq, c.dkOnce = c.dkByRows = c.dk, c.dvOnce = c.dvByRows = c.dv;
  c.lse = Floats(spec.heads * rows);
  c.delta = Floats(spec.heads * rows);
  c.exactDelta = Floats(spec.heads * rows, NAN);
  return c;
}

std::vector<Argument> withDocuments(Case &c, std::vector<Argument> inputs, std::vector<Argument> outputs) {
  if (c.spec.documents)
    inputs.push_back(c.docStart);
  inputs.insert(inputs.end(), outputs.begin(), outputs.end());
  return inputs;
}

void runForward(Case &c) {
  runKernel(buildAttention, symbol(c.spec, "fwd"), c.spec, withDocuments(c, {c.q, c.k, c.v}, {c.o, c.lse}));
  runKernel(buildAttentionDelta, symbol(c.spec, "delta"), c.spec, {c.o, c.dout, c.delta});
}

/// dq, then dk and dv from dq's delta.
void runTwoKernels(Case &c, const AttentionSpec &ofQueries, const AttentionSpec &ofKeys) {
  runKernel(buildAttentionDq, symbol(ofQueries, "dq"), ofQueries,
            withDocuments(c, {c.q, c.k, c.v, c.dout, c.lse, c.delta}, {c.dq, c.exactDelta}));
  runKernel(buildAttentionDkDv, symbol(ofKeys, "dkdv"), ofKeys,
            withDocuments(c, {c.q, c.k, c.v, c.dout, c.lse, c.exactDelta}, {c.dk, c.dv}));
}

void runCase(Case &c) {
  runForward(c);
  runTwoKernels(c, c.spec, c.spec);
  runKernel(buildAttentionGrad, symbol(c.spec, "grad"), c.spec,
            withDocuments(c, {c.q, c.k, c.v, c.dout, c.lse, c.delta}, {c.dqOnce, c.dkOnce, c.dvOnce}));
  if (!c.goesByRows())
    return;
  AttentionSpec rows = withRowTiles(c.spec);
  runKernel(buildAttentionRowGrad, symbol(rows, "row_grad"), rows,
            withDocuments(c, {c.q, c.k, c.v, c.dout, c.lse}, {c.dqByRows, c.dkByRows, c.dvByRows}));
}

/// Explicit softmax of every query of every head.
struct Reference {
  std::vector<double> o, lse, delta, dq, dk, dv;

  explicit Reference(const Case &c)
      : o(c.o.size(), 0.0), lse(c.lse.size(), 0.0), delta(c.lse.size(), 0.0), dq(c.dq.size(), 0.0),
        dk(c.dk.size(), 0.0), dv(c.dv.size(), 0.0) {
    for (int64_t b = 0; b < c.spec.batch; ++b)
      for (int64_t n = 0; n < c.spec.heads; ++n)
        for (int64_t t = 0; t < c.spec.tokens; ++t)
          query(c, b, n, t);
  }

  void query(const Case &c, int64_t b, int64_t n, int64_t t) {
    const AttentionSpec &s = c.spec;
    int64_t kv = n / (s.heads / s.kvHeads), row = b * s.tokens + t;
    int64_t begin = std::max<int64_t>(c.docStart[row], s.window < 0 ? 0 : t - s.window);
    int64_t qAt = (row * s.heads + n) * s.headDim, oAt = (row * s.heads + n) * s.valueDim;
    auto kAt = [&](int64_t i) { return ((b * s.tokens + i) * s.kvHeads + kv) * s.headDim; };
    auto vAt = [&](int64_t i) { return ((b * s.tokens + i) * s.kvHeads + kv) * s.valueDim; };
    std::vector<double> score, slope;
    double sum = 0, peak = -1e300;
    for (int64_t i = begin; i <= t; ++i) {
      double x = 0;
      for (int64_t d = 0; d < s.headDim; ++d)
        x += s.scale * c.q[qAt + d] * c.k[kAt(i) + d];
      double tanhX = s.softCap > 0 ? std::tanh(x / s.softCap) : 0;
      score.push_back(s.softCap > 0 ? s.softCap * tanhX : x);
      slope.push_back(1 - tanhX * tanhX);
      peak = std::max(peak, score.back());
    }
    for (double x : score)
      sum += std::exp(x - peak);
    int64_t at = (b * s.heads + n) * s.tokens + t;
    double logSum = peak + std::log(sum);
    lse[at] = logSum;
    for (int64_t i = begin; i <= t; ++i)
      for (int64_t e = 0; e < s.valueDim; ++e)
        o[oAt + e] += std::exp(score[i - begin] - logSum) * c.v[vAt(i) + e];
    for (int64_t e = 0; e < s.valueDim; ++e)
      delta[at] += o[oAt + e] * c.dout[oAt + e];
    for (int64_t i = begin; i <= t; ++i) {
      double p = std::exp(score[i - begin] - logSum), dp = 0;
      for (int64_t e = 0; e < s.valueDim; ++e) {
        dp += double(c.dout[oAt + e]) * c.v[vAt(i) + e];
        dv[vAt(i) + e] += p * c.dout[oAt + e];
      }
      double ds = p * (dp - delta[at]) * slope[i - begin] * s.scale;
      for (int64_t d = 0; d < s.headDim; ++d) {
        dq[qAt + d] += ds * c.k[kAt(i) + d];
        dk[kAt(i) + d] += ds * c.q[qAt + d];
      }
    }
  }
};

void check(const AttentionSpec &spec, int64_t documentTokens) {
  Case c = makeCase(spec, documentTokens);
  SCOPED_TRACE(symbol(c.spec, "case"));
  runCase(c);
  Reference expected(c);
  expectClose(c.o, expected.o, 1e-5, "o");
  expectClose(c.lse, expected.lse, 1e-5, "lse");
  expectClose(c.dq, expected.dq, 2e-5, "dq");
  expectClose(c.exactDelta, expected.delta, 2e-5, "delta of dq");
  expectClose(c.dk, expected.dk, 2e-5, "dk");
  expectClose(c.dv, expected.dv, 2e-5, "dv");
  expectClose(c.dqOnce, expected.dq, 2e-5, "dq of grad");
  expectClose(c.dkOnce, expected.dk, 2e-5, "dk of grad");
  expectClose(c.dvOnce, expected.dv, 2e-5, "dv of grad");
  if (!c.goesByRows())
    return;
  expectClose(c.dqByRows, expected.dq, 2e-5, "dq of row_grad");
  expectClose(c.dkByRows, expected.dk, 2e-5, "dk of row_grad");
  expectClose(c.dvByRows, expected.dv, 2e-5, "dv of row_grad");
}

AttentionSpec makeSpec(int64_t tokens, int64_t heads, int64_t kvHeads, int64_t headDim, int64_t valueDim,
                       int64_t window) {
  AttentionSpec spec;
  spec.batch = 2, spec.tokens = tokens, spec.heads = heads, spec.kvHeads = kvHeads;
  spec.headDim = headDim, spec.valueDim = valueDim, spec.window = window;
  return withDefaultTiles(spec, tileTarget());
}

TEST(AttentionTest, AwkwardLengths) {
  for (int64_t tokens : {1, 63, 64, 65})
    check(makeSpec(tokens, 2, 1, 16, 16, -1), 0);
  check(makeSpec(200, 2, 1, 16, 16, 50), 0);
}

TEST(AttentionTest, Windows) {
  for (int64_t window : {0, 1, 63, 65, 149, 500})
    check(makeSpec(150, 1, 1, 16, 16, window), 0);
}

TEST(AttentionTest, HeadSizesAndGroups) {
  check(makeSpec(70, 2, 2, 6, 24, -1), 0);
  check(makeSpec(70, 4, 2, 24, 6, 20), 0);
  check(makeSpec(70, 4, 1, 128, 64, -1), 0);
  check(makeSpec(70, 2, 1, 144, 144, -1), 30);
}

TEST(AttentionTest, Documents) {
  for (int64_t window : {-1, 30})
    for (int64_t documentTokens : {1, 37, 64})
      check(makeSpec(200, 2, 1, 16, 16, window), documentTokens);
}

TEST(AttentionTest, SoftCapAndOtherTiles) {
  AttentionSpec spec = makeSpec(100, 2, 1, 16, 16, 40);
  spec.softCap = 2.0;
  check(spec, 0);
  spec.queryTile = 16, spec.keyTile = 32;
  check(spec, 33);
  spec.queryTile = 32, spec.keyTile = 16, spec.window = -1;
  check(spec, 33);
}

/// Tiles that the schedule may choose on GPUs, wider and narrower than the kernel's own.
TEST(AttentionTest, TilesOfGpus) {
  for (auto [queryTile, keyTile] :
       {std::pair(128, 32), std::pair(128, 64), std::pair(32, 64), std::pair(64, 32), std::pair(16, 64)}) {
    AttentionSpec spec = makeSpec(150, 2, 1, 32, 32, 70);
    spec.queryTile = queryTile, spec.keyTile = keyTile;
    check(spec, 37);
  }
}

/// Each kernel with its own tiles for heads above 128, which a block of a GPU holds in other ways than narrow ones. Heads of
/// 512 are more than is promised: CPUs have them, and GPUs in bf16 with wgmma.
TEST(AttentionTest, OwnTilesOfWideHeads) {
  std::vector<int64_t> dims = {144, 256};
  if (!runsOnNvidia() || tileTarget() == TileTarget::NvidiaWarpgroup)
    dims.push_back(512);
  for (int64_t dim : dims) {
    Case c = makeCase(makeSpec(150, 2, 1, dim, dim, -1), 37);
    AttentionSpec ofQueries = withGradientTiles(c.spec, tileTarget()), ofKeys = withKeyGradientTiles(c.spec, tileTarget());
    runForward(c);
    runTwoKernels(c, ofQueries, ofKeys);
    Reference expected(c);
    expectClose(c.o, expected.o, 1e-5, "o");
    expectClose(c.dq, expected.dq, 2e-5, "dq");
    expectClose(c.exactDelta, expected.delta, 2e-5, "delta of dq");
    expectClose(c.dk, expected.dk, 2e-5, "dk");
    expectClose(c.dv, expected.dv, 2e-5, "dv");
  }
}

/// What rounded outputs shift delta by reaches dq alone: dk and dv take theirs from dp.
TEST(AttentionTest, ErrorsOfDeltaEndInDq) {
  Case c = makeCase(makeSpec(150, 4, 2, 32, 32, 70), 37);
  runForward(c);
  for (float &delta : c.delta)
    delta += 0.5f;
  runTwoKernels(c, c.spec, c.spec);
  Reference expected(c);
  expectClose(c.exactDelta, expected.delta, 2e-5, "delta of dq");
  expectClose(c.dk, expected.dk, 2e-5, "dk");
  expectClose(c.dv, expected.dv, 2e-5, "dv");
}

/// A document packed behind another gives what it gives alone, up to the order of sums.
TEST(AttentionTest, PackedEqualsAlone) {
  const int64_t length = 90;
  Case packed = makeCase(makeSpec(2 * length, 2, 1, 16, 16, 25), length);
  Case alone = makeCase(makeSpec(length, 2, 1, 16, 16, 25), 0);
  for (auto [from, to] : {std::pair(&packed.q, &alone.q), std::pair(&packed.k, &alone.k),
                          std::pair(&packed.v, &alone.v), std::pair(&packed.dout, &alone.dout)})
    for (int64_t b = 0; b < 2; ++b) {
      int64_t rowElements = to->size() / 2;
      std::copy_n(from->begin() + (2 * b + 1) * rowElements, rowElements, to->begin() + b * rowElements);
    }
  runCase(packed);
  runCase(alone);
  using Pair = std::tuple<const char *, const Floats *, const Floats *>;
  for (auto [name, from, to] :
       {Pair("o", &packed.o, &alone.o), Pair("dq", &packed.dq, &alone.dq), Pair("dk", &packed.dk, &alone.dk),
        Pair("dv", &packed.dv, &alone.dv), Pair("dq of grad", &packed.dqOnce, &alone.dqOnce),
        Pair("dk of grad", &packed.dkOnce, &alone.dkOnce), Pair("dv of grad", &packed.dvOnce, &alone.dvOnce)})
    for (int64_t b = 0; b < 2; ++b) {
      int64_t rowElements = to->size() / 2;
      const float *second = from->begin() + (2 * b + 1) * rowElements, *expected = to->begin() + b * rowElements;
      expectClose(std::span(second, rowElements), std::vector<double>(expected, expected + rowElements), 1e-6, name);
    }
}

} // namespace
