// Scalars that are written like mathematics: `exp(s - m) * rsqrt(v + 1e-6)` builds arith and math ops.
// Used for index arithmetic between tiles (type index) and for the bodies of TileBuilder::map (f32, i32, i1).
#ifndef ORIEL_KERNELS_COMMON_SCALAR_H
#define ORIEL_KERNELS_COMMON_SCALAR_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace oriel::kernels {

/// One SSA value of type f32, i32, i1 or index and the place where ops on it are built. Cheap to copy; valid as long as
/// the builder. Both sides of an operator have one type; a C++ number takes the type of the other side.
class Scalar {
public:
  Scalar() = default;
  Scalar(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value)
      : builder_(&builder), loc_(loc), value_(value) {}

  operator mlir::Value() const { return value_; }
  mlir::Value value() const { return value_; }
  mlir::Type type() const { return value_.getType(); }
  mlir::OpBuilder &builder() const { return *builder_; }
  mlir::Location loc() const { return loc_; }

  /// `value` as a constant of this scalar's type.
  Scalar literal(double value) const;
  Scalar with(mlir::Value value) const { return Scalar(*builder_, loc_, value); }

private:
  mlir::OpBuilder *builder_ = nullptr;
  mlir::Location loc_ = mlir::Location(mlir::LocationAttr());
  mlir::Value value_;
};

Scalar operator+(Scalar a, Scalar b);
Scalar operator-(Scalar a, Scalar b);
Scalar operator*(Scalar a, Scalar b);
/// Integers and indices divide rounding towards minus infinity; see also `remainder`.
Scalar operator/(Scalar a, Scalar b);
Scalar operator-(Scalar a);
/// a - floor(a / b) * b for integers and indices.
Scalar remainder(Scalar a, Scalar b);

// Comparisons give i1. Integers compare signed; a comparison with NaN is false, except `!=`.
Scalar operator<(Scalar a, Scalar b);
Scalar operator<=(Scalar a, Scalar b);
Scalar operator>(Scalar a, Scalar b);
Scalar operator>=(Scalar a, Scalar b);
Scalar operator==(Scalar a, Scalar b);
Scalar operator!=(Scalar a, Scalar b);
Scalar operator&(Scalar a, Scalar b);
Scalar operator|(Scalar a, Scalar b);
Scalar operator!(Scalar a);

#define ORIEL_WITH_NUMBER(op)                                                                                          \
  inline Scalar operator op(Scalar a, double b) { return a op a.literal(b); }                                          \
  inline Scalar operator op(double a, Scalar b) { return b.literal(a) op b; }
ORIEL_WITH_NUMBER(+)
ORIEL_WITH_NUMBER(-)
ORIEL_WITH_NUMBER(*)
ORIEL_WITH_NUMBER(/)
ORIEL_WITH_NUMBER(<)
ORIEL_WITH_NUMBER(<=)
ORIEL_WITH_NUMBER(>)
ORIEL_WITH_NUMBER(>=)
ORIEL_WITH_NUMBER(==)
ORIEL_WITH_NUMBER(!=)
#undef ORIEL_WITH_NUMBER

Scalar select(Scalar condition, Scalar yes, Scalar no);
inline Scalar select(Scalar condition, Scalar yes, double no) { return select(condition, yes, yes.literal(no)); }
inline Scalar select(Scalar condition, double yes, Scalar no) { return select(condition, no.literal(yes), no); }
/// Greater and smaller of two; floats: NaN if either is NaN.
Scalar max(Scalar a, Scalar b);
Scalar min(Scalar a, Scalar b);
inline Scalar max(Scalar a, double b) { return max(a, a.literal(b)); }
inline Scalar min(Scalar a, double b) { return min(a, a.literal(b)); }

Scalar exp(Scalar x);
Scalar log(Scalar x);
Scalar tanh(Scalar x);
Scalar sqrt(Scalar x);
Scalar rsqrt(Scalar x);
Scalar abs(Scalar x);
/// 1 / (1 + exp(-x))
Scalar sigmoid(Scalar x);

/// i32 ↔ f32, i32 ↔ index, i1 → f32, i1 → i32. Float to integer rounds towards zero.
Scalar toF32(Scalar x);
Scalar toI32(Scalar x);
Scalar toIndex(Scalar x);

} // namespace oriel::kernels

#endif
