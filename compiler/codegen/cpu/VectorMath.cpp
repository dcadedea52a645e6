// Range reduction and polynomials. Coefficients are Chebyshev fits (mpmath.chebyfit, 40 digits): (e^r - 1 - r) / r² on
// |r| <= ln2/2; (2 atanh(s)/s - 2) / s² with s = (m - 1) / (m + 1) for m in [sqrt(1/2), sqrt(2)], since log m = 2
// atanh(s); (tanh(x)/x - 1) / x² on |x| <= 0.625.
#include "compiler/codegen/cpu/VectorMath.h"

#include <cmath>
#include <limits>

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace oriel::codegen {

namespace {

/// Expressions over vectors of one shape.
class Expressions {
public:
  Expressions(VectorBuilder &v, VectorType type) : v(v), type(type), ints(type.clone(v.i32())) {}

  Value f(double value) { return v.number(type, value); }
  Value i(int64_t value) { return v.number(ints, value); }
  Value add(Value a, Value b) { return v.plus(a, b); }
  Value sub(Value a, Value b) { return arith::SubFOp::create(b_(), l_(), a, b); }
  Value mul(Value a, Value b) { return v.times(a, b); }
  Value div(Value a, Value b) { return arith::DivFOp::create(b_(), l_(), a, b); }
  Value fma(Value a, Value b, Value c) { return v.multiplyAdd(a, b, c); }
  Value bits(Value x) { return arith::BitcastOp::create(b_(), l_(), ints, x); }
  Value floats(Value x) { return arith::BitcastOp::create(b_(), l_(), type, x); }
  Value shl(Value a, int64_t by) { return arith::ShLIOp::create(b_(), l_(), a, i(by)); }
  Value shr(Value a, int64_t by) { return arith::ShRSIOp::create(b_(), l_(), a, i(by)); }
  Value isub(Value a, Value b) { return arith::SubIOp::create(b_(), l_(), a, b); }
  Value iadd(Value a, Value b) { return arith::AddIOp::create(b_(), l_(), a, b); }
  Value iand(Value a, Value b) { return arith::AndIOp::create(b_(), l_(), a, b); }
  Value ior(Value a, Value b) { return arith::OrIOp::create(b_(), l_(), a, b); }
  Value toFloat(Value x) { return arith::SIToFPOp::create(b_(), l_(), type, x); }
  Value less(Value a, Value b) { return compare(arith::CmpFPredicate::OLT, a, b); }
  Value equal(Value a, Value b) { return compare(arith::CmpFPredicate::OEQ, a, b); }
  Value select(Value c, Value a, Value b) { return arith::SelectOp::create(b_(), l_(), c, a, b); }
  Value abs(Value x) { return floats(iand(bits(x), i(0x7fffffff))); }
  Value withSignOf(Value magnitude, Value x) {
    return floats(ior(bits(magnitude), iand(bits(x), i(static_cast<int32_t>(0x80000000)))));
  }
  Value sqrt(Value x) { return LLVM::SqrtOp::create(b_(), l_(), x); }
  /// c[0] + x * (c[1] + x * (…))
  Value polynomial(Value x, ArrayRef<double> coefficients) {
    Value sum = f(coefficients.back());
    for (double c : llvm::reverse(coefficients.drop_back()))
      sum = fma(sum, x, f(c));
    return sum;
  }

  VectorBuilder &v;
  VectorType type, ints;

private:
  OpBuilder &b_() { return v.builder(); }
  Location l_() { return v.loc(); }
  Value compare(arith::CmpFPredicate predicate, Value a, Value b) {
    return arith::CmpFOp::create(b_(), l_(), predicate, a, b);
  }
};

constexpr double ln2 = 0.693147180559945309417;
// ln2 in two parts: the first has few enough bits that its product with an exponent is exact.
constexpr double ln2High = 0.693359375;
constexpr double ln2Low = ln2 - ln2High;

/// e^r · 2^n for n in the low bits of `rounded`, a float that was rounded by adding 1.5 · 2^23. Where the
/// target has no instruction for it, two factors of 2^(n/2), for n may exceed what one exponent holds.
Value scaledExp(Expressions &e, Value r, Value rounded) {
  Value p = e.polynomial(r, {1.0, 1.0, 0.5, 0.1666666668, 0.04166646493, 0.008333310925, 0.001393365, 0.0001989099082});
  if (Value scaled = e.v.scaleByPowerOfTwo(p, e.sub(rounded, e.f(12582912.0))))
    return scaled;
  Value n = e.isub(e.bits(rounded), e.i(0x4b400000));
  Value half = e.shr(n, 1), rest = e.isub(n, half);
  auto powerOfTwo = [&](Value exponent) { return e.floats(e.shl(e.iadd(exponent, e.i(127)), 23)); };
  return e.mul(e.mul(p, powerOfTwo(half)), powerOfTwo(rest));
}

Value emitExp(Expressions &e, Value x) {
  // Beyond these bounds the result is 0 or infinity; NaN passes both comparisons and the arithmetic.
  x = e.select(e.less(x, e.f(-105.0)), e.f(-105.0), x);
  x = e.select(e.less(e.f(89.0), x), e.f(89.0), x);
  Value magic = e.f(12582912.0);
  Value rounded = e.fma(x, e.f(1.0 / ln2), magic);
  Value n = e.sub(rounded, magic);
  Value r = e.fma(n, e.f(-ln2Low), e.fma(n, e.f(-ln2High), x));
  return scaledExp(e, r, rounded);
}

Value emitLog(Expressions &e, Value x) {
  Value tiny = e.less(x, e.f(1.17549435e-38)); // subnormal: scale by 2^23 first
  Value scaled = e.select(tiny, e.mul(x, e.f(8388608.0)), x);
  // x = m · 2^n with m in [sqrt(1/2), sqrt(2)).
  Value offset = e.isub(e.bits(scaled), e.i(0x3f3504f3));
  Value n = e.shr(offset, 23);
  Value m = e.floats(e.isub(e.bits(scaled), e.shl(n, 23)));
  Value exponent = e.sub(e.toFloat(n), e.select(tiny, e.f(23.0), e.f(0.0)));
  Value f = e.sub(m, e.f(1.0)), s = e.div(f, e.add(f, e.f(2.0))), s2 = e.mul(s, s);
  // log(1 + f) = f - f²/2 + s (f²/2 + R(s²)), which keeps the leading term exact.
  Value series = e.mul(s2, e.polynomial(s2, {0.6666666655, 0.4000012239, 0.2855075827, 0.2333216796}));
  Value half = e.mul(e.mul(f, f), e.f(0.5));
  Value tail = e.fma(s, e.add(half, series), e.mul(exponent, e.f(ln2Low)));
  Value result = e.fma(exponent, e.f(ln2High), e.sub(f, e.sub(half, tail)));
  double infinity = std::numeric_limits<double>::infinity();
  result = e.select(e.equal(x, e.f(infinity)), x, result);
  result = e.select(e.equal(x, e.f(0.0)), e.f(-infinity), result);
  Value invalid = e.select(e.less(x, e.f(0.0)), e.f(std::nan("")), result);
  return e.add(invalid, e.mul(e.f(0.0), e.select(e.equal(x, x), e.f(0.0), x))); // NaN in, NaN out
}

Value emitTanh(Expressions &e, Value x) {
  Value a = e.abs(x), square = e.mul(x, x);
  Value small =
      e.fma(e.mul(e.polynomial(square, {-0.3333332894, 0.1333276908, -0.05385080946, 0.02099670401, -0.006096023059}),
                  square),
            x, x);
  Value bounded = e.select(e.less(e.f(10.0), a), e.f(10.0), a);
  Value grown = emitExp(e, e.mul(bounded, e.f(2.0)));
  Value large = e.sub(e.f(1.0), e.div(e.f(2.0), e.add(grown, e.f(1.0))));
  return e.select(e.less(a, e.f(0.625)), small, e.withSignOf(large, x));
}

/// Abramowitz and Stegun 7.1.28 is too coarse for gradients; this is the power series below 1 and
/// 1 - exp(-x²) · P(1 / (1 + x/2)) (Numerical Recipes' erfc fit, 1.2e-7) above.
Value emitErf(Expressions &e, Value x) {
  Value a = e.abs(x), square = e.mul(x, x);
  Value series = e.polynomial(square, {1.1283791671, -0.3761263890, 0.1128379167, -0.0268661706, 0.0052239776,
                                       -0.0008548327, 0.0001205533, -0.0000149257, 0.0000016462, -0.0000001636});
  Value t = e.div(e.f(1.0), e.fma(a, e.f(0.5), e.f(1.0)));
  Value p = e.polynomial(t, {-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
                             1.48851587, -0.82215223, 0.17087277});
  Value complement = e.mul(t, emitExp(e, e.sub(p, square)));
  return e.select(e.less(a, e.f(1.0)), e.mul(series, x), e.withSignOf(e.sub(e.f(1.0), complement), x));
}

} // namespace

Value emitMath(VectorBuilder &v, StringRef opName, Value x) {
  Expressions e(v, cast<VectorType>(x.getType()));
  if (opName == "math.exp")
    return emitExp(e, x);
  if (opName == "math.log")
    return emitLog(e, x);
  if (opName == "math.tanh")
    return emitTanh(e, x);
  if (opName == "math.sqrt")
    return e.sqrt(x);
  if (opName == "math.rsqrt")
    return e.div(e.f(1.0), e.sqrt(x));
  if (opName == "math.erf")
    return emitErf(e, x);
  if (opName == "math.absf")
    return e.abs(x);
  return {};
}

} // namespace oriel::codegen
