// The feature map of residual linear attention in double, straight from its definition.
#ifndef ORIEL_TESTS_NUMERICS_KERNELS_FEATUREMAPREFERENCE_H
#define ORIEL_TESTS_NUMERICS_KERNELS_FEATUREMAPREFERENCE_H

#include "kernels/rattention/Rla.h"
#include <algorithm>
#include <cmath>
#include <vector>

namespace oriel::testing {

/// phi(x) of one vector of `dim` floats: [softmax(x), softmax(-x)] or [relu(x), relu(-x)].
inline std::vector<double> phi(kernels::FeatureMap map, const float *x, int64_t dim) {
  std::vector<double> result(2 * dim);
  double sums[2] = {0, 0};
  for (int64_t d = 0; d < dim; ++d) {
    double v = x[d];
    result[d] = map == kernels::FeatureMap::Relu ? std::max(v, 0.0) : std::exp(v);
    result[dim + d] = map == kernels::FeatureMap::Relu ? std::max(-v, 0.0) : std::exp(-v);
    sums[0] += result[d], sums[1] += result[dim + d];
  }
  for (int64_t d = 0; map == kernels::FeatureMap::Softmax && d < 2 * dim; ++d)
    result[d] /= sums[d / dim];
  return result;
}

} // namespace oriel::testing

#endif
