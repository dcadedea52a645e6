#include "compiler/reference/ResidualLinearAttention.h"
#include <algorithm>
#include <cmath>

namespace oriel::reference {
namespace {

/// softmax(sign * x) into out.
void signedSoftmax(const double *x, double sign, int64_t count, double *out) {
  double largest = sign * x[0], sum = 0;
  for (int64_t d = 0; d < count; ++d)
    largest = std::max(largest, sign * x[d]);
  for (int64_t d = 0; d < count; ++d)
    sum += out[d] = std::exp(sign * x[d] - largest);
  for (int64_t d = 0; d < count; ++d)
    out[d] /= sum;
}

} // namespace

Tensor features(const Tensor &x, FeatureMap featureMap) {
  int64_t width = x.dim(-1);
  std::vector<int64_t> shape = x.shape;
  shape.back() = 2 * width;
  Tensor phi(shape);
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t half = 0; half < 2; ++half) {
      double sign = half ? -1.0 : 1.0, *out = phi.row(r) + half * width;
      if (featureMap == FeatureMap::Softmax)
        signedSoftmax(x.row(r), sign, width, out);
      else
        for (int64_t d = 0; d < width; ++d)
          out[d] = std::max(sign * x.row(r)[d], 0.0);
    }
  return phi;
}

Tensor featuresGrad(const Tensor &x, const Tensor &dphi, FeatureMap featureMap) {
  int64_t width = x.dim(-1);
  Tensor dx = Tensor::zerosLike(x);
  std::vector<double> p(width);
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t half = 0; half < 2; ++half) {
      double sign = half ? -1.0 : 1.0;
      const double *cotangent = dphi.row(r) + half * width;
      if (featureMap == FeatureMap::Relu) {
        for (int64_t d = 0; d < width; ++d)
          dx.row(r)[d] += sign * x.row(r)[d] > 0 ? sign * cotangent[d] : 0.0;
        continue;
      }
      signedSoftmax(x.row(r), sign, width, p.data());
      double mean = dot(p.data(), cotangent, width);
      for (int64_t d = 0; d < width; ++d)
        dx.row(r)[d] += sign * p[d] * (cotangent[d] - mean);
    }
  return dx;
}

namespace {

/// The index arithmetic that forward and gradient share. Vectors are addressed by (row, token, head).
class Pairs {
public:
  Pairs(const ResidualLinearAttentionInputs &in, const ResidualLinearAttentionSpec &spec)
      : batch(in.q.dim(0)), tokens(in.q.dim(1)), heads(in.q.dim(2)), kvHeads(in.k.dim(2)), group(heads / kvHeads),
        valueDim(in.v.dim(3)), features(2 * in.q.dim(3)), in_(in), spec_(spec) {}

  const int64_t batch, tokens, heads, kvHeads, group, valueDim, features;

  int64_t query(int64_t b, int64_t t, int64_t n) const { return (b * tokens + t) * heads + n; }
  int64_t key(int64_t b, int64_t i, int64_t n) const { return (b * tokens + i) * kvHeads + n / group; }

  /// Token t sees keys first(b, t) … last(b, t), both inclusive; none if first > last.
  int64_t first(int64_t b, int64_t t) const { return in_.docStart ? int64_t(in_.docStart->at(b, t)) : 0; }
  int64_t last(int64_t b, int64_t t) const {
    int64_t newest = t - spec_.window - 1;
    return in_.lengths ? std::min(newest, int64_t(in_.lengths->at(b)) - spec_.window - 2) : newest;
  }

  /// Row c of the initial state of (b, n), counted in rows of a [.. ,2D,E] tensor.
  int64_t initialRow(int64_t b, int64_t n) const {
    return (in_.initialState->rank() == 4 ? b * heads + n : n) * features;
  }
  int64_t finalRow(int64_t b, int64_t n) const { return (b * heads + n) * features; }

private:
  const ResidualLinearAttentionInputs &in_;
  const ResidualLinearAttentionSpec &spec_;
};

/// S += phiᵀ v for the 2D rows of S that start at `row`.
void addOuter(Tensor &state, int64_t row, const double *phi, const double *v, int64_t features) {
  for (int64_t c = 0; c < features; ++c)
    addScaled(state.row(row + c), phi[c], v, state.dim(-1));
}

/// out += phi S.
void addTimesState(double *out, const double *phi, const Tensor &state, int64_t row, int64_t features) {
  for (int64_t c = 0; c < features; ++c)
    addScaled(out, phi[c], state.row(row + c), state.dim(-1));
}

/// out += S vᵀ.
void addStateTimes(double *out, const Tensor &state, int64_t row, const double *v, int64_t features) {
  for (int64_t c = 0; c < features; ++c)
    out[c] += dot(state.row(row + c), v, state.dim(-1));
}

} // namespace

ResidualLinearAttentionOutputs residualLinearAttention(const ResidualLinearAttentionInputs &in,
                                                       const ResidualLinearAttentionSpec &spec) {
  Pairs pairs(in, spec);
  Tensor phiQ = features(in.q, spec.featureMap), phiK = features(in.k, spec.featureMap);
  ResidualLinearAttentionOutputs out{Tensor({pairs.batch, pairs.tokens, pairs.heads, pairs.valueDim}),
                                     Tensor({pairs.batch, pairs.heads, pairs.features, pairs.valueDim})};
  for (int64_t b = 0; b < pairs.batch; ++b)
    for (int64_t n = 0; n < pairs.heads; ++n) {
      for (int64_t t = 0; t < pairs.tokens; ++t) {
        const double *q = phiQ.row(pairs.query(b, t, n));
        double *o = out.result.row(pairs.query(b, t, n));
        for (int64_t i = pairs.first(b, t); i <= pairs.last(b, t); ++i)
          addScaled(o, dot(q, phiK.row(pairs.key(b, i, n)), pairs.features), in.v.row(pairs.key(b, i, n)),
                    pairs.valueDim);
        if (in.initialState)
          addTimesState(o, q, *in.initialState, pairs.initialRow(b, n), pairs.features);
      }
      int64_t end = pairs.tokens - 1, row = pairs.finalRow(b, n);
      for (int64_t i = pairs.first(b, end); i <= pairs.last(b, end); ++i)
        addOuter(out.finalState, row, phiK.row(pairs.key(b, i, n)), in.v.row(pairs.key(b, i, n)), pairs.features);
      if (in.initialState)
        addScaled(out.finalState.row(row), 1.0, in.initialState->row(pairs.initialRow(b, n)),
                  pairs.features * pairs.valueDim);
    }
  return out;
}

ResidualLinearAttentionGrads residualLinearAttentionGrad(const ResidualLinearAttentionInputs &in, const Tensor &dresult,
                                                         const Tensor *dfinalState,
                                                         const ResidualLinearAttentionSpec &spec) {
  Pairs pairs(in, spec);
  Tensor phiQ = features(in.q, spec.featureMap), phiK = features(in.k, spec.featureMap);
  Tensor dphiQ = Tensor::zerosLike(phiQ), dphiK = Tensor::zerosLike(phiK), dv = Tensor::zerosLike(in.v);
  Tensor dinitial = in.initialState ? Tensor::zerosLike(*in.initialState) : Tensor();
  for (int64_t b = 0; b < pairs.batch; ++b)
    for (int64_t n = 0; n < pairs.heads; ++n) {
      for (int64_t t = 0; t < pairs.tokens; ++t) {
        int64_t query = pairs.query(b, t, n);
        const double *cotangent = dresult.row(query);
        for (int64_t i = pairs.first(b, t); i <= pairs.last(b, t); ++i) {
          int64_t key = pairs.key(b, i, n);
          double score = dot(phiQ.row(query), phiK.row(key), pairs.features);
          double dscore = dot(cotangent, in.v.row(key), pairs.valueDim);
          addScaled(dv.row(key), score, cotangent, pairs.valueDim);
          addScaled(dphiQ.row(query), dscore, phiK.row(key), pairs.features);
          addScaled(dphiK.row(key), dscore, phiQ.row(query), pairs.features);
        }
        if (in.initialState) {
          addStateTimes(dphiQ.row(query), *in.initialState, pairs.initialRow(b, n), cotangent, pairs.features);
          addOuter(dinitial, pairs.initialRow(b, n), phiQ.row(query), cotangent, pairs.features);
        }
      }
      if (!dfinalState)
        continue;
      int64_t end = pairs.tokens - 1, row = pairs.finalRow(b, n);
      for (int64_t i = pairs.first(b, end); i <= pairs.last(b, end); ++i) {
        int64_t key = pairs.key(b, i, n);
        addTimesState(dv.row(key), phiK.row(key), *dfinalState, row, pairs.features);
        addStateTimes(dphiK.row(key), *dfinalState, row, in.v.row(key), pairs.features);
      }
      if (in.initialState)
        addScaled(dinitial.row(pairs.initialRow(b, n)), 1.0, dfinalState->row(row), pairs.features * pairs.valueDim);
    }
  return {featuresGrad(in.q, dphiQ, spec.featureMap), featuresGrad(in.k, dphiK, spec.featureMap), std::move(dv),
          std::move(dinitial)};
}

Tensor learnedState(const Tensor &kTokens, const Tensor &vTokens, FeatureMap featureMap) {
  int64_t heads = kTokens.dim(0), count = kTokens.dim(1), width = 2 * kTokens.dim(2);
  Tensor phi = features(kTokens, featureMap), state({heads, width, vTokens.dim(2)});
  for (int64_t n = 0; n < heads; ++n)
    for (int64_t j = 0; j < count; ++j)
      addOuter(state, n * width, phi.row(n * count + j), vTokens.row(n * count + j), width);
  return state;
}

LearnedStateGrads learnedStateGrad(const Tensor &kTokens, const Tensor &vTokens, const Tensor &dstate,
                                   FeatureMap featureMap) {
  int64_t heads = kTokens.dim(0), count = kTokens.dim(1), width = 2 * kTokens.dim(2);
  Tensor phi = features(kTokens, featureMap), dphi = Tensor::zerosLike(phi), dv = Tensor::zerosLike(vTokens);
  for (int64_t n = 0; n < heads; ++n)
    for (int64_t r = n * count; r < (n + 1) * count; ++r) {
      addStateTimes(dphi.row(r), dstate, n * width, vTokens.row(r), width);
      addTimesState(dv.row(r), phi.row(r), dstate, n * width, width);
    }
  return {featuresGrad(kTokens, dphi, featureMap), std::move(dv)};
}

} // namespace oriel::reference
