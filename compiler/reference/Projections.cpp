#include "compiler/reference/Projections.h"
#include <limits>

namespace oriel::reference {

Tensor embed(const Tensor &table, const Tensor &tokens, double scale) {
  int64_t vocab = table.dim(0), width = table.dim(1);
  Tensor y({tokens.dim(0), tokens.dim(1), width});
  for (int64_t i = 0; i < tokens.size(); ++i) {
    int64_t token = int64_t(tokens.data[i]);
    if (token >= 0 && token < vocab)
      addScaled(y.row(i), scale, table.row(token), width);
    else
      std::fill_n(y.row(i), width, std::numeric_limits<double>::quiet_NaN());
  }
  return y;
}

Tensor embedGrad(const Tensor &dy, const Tensor &tokens, double scale, int64_t vocab) {
  int64_t width = dy.dim(-1);
  Tensor dtable({vocab, width});
  for (int64_t i = 0; i < tokens.size(); ++i)
    if (int64_t token = int64_t(tokens.data[i]); token >= 0 && token < vocab)
      addScaled(dtable.row(token), scale, dy.row(i), width);
  return dtable;
}

Tensor linear(const Tensor &x, const Tensor &weight, const Tensor *bias) {
  int64_t in = weight.dim(1), out = weight.dim(0);
  std::vector<int64_t> shape = x.shape;
  shape.back() = out;
  Tensor y(shape);
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t o = 0; o < out; ++o)
      y.row(r)[o] = dot(x.row(r), weight.row(o), in) + (bias ? bias->data[o] : 0.0);
  return y;
}

Tensor matmul(const Tensor &a, const Tensor &b, bool transposeA, bool transposeB, const std::vector<int64_t> &shape) {
  int64_t rows = transposeA ? a.dim(-1) : a.rows(), inner = transposeA ? a.rows() : a.dim(-1);
  int64_t columns = transposeB ? b.rows() : b.dim(-1);
  Tensor y(shape);
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t k = 0; k < inner; ++k) {
      double left = transposeA ? a.row(k)[m] : a.row(m)[k];
      for (int64_t n = 0; n < columns; ++n)
        y.data[m * columns + n] += left * (transposeB ? b.row(n)[k] : b.row(k)[n]);
    }
  return y;
}

Tensor add(const Tensor &a, const Tensor &b) {
  Tensor y = a;
  addScaled(y.data.data(), 1.0, b.data.data(), b.size());
  return y;
}

Tensor sumRows(const Tensor &x) {
  Tensor y({x.dim(-1)});
  for (int64_t r = 0; r < x.rows(); ++r)
    addScaled(y.row(0), 1.0, x.row(r), x.dim(-1));
  return y;
}

Tensor scaleChannels(const Tensor &x, const Tensor &scale) {
  Tensor y = x;
  for (int64_t r = 0; r < y.rows(); ++r)
    for (int64_t d = 0; d < y.dim(-1); ++d)
      y.row(r)[d] *= scale.data[d];
  return y;
}

ScaleChannelsGrads scaleChannelsGrad(const Tensor &x, const Tensor &scale, const Tensor &dy) {
  Tensor dscale = Tensor::zerosLike(scale);
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t d = 0; d < x.dim(-1); ++d)
      dscale.data[d] += dy.row(r)[d] * x.row(r)[d];
  return {scaleChannels(dy, scale), std::move(dscale)};
}

} // namespace oriel::reference
