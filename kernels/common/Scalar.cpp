// Each operator picks the arith or math op by the type of its operands.
#include "kernels/common/Scalar.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace oriel::kernels {

static bool isFloat(Scalar x) { return isa<FloatType>(x.type()); }

template <typename FloatOp, typename IntegerOp> static Scalar binary(Scalar a, Scalar b) {
  if (isFloat(a))
    return a.with(FloatOp::create(a.builder(), a.loc(), a.value(), b.value()));
  return a.with(IntegerOp::create(a.builder(), a.loc(), a.value(), b.value()));
}

template <typename MathOp> static Scalar unary(Scalar x) {
  return x.with(MathOp::create(x.builder(), x.loc(), x.value()));
}

static Scalar compare(Scalar a, Scalar b, arith::CmpFPredicate floats, arith::CmpIPredicate integers) {
  if (isFloat(a))
    return a.with(arith::CmpFOp::create(a.builder(), a.loc(), floats, a.value(), b.value()));
  return a.with(arith::CmpIOp::create(a.builder(), a.loc(), integers, a.value(), b.value()));
}

Scalar Scalar::literal(double value) const {
  TypedAttr attribute;
  if (isa<FloatType>(type()))
    attribute = builder_->getFloatAttr(type(), value);
  else
    attribute = builder_->getIntegerAttr(type(), static_cast<int64_t>(value));
  return with(arith::ConstantOp::create(*builder_, loc_, attribute));
}

Scalar operator+(Scalar a, Scalar b) { return binary<arith::AddFOp, arith::AddIOp>(a, b); }
Scalar operator-(Scalar a, Scalar b) { return binary<arith::SubFOp, arith::SubIOp>(a, b); }
Scalar operator*(Scalar a, Scalar b) { return binary<arith::MulFOp, arith::MulIOp>(a, b); }
Scalar operator/(Scalar a, Scalar b) { return binary<arith::DivFOp, arith::FloorDivSIOp>(a, b); }
Scalar remainder(Scalar a, Scalar b) { return a - (a / b) * b; }
Scalar operator-(Scalar a) { return isFloat(a) ? unary<arith::NegFOp>(a) : a.literal(0) - a; }

Scalar operator<(Scalar a, Scalar b) { return compare(a, b, arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt); }
Scalar operator<=(Scalar a, Scalar b) { return compare(a, b, arith::CmpFPredicate::OLE, arith::CmpIPredicate::sle); }
Scalar operator>(Scalar a, Scalar b) { return compare(a, b, arith::CmpFPredicate::OGT, arith::CmpIPredicate::sgt); }
Scalar operator>=(Scalar a, Scalar b) { return compare(a, b, arith::CmpFPredicate::OGE, arith::CmpIPredicate::sge); }
Scalar operator==(Scalar a, Scalar b) { return compare(a, b, arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq); }
Scalar operator!=(Scalar a, Scalar b) { return compare(a, b, arith::CmpFPredicate::UNE, arith::CmpIPredicate::ne); }
Scalar operator&(Scalar a, Scalar b) {
  return a.with(arith::AndIOp::create(a.builder(), a.loc(), a.value(), b.value()));
}
Scalar operator|(Scalar a, Scalar b) {
  return a.with(arith::OrIOp::create(a.builder(), a.loc(), a.value(), b.value()));
}
Scalar operator!(Scalar a) {
  Value one = arith::ConstantOp::create(a.builder(), a.loc(), a.builder().getBoolAttr(true));
  return a.with(arith::XOrIOp::create(a.builder(), a.loc(), a.value(), one));
}

Scalar select(Scalar condition, Scalar yes, Scalar no) {
  return yes.with(arith::SelectOp::create(yes.builder(), yes.loc(), condition.value(), yes.value(), no.value()));
}
Scalar max(Scalar a, Scalar b) { return binary<arith::MaximumFOp, arith::MaxSIOp>(a, b); }
Scalar min(Scalar a, Scalar b) { return binary<arith::MinimumFOp, arith::MinSIOp>(a, b); }

Scalar exp(Scalar x) { return unary<math::ExpOp>(x); }
Scalar log(Scalar x) { return unary<math::LogOp>(x); }
Scalar tanh(Scalar x) { return unary<math::TanhOp>(x); }
Scalar sqrt(Scalar x) { return unary<math::SqrtOp>(x); }
Scalar rsqrt(Scalar x) { return unary<math::RsqrtOp>(x); }
Scalar abs(Scalar x) { return isFloat(x) ? unary<math::AbsFOp>(x) : unary<math::AbsIOp>(x); }
Scalar sigmoid(Scalar x) { return 1.0 / (1.0 + exp(-x)); }

template <typename CastOp> static Scalar convert(Scalar x, Type type) {
  return x.with(CastOp::create(x.builder(), x.loc(), type, x.value()));
}

Scalar toF32(Scalar x) {
  Type f32 = x.builder().getF32Type();
  if (x.type() == f32)
    return x;
  if (x.type().isInteger(1))
    return convert<arith::UIToFPOp>(x, f32);
  return isFloat(x) ? convert<arith::ExtFOp>(x, f32) : convert<arith::SIToFPOp>(x.type().isIndex() ? toI32(x) : x, f32);
}

Scalar toI32(Scalar x) {
  Type i32 = x.builder().getI32Type();
  if (x.type() == i32)
    return x;
  if (x.type().isIndex())
    return convert<arith::IndexCastOp>(x, i32);
  return isFloat(x) ? convert<arith::FPToSIOp>(x, i32) : convert<arith::ExtUIOp>(x, i32);
}

Scalar toIndex(Scalar x) { return x.type().isIndex() ? x : convert<arith::IndexCastOp>(x, x.builder().getIndexType()); }

} // namespace oriel::kernels
