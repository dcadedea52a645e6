#include "compiler/reference/Loss.h"
#include <algorithm>
#include <cmath>

namespace oriel::reference {
namespace {

/// The soft-capped logits of one position.
std::vector<double> logitsOf(const double *x, const Tensor &weight, double softCap) {
  std::vector<double> out(weight.dim(0));
  for (int64_t v = 0; v < weight.dim(0); ++v) {
    out[v] = dot(x, weight.row(v), weight.dim(1));
    if (softCap > 0)
      out[v] = softCap * std::tanh(out[v] / softCap);
  }
  return out;
}

double logSumExp(const std::vector<double> &values) {
  double largest = *std::max_element(values.begin(), values.end()), sum = 0;
  for (double value : values)
    sum += std::exp(value - largest);
  return largest + std::log(sum);
}

} // namespace

Tensor crossEntropy(const Tensor &x, const Tensor &weight, const Tensor &targets, double softCap) {
  return crossEntropyGrad(x, weight, targets, /*dloss=*/0, softCap).loss;
}

CrossEntropyGrads crossEntropyGrad(const Tensor &x, const Tensor &weight, const Tensor &targets, double dloss,
                                   double softCap) {
  int64_t width = weight.dim(1);
  CrossEntropyGrads out{Tensor({1}), Tensor::zerosLike(x), Tensor::zerosLike(weight)};
  for (int64_t r = 0; r < targets.size(); ++r) {
    int64_t target = int64_t(targets.data[r]);
    if (target < 0)
      continue;
    std::vector<double> values = logitsOf(x.row(r), weight, softCap);
    double lse = logSumExp(values);
    out.loss.data[0] += lse - values[target];
    for (int64_t v = 0; v < weight.dim(0); ++v) {
      double slope = softCap > 0 ? 1 - values[v] * values[v] / (softCap * softCap) : 1;
      double dlogit = dloss * (std::exp(values[v] - lse) - (v == target ? 1 : 0)) * slope;
      addScaled(out.dx.row(r), dlogit, weight.row(v), width);
      addScaled(out.dweight.row(v), dlogit, x.row(r), width);
    }
  }
  return out;
}

Tensor logits(const Tensor &x, const Tensor &weight, const Tensor &position, double softCap) {
  Tensor y({x.dim(0), weight.dim(0)});
  for (int64_t b = 0; b < x.dim(0); ++b) {
    std::vector<double> values = logitsOf(x.row(b * x.dim(1) + int64_t(position.data[b])), weight, softCap);
    std::copy(values.begin(), values.end(), y.row(b));
  }
  return y;
}

} // namespace oriel::reference
