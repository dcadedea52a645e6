#include "compiler/reference/Norms.h"
#include <cmath>
#include <numbers>

namespace oriel::reference {

Tensor rmsNorm(const Tensor &x, const Tensor &weight, double eps, bool plusOne) {
  int64_t width = x.dim(-1), heads = weight.rows();
  Tensor y = x;
  for (int64_t r = 0; r < x.rows(); ++r) {
    double inverse = 1.0 / std::sqrt(dot(x.row(r), x.row(r), width) / width + eps);
    for (int64_t d = 0; d < width; ++d)
      y.row(r)[d] *= inverse * (weight.row(r % heads)[d] + (plusOne ? 1.0 : 0.0));
  }
  return y;
}

RmsNormGrads rmsNormGrad(const Tensor &x, const Tensor &weight, const Tensor &dy, double eps, bool plusOne) {
  int64_t width = x.dim(-1), heads = weight.rows();
  RmsNormGrads grads{Tensor::zerosLike(x), Tensor::zerosLike(weight)};
  for (int64_t r = 0; r < x.rows(); ++r) {
    const double *in = x.row(r), *cotangent = dy.row(r), *w = weight.row(r % heads);
    double inverse = 1.0 / std::sqrt(dot(in, in, width) / width + eps);
    double mean = 0; // of g∘x over the vector, g = w∘dy
    for (int64_t d = 0; d < width; ++d)
      mean += cotangent[d] * (w[d] + (plusOne ? 1.0 : 0.0)) * in[d] / width;
    for (int64_t d = 0; d < width; ++d) {
      double g = cotangent[d] * (w[d] + (plusOne ? 1.0 : 0.0));
      grads.dx.row(r)[d] = inverse * g - in[d] * inverse * inverse * inverse * mean;
      grads.dweight.row(r % heads)[d] += cotangent[d] * in[d] * inverse;
    }
  }
  return grads;
}

Tensor rope(const Tensor &x, const Tensor *docStart, const RopeSpec &spec) {
  int64_t tokens = x.dim(1), heads = x.dim(2), half = spec.rotaryDim / 2;
  Tensor y = x;
  for (int64_t r = 0; r < x.rows(); ++r) {
    int64_t t = r / heads % tokens, b = r / heads / tokens;
    double position = double(t) - (docStart ? docStart->at(b, t) : 0.0);
    for (int64_t j = 0; j < half; ++j) {
      double angle = position * std::pow(spec.theta, -2.0 * j / spec.rotaryDim) * (spec.inverse ? -1.0 : 1.0);
      int64_t first = spec.interleaved ? 2 * j : j, second = spec.interleaved ? 2 * j + 1 : j + half;
      double a = x.row(r)[first], b2 = x.row(r)[second];
      y.row(r)[first] = a * std::cos(angle) - b2 * std::sin(angle);
      y.row(r)[second] = b2 * std::cos(angle) + a * std::sin(angle);
    }
  }
  return y;
}

namespace {

struct Slope {
  double value, derivative;
};

Slope activate(double x, Activation activation) {
  if (activation == Activation::Silu) {
    double sigmoid = 1.0 / (1.0 + std::exp(-x));
    return {x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid))};
  }
  // tanh approximation of GELU: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))).
  double c = std::sqrt(2.0 / std::numbers::pi), cubic = 0.044715;
  double tanh = std::tanh(c * (x + cubic * x * x * x));
  return {0.5 * x * (1.0 + tanh), 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * c * (1.0 + 3.0 * cubic * x * x)};
}

} // namespace

Tensor gatedActivation(const Tensor &gate, const Tensor &up, Activation activation) {
  Tensor y = up;
  for (int64_t i = 0; i < y.size(); ++i)
    y.data[i] *= activate(gate.data[i], activation).value;
  return y;
}

GatedActivationGrads gatedActivationGrad(const Tensor &gate, const Tensor &up, const Tensor &dy,
                                         Activation activation) {
  GatedActivationGrads grads{Tensor::zerosLike(gate), Tensor::zerosLike(up)};
  for (int64_t i = 0; i < dy.size(); ++i) {
    Slope slope = activate(gate.data[i], activation);
    grads.dgate.data[i] = dy.data[i] * up.data[i] * slope.derivative;
    grads.dup.data[i] = dy.data[i] * slope.value;
  }
  return grads;
}

} // namespace oriel::reference
