// Builders of the feature map. Both softmax halves come from one row maximum and one row minimum.
#include "kernels/rattention/FeatureMap.h"

using namespace mlir;

namespace oriel::kernels {

/// Rows divided by their sums.
static Value normalised(TileBuilder &b, Value e) {
  Value inverse_R1 = b.map({b.reduceSum(e, 1)}, [](Scalar sum) { return 1.0 / sum; });
  return b.map({e, inverse_R1}, [](Scalar v, Scalar i) { return v * i; });
}

/// softmax(x) and softmax(-x) of each row over the first `dim` columns; 0 beyond.
static Halves softmaxRows(TileBuilder &b, Value x, int64_t dim) {
  bool padded = TileBuilder::cols(x) != dim;
  auto inside = [&](double outside) {
    return padded ? b.map({x}, [&](Scalar v) { return select(b.col() < dim, v, outside); }) : x;
  };
  Value most_R1 = b.reduceMax(inside(-1e30), 1), least_R1 = b.reduceMin(inside(1e30), 1);
  auto exponentials = [&](TileBuilder &, ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
    Scalar plus = exp(in[0] - in[1]), minus = exp(in[2] - in[0]);
    if (!padded)
      return {plus, minus};
    Scalar real = b.col() < dim;
    return {select(real, plus, 0.0), select(real, minus, 0.0)};
  };
  TileBuilder::Values e_RD = b.mapN({x, most_R1, least_R1}, exponentials);
  return {normalised(b, e_RD[0]), normalised(b, e_RD[1])};
}

Halves featureMap(TileBuilder &b, FeatureMap map, Value x, int64_t dim) {
  if (map == FeatureMap::Softmax)
    return softmaxRows(b, x, dim);
  return {b.map({x}, [](Scalar v) { return max(v, 0.0); }), b.map({x}, [](Scalar v) { return max(-v, 0.0); })};
}

/// sign p∘(dp - sum(p∘dp))
static Value softmaxGrad(TileBuilder &b, Value p, Value dp, double sign = 1.0) {
  Value mean_R1 = b.reduceSum(b.map({p, dp}, [](Scalar a, Scalar d) { return a * d; }), 1);
  return b.map({p, dp, mean_R1},
               [&](Scalar a, Scalar d, Scalar mean) { return sign > 0 ? a * (d - mean) : a * (mean - d); });
}

Value featureMapGrad(TileBuilder &b, FeatureMap map, const Halves &phi, const Halves &dphi) {
  if (map == FeatureMap::Softmax)
    return b.map({softmaxGrad(b, phi.plus, dphi.plus), softmaxGrad(b, phi.minus, dphi.minus)},
                 [](Scalar p, Scalar m) { return p - m; });
  return b.map({phi.plus, dphi.plus, phi.minus, dphi.minus}, [](Scalar p, Scalar dp, Scalar m, Scalar dm) {
    return select(p > 0.0, dp, 0.0) - select(m > 0.0, dm, 0.0);
  });
}

Value featureMapHalf(TileBuilder &b, FeatureMap map, Value x, int64_t dim, Value Halves::*side) {
  double sign = side == &Halves::plus ? 1.0 : -1.0;
  if (map == FeatureMap::Relu)
    return b.map({x}, [&](Scalar v) { return max(v * sign, 0.0); });
  bool padded = TileBuilder::cols(x) != dim;
  Value signed_RD = b.map({x}, [&](Scalar v) { return padded ? select(b.col() < dim, v * sign, -1e30) : v * sign; });
  Value e_RD = b.map({signed_RD, b.reduceMax(signed_RD, 1)}, [](Scalar v, Scalar most) { return exp(v - most); });
  return normalised(b, e_RD);
}

Value featureMapHalfGrad(TileBuilder &b, FeatureMap map, Value phi, Value dphi, Value Halves::*side) {
  double sign = side == &Halves::plus ? 1.0 : -1.0;
  if (map == FeatureMap::Relu)
    return b.map({phi, dphi}, [&](Scalar p, Scalar d) { return select(p > 0.0, d * sign, 0.0); });
  return softmaxGrad(b, phi, dphi, sign);
}

} // namespace oriel::kernels
