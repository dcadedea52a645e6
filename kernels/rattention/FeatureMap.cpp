// Builders of the feature map. Both softmax halves come from one row maximum and one row minimum.
#include "kernels/rattention/FeatureMap.h"

using namespace mlir;

namespace oriel::kernels {

/// exp(sign·x - peak) / sum over the first `dim` columns, 0 beyond.
static Value softmaxRows(TileBuilder &b, Value x, int64_t dim, bool negate) {
  bool padded = TileBuilder::cols(x) != dim;
  double sign = negate ? -1.0 : 1.0, outside = negate ? 1e30 : -1e30;
  Value bounded = padded ? b.map({x}, [&](Scalar v) { return select(b.col() < dim, v, outside); }) : x;
  Value peak_R1 = b.reduce(negate ? tile::ReduceKind::Min : tile::ReduceKind::Max, bounded, 1);
  Value exp_RD = b.map({bounded, peak_R1}, [&](Scalar v, Scalar peak) { return exp((v - peak) * sign); });
  Value inverse_R1 = b.map({b.reduceSum(exp_RD, 1)}, [](Scalar sum) { return 1.0 / sum; });
  return b.map({exp_RD, inverse_R1}, [](Scalar e, Scalar i) { return e * i; });
}

Halves featureMap(TileBuilder &b, FeatureMap map, Value x, int64_t dim) {
  if (map == FeatureMap::Softmax)
    return {softmaxRows(b, x, dim, /*negate=*/false), softmaxRows(b, x, dim, /*negate=*/true)};
  return {b.map({x}, [](Scalar v) { return max(v, 0.0); }), b.map({x}, [](Scalar v) { return max(-v, 0.0); })};
}

/// p∘(dp - sum(p∘dp))
static Value softmaxGrad(TileBuilder &b, Value p, Value dp) {
  Value mean_R1 = b.reduceSum(b.map({p, dp}, [](Scalar a, Scalar d) { return a * d; }), 1);
  return b.map({p, dp, mean_R1}, [](Scalar a, Scalar d, Scalar mean) { return a * (d - mean); });
}

Value featureMapGrad(TileBuilder &b, FeatureMap map, const Halves &phi, const Halves &dphi) {
  if (map == FeatureMap::Softmax)
    return b.map({softmaxGrad(b, phi.plus, dphi.plus), softmaxGrad(b, phi.minus, dphi.minus)},
                 [](Scalar p, Scalar m) { return p - m; });
  return b.map({phi.plus, dphi.plus, phi.minus, dphi.minus}, [](Scalar p, Scalar dp, Scalar m, Scalar dm) {
    return select(p > 0.0, dp, 0.0) - select(m > 0.0, dm, 0.0);
  });
}

} // namespace oriel::kernels
