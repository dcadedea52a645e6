#include "compiler/reference/Attention.h"
#include <algorithm>
#include <cmath>

namespace oriel::reference {
namespace {

/// Offsets of the vectors of one query head in [B,T,heads,width] tensors.
struct Head {
  const Tensor &tensor;
  int64_t b, n;
  const double *at(int64_t t) const { return tensor.row((b * tensor.dim(1) + t) * tensor.dim(2) + n); }
};

double *vectorAt(Tensor &tensor, int64_t b, int64_t t, int64_t n) {
  return tensor.row((b * tensor.dim(1) + t) * tensor.dim(2) + n);
}

/// The tokens that token t sees, and their probabilities.
struct Row {
  int64_t first = 0, last = 0;       // inclusive
  std::vector<double> probabilities; // of first … last
  std::vector<double> capSlope;      // d score / d (scale q·k)
  double lse = 0;
};

Row softmaxRow(const Head &q, const Head &k, const Tensor *docStart, int64_t t, const AttentionSpec &spec) {
  Row row;
  row.last = t;
  row.first = docStart ? int64_t(docStart->at(q.b, t)) : 0;
  if (spec.window >= 0)
    row.first = std::max(row.first, t - spec.window);
  for (int64_t i = row.first; i <= row.last; ++i) {
    double score = spec.scale * dot(q.at(t), k.at(i), q.tensor.dim(-1)), slope = 1;
    if (spec.softCap > 0) {
      double tanh = std::tanh(score / spec.softCap);
      score = spec.softCap * tanh;
      slope = 1 - tanh * tanh;
    }
    row.probabilities.push_back(score);
    row.capSlope.push_back(slope);
  }
  double largest = *std::max_element(row.probabilities.begin(), row.probabilities.end()), sum = 0;
  for (double &p : row.probabilities)
    sum += p = std::exp(p - largest);
  for (double &p : row.probabilities)
    p /= sum;
  row.lse = largest + std::log(sum);
  return row;
}

} // namespace

AttentionOutputs attention(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor *docStart,
                           const AttentionSpec &spec) {
  int64_t batch = q.dim(0), tokens = q.dim(1), heads = q.dim(2), group = heads / k.dim(2), valueDim = v.dim(-1);
  AttentionOutputs out{Tensor({batch, tokens, heads, valueDim}), Tensor({batch, heads, tokens})};
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t n = 0; n < heads; ++n)
      for (int64_t t = 0; t < tokens; ++t) {
        Head values{v, b, n / group};
        Row row = softmaxRow({q, b, n}, {k, b, n / group}, docStart, t, spec);
        for (int64_t i = row.first; i <= row.last; ++i)
          addScaled(vectorAt(out.result, b, t, n), row.probabilities[i - row.first], values.at(i), valueDim);
        out.lse.at(b, n, t) = row.lse;
      }
  return out;
}

MixerGrads attentionGrad(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &dresult,
                         const Tensor *docStart, const AttentionSpec &spec) {
  int64_t batch = q.dim(0), tokens = q.dim(1), heads = q.dim(2), group = heads / k.dim(2);
  int64_t headDim = q.dim(-1), valueDim = v.dim(-1);
  MixerGrads grads{Tensor::zerosLike(q), Tensor::zerosLike(k), Tensor::zerosLike(v)};
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t n = 0; n < heads; ++n)
      for (int64_t t = 0; t < tokens; ++t) {
        Head queries{q, b, n}, keys{k, b, n / group}, values{v, b, n / group}, cotangents{dresult, b, n};
        Row row = softmaxRow(queries, keys, docStart, t, spec);
        double mean = 0; // sum_i p_i dp_i
        for (int64_t i = row.first; i <= row.last; ++i)
          mean += row.probabilities[i - row.first] * dot(cotangents.at(t), values.at(i), valueDim);
        for (int64_t i = row.first; i <= row.last; ++i) {
          double p = row.probabilities[i - row.first];
          double dp = dot(cotangents.at(t), values.at(i), valueDim);
          double dscore = p * (dp - mean) * row.capSlope[i - row.first] * spec.scale;
          addScaled(vectorAt(grads.dv, b, i, n / group), p, cotangents.at(t), valueDim);
          addScaled(vectorAt(grads.dq, b, t, n), dscore, keys.at(i), headDim);
          addScaled(vectorAt(grads.dk, b, i, n / group), dscore, queries.at(t), headDim);
        }
      }
  return grads;
}

} // namespace oriel::reference
