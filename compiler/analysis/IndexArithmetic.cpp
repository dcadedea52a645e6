#include "compiler/analysis/IndexArithmetic.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace oriel::analysis {
namespace {

using Compute = Known (*)(Known, Known, Known);

/// A function of two known values as one of operands that may be unknown.
template <auto function> Known ofBoth(Known a, Known b, Known) { return a && b ? Known(function(*a, *b)) : Known(); }
template <auto function> Known ofQuotient(Known a, Known b, Known) {
  return a && b && *b != 0 ? Known(function(*a, *b)) : Known();
}
template <auto compare> Known ofComparison(Known a, Known b, Known) {
  return a && b ? Known(-int64_t{compare(*a, *b)}) : Known();
}

/// Nothing for predicates that compare without sign.
Compute comparison(arith::CmpIPredicate predicate) {
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return ofComparison<[](int64_t a, int64_t b) { return a == b; }>;
  case arith::CmpIPredicate::ne:
    return ofComparison<[](int64_t a, int64_t b) { return a != b; }>;
  case arith::CmpIPredicate::slt:
    return ofComparison<[](int64_t a, int64_t b) { return a < b; }>;
  case arith::CmpIPredicate::sle:
    return ofComparison<[](int64_t a, int64_t b) { return a <= b; }>;
  case arith::CmpIPredicate::sgt:
    return ofComparison<[](int64_t a, int64_t b) { return b < a; }>;
  case arith::CmpIPredicate::sge:
    return ofComparison<[](int64_t a, int64_t b) { return b <= a; }>;
  default:
    return nullptr;
  }
}

/// Of any width.
Compute choice(Operation *op) {
  return llvm::TypeSwitch<Operation *, Compute>(op)
      .Case([](arith::CmpIOp compare) { return comparison(compare.getPredicate()); })
      .Case([](arith::MinSIOp) { return ofBoth<[](int64_t a, int64_t b) { return std::min(a, b); }>; })
      .Case([](arith::MaxSIOp) { return ofBoth<[](int64_t a, int64_t b) { return std::max(a, b); }>; })
      .Case([](arith::SelectOp) -> Compute {
        return [](Known condition, Known a, Known b) { return condition ? (*condition ? a : b) : Known(); };
      })
      .Case([](arith::AndIOp) -> Compute {
        return [](Known a, Known b, Known) { return a && b ? Known(*a & *b) : a == 0 || b == 0 ? Known(0) : Known(); };
      })
      .Case([](arith::OrIOp) -> Compute {
        return [](Known a, Known b, Known) { return a && b ? Known(*a | *b) : a == -1 || b == -1 ? Known(-1) : Known(); };
      })
      .Default([](Operation *) { return nullptr; });
}

/// Of 64 bits: nothing wraps to a narrower width.
Compute arithmetic(Operation *op) {
  return llvm::TypeSwitch<Operation *, Compute>(op)
      .Case([](arith::AddIOp) { return ofBoth<[](int64_t a, int64_t b) { return a + b; }>; })
      .Case([](arith::SubIOp) { return ofBoth<[](int64_t a, int64_t b) { return a - b; }>; })
      .Case([](arith::MulIOp) -> Compute {
        return [](Known a, Known b, Known) { return a && b ? Known(*a * *b) : a == 0 || b == 0 ? Known(0) : Known(); };
      })
      .Case([](arith::DivSIOp) { return ofQuotient<[](int64_t a, int64_t b) { return a / b; }>; })
      .Case([](arith::RemSIOp) { return ofQuotient<[](int64_t a, int64_t b) { return a % b; }>; })
      .Case([](arith::CeilDivSIOp) { return ofQuotient<llvm::divideCeilSigned<int64_t, int64_t>>; })
      .Case([](arith::FloorDivSIOp) { return ofQuotient<llvm::divideFloorSigned<int64_t, int64_t>>; })
      .Default([](Operation *) { return nullptr; });
}

/// To a type of another width.
Compute resize(Type type) {
  if (type.isIndex() || type.isInteger(64))
    return [](Known a, Known, Known) { return a; };
  if (type.isInteger(32))
    return [](Known a, Known, Known) { return a ? Known(static_cast<int32_t>(*a)) : Known(); };
  return nullptr;
}

Compute computeOf(Operation *op) {
  Type type = op->getResult(0).getType();
  if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::TruncIOp>(op))
    return resize(type);
  if (isa<memref::LoadOp>(op) && type.isIntOrIndex())
    return [](Known, Known, Known) { return Known(0); };
  if (Compute compute = choice(op))
    return compute;
  return type.isIndex() || type.isInteger(64) ? arithmetic(op) : nullptr;
}

} // namespace

IndexExpression::IndexExpression(Operation *op, llvm::function_ref<unsigned(Value)> numberOf)
    : op_(op), compute_(computeOf(op)), result_(numberOf(op->getResult(0))) {
  for (Value operand : op->getOperands())
    operands_.push_back(numberOf(operand));
}

void IndexExpression::evaluate(std::vector<Known> &values) const {
  auto operand = [&](size_t i) { return i < operands_.size() ? values[operands_[i]] : Known(); };
  values[result_] = compute_ ? compute_(operand(0), operand(1), operand(2)) : fold(values);
}

Change IndexExpression::changeOf(ArrayRef<Change> operands) const {
  if (isa<memref::LoadOp>(op_) || llvm::all_of(operands, [](Change change) { return change == Change::None; }))
    return Change::None;
  if (!compute_ || llvm::is_contained(operands, Change::Any))
    return Change::Any;
  bool isSteady = llvm::TypeSwitch<Operation *, bool>(op_)
                      .Case<arith::AddIOp, arith::SubIOp, arith::SelectOp, arith::MinSIOp, arith::MaxSIOp, arith::IndexCastOp,
                            arith::ExtSIOp, arith::TruncIOp>([](auto) { return true; })
                      .Case([&](arith::MulIOp) { return llvm::is_contained(operands, Change::None); })
                      .Case<arith::AndIOp, arith::OrIOp>([](auto op) { return op.getType().isInteger(1); })
                      .Case([](arith::CmpIOp compare) { // two lines that are apart at both ends may meet between
                        return compare.getPredicate() != arith::CmpIPredicate::eq &&
                               compare.getPredicate() != arith::CmpIPredicate::ne;
                      })
                      .Default([](Operation *) { return false; });
  return isSteady ? Change::Steady : Change::Any;
}

Known IndexExpression::decision(const std::vector<Known> &values) const {
  if (isa<arith::CmpIOp>(op_))
    return values[result_];
  bool narrows = isa<arith::IndexCastOp, arith::TruncIOp>(op_), picks = isa<arith::MinSIOp, arith::MaxSIOp>(op_);
  if (!narrows && !picks)
    return std::nullopt;
  Known a = values[operands_[0]], b = narrows ? values[result_] : values[operands_[1]];
  return a && b ? Known(narrows ? *a == *b : *a < *b) : Known();
}

/// Only with all operands known: folding with some of them may change the op instead.
Known IndexExpression::fold(const std::vector<Known> &values) const {
  SmallVector<Attribute> operands;
  for (auto [operand, number] : llvm::zip(op_->getOperands(), operands_)) {
    if (!operand.getType().isIntOrIndex() || !values[number])
      return std::nullopt;
    operands.push_back(IntegerAttr::get(operand.getType(), *values[number]));
  }
  SmallVector<OpFoldResult> folded;
  if (failed(op_->fold(operands, folded)) || folded.empty())
    return std::nullopt;
  if (auto number = dyn_cast_or_null<IntegerAttr>(dyn_cast<Attribute>(folded.front())))
    return number.getValue().getSExtValue();
  for (auto [operand, number] : llvm::zip(op_->getOperands(), operands_))
    if (operand == dyn_cast<Value>(folded.front()))
      return values[number];
  return std::nullopt;
}

} // namespace oriel::analysis
