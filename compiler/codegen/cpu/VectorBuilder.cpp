// Each function emits the op that it is named after; folding keeps compile-time sizes visible to the lowerings.
#include "compiler/codegen/cpu/VectorBuilder.h"

#include <numeric>

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace oriel::codegen {

Value VectorBuilder::index(int64_t value) { return arith::ConstantIndexOp::create(builder_, loc_, value); }

std::optional<int64_t> VectorBuilder::constant(Value index) {
  IntegerAttr attribute;
  if (index && matchPattern(index, m_Constant(&attribute)))
    return attribute.getInt();
  return std::nullopt;
}

Value VectorBuilder::add(Value a, Value b) { return builder_.createOrFold<arith::AddIOp>(loc_, a, b); }
Value VectorBuilder::sub(Value a, Value b) { return builder_.createOrFold<arith::SubIOp>(loc_, a, b); }
Value VectorBuilder::mul(Value a, Value b) { return builder_.createOrFold<arith::MulIOp>(loc_, a, b); }
Value VectorBuilder::min(Value a, Value b) { return builder_.createOrFold<arith::MinSIOp>(loc_, a, b); }
Value VectorBuilder::max(Value a, Value b) { return builder_.createOrFold<arith::MaxSIOp>(loc_, a, b); }
Value VectorBuilder::ceilDiv(Value a, int64_t divisor) {
  return divisor == 1 ? a : builder_.createOrFold<arith::CeilDivSIOp>(loc_, a, index(divisor));
}
Value VectorBuilder::equals(Value a, Value b) {
  return builder_.createOrFold<arith::CmpIOp>(loc_, arith::CmpIPredicate::eq, a, b);
}
Value VectorBuilder::atLeast(Value a, Value b) {
  return builder_.createOrFold<arith::CmpIOp>(loc_, arith::CmpIPredicate::sge, a, b);
}
Value VectorBuilder::lessThan(Value a, Value b) {
  return builder_.createOrFold<arith::CmpIOp>(loc_, arith::CmpIPredicate::slt, a, b);
}
Value VectorBuilder::both(Value a, Value b) { return builder_.createOrFold<arith::AndIOp>(loc_, a, b); }
Value VectorBuilder::select(Value condition, Value a, Value b) {
  return builder_.createOrFold<arith::SelectOp>(loc_, condition, a, b);
}
Value VectorBuilder::toI32(Value index) { return builder_.createOrFold<arith::IndexCastOp>(loc_, i32(), index); }
Value VectorBuilder::toIndex(Value integer) {
  return builder_.createOrFold<arith::IndexCastOp>(loc_, builder_.getIndexType(), integer);
}

Value VectorBuilder::number(Type type, double value) {
  Type element = getElementTypeOrSelf(type);
  TypedAttr attribute;
  if (isa<FloatType>(element))
    attribute = builder_.getFloatAttr(element, value);
  else
    attribute = builder_.getIntegerAttr(element, static_cast<int64_t>(value));
  if (auto vectorType = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vectorType, attribute);
  return arith::ConstantOp::create(builder_, loc_, attribute);
}

/// bf16 goes through memory as i16: where the target has no bf16, LLVM would call a library for the type.
static Type storageOf(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (!element.isBF16())
    return type;
  Type i16 = IntegerType::get(type.getContext(), 16);
  auto vectorType = dyn_cast<VectorType>(type);
  return vectorType ? Type(vectorType.clone(i16)) : i16;
}

Value VectorBuilder::asType(Value value, Type type) {
  return value.getType() == type ? value : Value(arith::BitcastOp::create(builder_, loc_, type, value));
}
Value VectorBuilder::asStored(Value value) { return asType(value, storageOf(value.getType())); }

static bool isFloat(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

Value VectorBuilder::plus(Value a, Value b) {
  return isFloat(a) ? Value(arith::AddFOp::create(builder_, loc_, a, b)) : add(a, b);
}
Value VectorBuilder::times(Value a, Value b) {
  return isFloat(a) ? Value(arith::MulFOp::create(builder_, loc_, a, b)) : mul(a, b);
}
Value VectorBuilder::multiplyAdd(Value a, Value b, Value c) {
  if (target_.has("fma"))
    return LLVM::FMAOp::create(builder_, loc_, a, b, c);
  return plus(times(a, b), c);
}

Value VectorBuilder::scaleByPowerOfTwo(Value a, Value n) {
  auto type = dyn_cast<VectorType>(a.getType());
  if (!target_.has("avx512f") || !type || type.getNumElements() != 16)
    return {};
  constexpr int32_t currentRounding = 4;
  auto integer = [&](int64_t bits, int64_t value) -> Value {
    Type integerType = builder_.getIntegerType(bits);
    return LLVM::ConstantOp::create(builder_, loc_, integerType, builder_.getIntegerAttr(integerType, value));
  };
  Value all = integer(16, -1), rounding = integer(32, currentRounding);
  return LLVM::CallIntrinsicOp::create(builder_, loc_, type,
                                       builder_.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
                                       ValueRange{a, n, a, all, rounding})
      .getResult(0);
}

Value VectorBuilder::greater(Value a, Value b) {
  if (!isFloat(a))
    return max(a, b);
  Value holds = arith::CmpFOp::create(builder_, loc_, arith::CmpFPredicate::OGT, a, b);
  return arith::SelectOp::create(builder_, loc_, holds, a, b);
}
Value VectorBuilder::smaller(Value a, Value b) {
  if (!isFloat(a))
    return min(a, b);
  Value holds = arith::CmpFOp::create(builder_, loc_, arith::CmpFPredicate::OLT, a, b);
  return arith::SelectOp::create(builder_, loc_, holds, a, b);
}

Value VectorBuilder::convert(Value value, Type element) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == element)
    return value;
  Type type = element;
  if (auto vectorType = dyn_cast<VectorType>(value.getType()))
    type = vectorType.clone(element);
  if (from.isInteger())
    return arith::SIToFPOp::create(builder_, loc_, type, value);
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
    return widenBf16(value, type);
  return target_.has("avx512bf16") ? Value(arith::TruncFOp::create(builder_, loc_, type, value))
                                   : roundToBf16(value, type);
}

/// The bits are the upper half of an f32's.
Value VectorBuilder::widenBf16(Value value, Type type) {
  auto vectorType = dyn_cast<VectorType>(type);
  Type ints = vectorType ? Type(vectorType.clone(i32())) : i32();
  Value wide = arith::ExtUIOp::create(builder_, loc_, ints, asStored(value));
  return arith::BitcastOp::create(builder_, loc_, type, arith::ShLIOp::create(builder_, loc_, wide, number(ints, 16)));
}

/// Round to nearest even on the bits, for targets where LLVM would call a library.
Value VectorBuilder::roundToBf16(Value value, Type type) {
  auto like = [&](Type element) {
    auto vectorType = dyn_cast<VectorType>(type);
    return vectorType ? Type(vectorType.clone(element)) : element;
  };
  Type ints = like(i32()), shorts = like(builder_.getI16Type());
  Value bits = arith::BitcastOp::create(builder_, loc_, ints, value);
  Value sixteen = number(ints, 16);
  Value odd = both(arith::ShRUIOp::create(builder_, loc_, bits, sixteen), number(ints, 1));
  Value rounded = add(add(bits, number(ints, 0x7fff)), odd);
  Value isNan = arith::CmpFOp::create(builder_, loc_, arith::CmpFPredicate::UNO, value, value);
  rounded = arith::SelectOp::create(builder_, loc_, isNan, number(ints, 0x7fc00000), rounded);
  Value top = arith::ShRUIOp::create(builder_, loc_, rounded, sixteen);
  return arith::BitcastOp::create(builder_, loc_, type, arith::TruncIOp::create(builder_, loc_, shorts, top));
}

Value VectorBuilder::splat(Value scalar, int64_t n) {
  VectorType type = vector(n, scalar.getType());
  if (isa<IndexType>(scalar.getType())) // LLVM ops take no index: i64 there and back
    return arith::IndexCastOp::create(
        builder_, loc_, type, splat(arith::IndexCastOp::create(builder_, loc_, builder_.getI64Type(), scalar), n));
  Value poison = LLVM::PoisonOp::create(builder_, loc_, type);
  Value zero = LLVM::ConstantOp::create(builder_, loc_, builder_.getI32Type(), builder_.getI32IntegerAttr(0));
  Value first = LLVM::InsertElementOp::create(builder_, loc_, poison, scalar, zero);
  return n == 1 ? first : shuffle(first, first, SmallVector<int32_t>(n, 0));
}

Value VectorBuilder::iota(int64_t n) {
  SmallVector<int32_t> places(n);
  std::iota(places.begin(), places.end(), 0);
  return arith::ConstantOp::create(builder_, loc_, DenseElementsAttr::get(vector(n, i32()), ArrayRef(places)));
}

Value VectorBuilder::shuffle(Value a, Value b, ArrayRef<int32_t> mask) {
  Type type = vector(mask.size(), getElementTypeOrSelf(a.getType()));
  return asType(LLVM::ShuffleVectorOp::create(builder_, loc_, asStored(a), asStored(b), mask), type);
}

Value VectorBuilder::extract(Value vector, int64_t lane) {
  Value position = LLVM::ConstantOp::create(builder_, loc_, i32(), builder_.getI32IntegerAttr(lane));
  return LLVM::ExtractElementOp::create(builder_, loc_, vector, position);
}

Value VectorBuilder::rangeMask(Value base, Value lower, Value upper, int64_t n) {
  Value places = add(splat(toI32(base), n), iota(n));
  return both(atLeast(places, splat(toI32(lower), n)), lessThan(places, splat(toI32(upper), n)));
}

Value VectorBuilder::horizontal(Value vector, llvm::function_ref<Value(Value, Value)> combine) {
  int64_t n = cast<VectorType>(vector.getType()).getNumElements();
  for (; n > 1; n /= 2) {
    SmallVector<int32_t> low(n / 2), high(n / 2);
    std::iota(low.begin(), low.end(), 0);
    std::iota(high.begin(), high.end(), n / 2);
    vector = combine(shuffle(vector, vector, low), shuffle(vector, vector, high));
  }
  return extract(vector, 0);
}

static Value asI64(OpBuilder &builder, Location loc, Value index) {
  return builder.createOrFold<arith::IndexCastOp>(loc, builder.getI64Type(), index);
}

Pointer VectorBuilder::advance(Pointer pointer, Value elements) {
  if (auto fixed = constant(elements))
    return advance(pointer, *fixed);
  Value address = LLVM::GEPOp::create(builder_, loc_, pointer.base.getType(), pointer.element, pointer.base,
                                      ArrayRef<LLVM::GEPArg>{asI64(builder_, loc_, elements)});
  return {address, pointer.element, pointer.alignment};
}

Pointer VectorBuilder::advance(Pointer pointer, int64_t elements) {
  if (elements == 0)
    return pointer;
  Value address = LLVM::GEPOp::create(builder_, loc_, pointer.base.getType(), pointer.element, pointer.base,
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(elements)});
  return {address, pointer.element, pointer.alignment};
}

int64_t VectorBuilder::alignmentOf(Pointer pointer, int64_t n) {
  int64_t element = pointer.element.getIntOrFloatBitWidth() / 8;
  return n > 1 ? std::max(element, std::min(pointer.alignment, element * n)) : element;
}

Value VectorBuilder::load(Pointer pointer) {
  Type type = pointer.element;
  return asType(LLVM::LoadOp::create(builder_, loc_, storageOf(type), pointer.base, alignmentOf(pointer, 1)), type);
}
Value VectorBuilder::load(Pointer pointer, int64_t n) {
  Type type = vector(n, pointer.element);
  return asType(LLVM::LoadOp::create(builder_, loc_, storageOf(type), pointer.base, alignmentOf(pointer, n)), type);
}
Value VectorBuilder::loadMasked(Pointer pointer, int64_t n, Value mask) {
  Type type = vector(n, pointer.element), stored = storageOf(type);
  return asType(LLVM::MaskedLoadOp::create(builder_, loc_, stored, pointer.base, mask, number(stored, 0),
                                           static_cast<uint32_t>(alignmentOf(pointer, 1))),
                type);
}
void VectorBuilder::store(Value value, Pointer pointer) {
  auto type = dyn_cast<VectorType>(value.getType());
  LLVM::StoreOp::create(builder_, loc_, asStored(value), pointer.base,
                        alignmentOf(pointer, type ? type.getNumElements() : 1));
}
void VectorBuilder::storeMasked(Value vector, Pointer pointer, Value mask) {
  LLVM::MaskedStoreOp::create(builder_, loc_, asStored(vector), pointer.base, mask,
                              static_cast<uint32_t>(alignmentOf(pointer, 1)));
}

Value VectorBuilder::lanePointers(Pointer pointer, int64_t n, int64_t stride) {
  SmallVector<int64_t> offsets(n);
  for (int64_t lane = 0; lane < n; ++lane)
    offsets[lane] = lane * stride;
  Value places = arith::ConstantOp::create(builder_, loc_,
                                           DenseElementsAttr::get(vector(n, builder_.getI64Type()), ArrayRef(offsets)));
  return LLVM::GEPOp::create(builder_, loc_, vector(n, pointer.base.getType()), pointer.element, pointer.base,
                             ArrayRef<LLVM::GEPArg>{places});
}

Value VectorBuilder::loadStrided(Pointer pointer, int64_t n, int64_t stride, Value mask) {
  Type type = vector(n, pointer.element), stored = storageOf(type);
  return asType(LLVM::masked_gather::create(builder_, loc_, stored, lanePointers(pointer, n, stride), mask,
                                            ValueRange{number(stored, 0)},
                                            static_cast<uint32_t>(alignmentOf(pointer, 1))),
                type);
}
void VectorBuilder::storeStrided(Value vector, Pointer pointer, int64_t stride, Value mask) {
  int64_t n = cast<VectorType>(vector.getType()).getNumElements();
  LLVM::masked_scatter::create(builder_, loc_, asStored(vector), lanePointers(pointer, n, stride), mask,
                               static_cast<uint32_t>(alignmentOf(pointer, 1)));
}

void VectorBuilder::loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body) {
  Value stepValue = index(step);
  auto op = scf::ForOp::create(builder_, loc_, lower, upper, stepValue);
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToStart(op.getBody());
  body(op.getInductionVar());
}

void VectorBuilder::loop(int64_t lower, int64_t upper, int64_t step, llvm::function_ref<void(Value)> body) {
  if (lower + step >= upper) { // at most once: no loop
    if (lower < upper)
      body(index(lower));
    return;
  }
  Value lowerValue = index(lower), upperValue = index(upper);
  loop(lowerValue, upperValue, step, body);
}

VectorBuilder::Values VectorBuilder::loop(int64_t lower, int64_t upper, int64_t step, ArrayRef<Value> carried,
                                          llvm::function_ref<Values(Value, ArrayRef<Value>)> body) {
  if (lower + step >= upper)
    return lower < upper ? body(index(lower), carried) : Values(carried);
  Value lowerValue = index(lower), upperValue = index(upper), stepValue = index(step);
  auto op = scf::ForOp::create(builder_, loc_, lowerValue, upperValue, stepValue, carried);
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToStart(op.getBody());
  Values arguments(op.getRegionIterArgs());
  Values next = body(op.getInductionVar(), arguments);
  scf::YieldOp::create(builder_, loc_, next);
  return Values(op.getResults());
}

void VectorBuilder::branch(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise) {
  BoolAttr known;
  if (matchPattern(condition, m_Constant(&known))) {
    known.getValue() ? then() : otherwise();
    return;
  }
  auto op = scf::IfOp::create(builder_, loc_, condition, /*withElseRegion=*/static_cast<bool>(otherwise));
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToStart(op.thenBlock());
  then();
  if (otherwise) {
    builder_.setInsertionPointToStart(op.elseBlock());
    otherwise();
  }
}

} // namespace oriel::codegen
