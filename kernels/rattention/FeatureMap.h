// The feature map phi: R^D → R^2D of residual linear attention and its derivative, on tiles whose rows are vectors.
// The halves phi+ and phi- are kept apart: the 2D-wide products of the paper become sums of two D-wide ones.
#ifndef ORIEL_KERNELS_RATTENTION_FEATUREMAP_H
#define ORIEL_KERNELS_RATTENTION_FEATUREMAP_H

#include "kernels/common/TileBuilder.h"
#include "kernels/rattention/Rla.h"

namespace oriel::kernels {

/// Two tiles of one shape: the halves of phi, of a state, or of a cotangent of either.
struct Halves {
  mlir::Value plus, minus;
};

/// phi of each row of x [R, tileSize(dim)]; columns from `dim` on are 0 in both halves.
Halves featureMap(TileBuilder &b, FeatureMap map, mlir::Value x, int64_t dim);

/// dx from phi(x) and the cotangents of its halves:
///   softmax  p∘(dp - sum(p∘dp)) - m∘(dm - sum(m∘dm))        relu  [p > 0]∘dp - [m > 0]∘dm
mlir::Value featureMapGrad(TileBuilder &b, FeatureMap map, const Halves &phi, const Halves &dphi);

/// One half of phi(x), `side` being &Halves::plus or &Halves::minus; and its part of dx, which is the sum of both parts.
/// For kernels whose registers do not hold both halves at one time.
mlir::Value featureMapHalf(TileBuilder &b, FeatureMap map, mlir::Value x, int64_t dim, mlir::Value Halves::*side);
mlir::Value featureMapHalfGrad(TileBuilder &b, FeatureMap map, mlir::Value phi, mlir::Value dphi,
                               mlir::Value Halves::*side);

} // namespace oriel::kernels

#endif
