// The vocabulary in which the lowerings write machine-near code: index arithmetic, one-dimensional vectors, raw
// pointers, counted loops. It emits arith, scf and LLVM dialect ops; it knows nothing of tiles.
#ifndef ORIEL_COMPILER_CODEGEN_CPU_VECTORBUILDER_H
#define ORIEL_COMPILER_CODEGEN_CPU_VECTORBUILDER_H

#include "compiler/codegen/host/CpuTarget.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace oriel::codegen {

/// A memory address (an LLVM pointer) of elements of one type.
struct Pointer {
  mlir::Value base;
  mlir::Type element;
  int64_t alignment = 0; // bytes known at every vector-sized multiple; 0: only that of the element
};

class VectorBuilder {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<mlir::Value>;

  VectorBuilder(mlir::OpBuilder &builder, mlir::Location loc, const CpuTarget &target)
      : builder_(builder), loc_(loc), target_(target) {}

  mlir::OpBuilder &builder() { return builder_; }
  mlir::Location loc() const { return loc_; }
  void setLoc(mlir::Location loc) { loc_ = loc; }
  int64_t lanes() const { return target_.lanes(); }
  const CpuTarget &target() const { return target_; }
  mlir::Type f32() { return builder_.getF32Type(); }
  mlir::Type i32() { return builder_.getI32Type(); }

  // Index arithmetic; constants fold.
  Value index(int64_t value);
  std::optional<int64_t> constant(Value index);
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value min(Value a, Value b);
  Value max(Value a, Value b);
  Value ceilDiv(Value a, int64_t divisor);
  Value equals(Value a, Value b);
  Value atLeast(Value a, Value b);
  Value lessThan(Value a, Value b);
  Value both(Value a, Value b);
  Value select(Value condition, Value a, Value b); // of any type
  Value toI32(Value index);
  Value toIndex(Value integer);

  // Arithmetic on scalars or vectors of one type.
  Value number(mlir::Type type, double value); // splat for vectors
  Value plus(Value a, Value b);
  Value times(Value a, Value b);
  Value multiplyAdd(Value a, Value b, Value c); // a * b + c, fused if the target can
  /// a * 2^floor(n) with one rounding, a and n f32; null where the target has no instruction for it.
  Value scaleByPowerOfTwo(Value a, Value n);
  Value greater(Value a, Value b); // a > b ? a : b
  Value smaller(Value a, Value b);
  /// Between f32 and bf16, scalars or vectors.
  Value convert(Value value, mlir::Type element);

  // Vectors of n elements; n may be 1.
  mlir::VectorType vector(int64_t n, mlir::Type element) { return mlir::VectorType::get({n}, element); }
  Value splat(Value scalar, int64_t n);
  Value iota(int64_t n); // 0, 1 … of i32
  Value shuffle(Value a, Value b, llvm::ArrayRef<int32_t> mask);
  Value extract(Value vector, int64_t lane);
  /// i32 place p of each lane (base + lane): lower <= p < upper.
  Value rangeMask(Value base, Value lower, Value upper, int64_t n);
  /// One scalar out of a vector by halving: a fixed tree.
  Value horizontal(Value vector, llvm::function_ref<Value(Value, Value)> combine);

  // Memory. Offsets count elements.
  Pointer advance(Pointer pointer, Value elements);
  Pointer advance(Pointer pointer, int64_t elements);
  Value load(Pointer pointer);
  Value load(Pointer pointer, int64_t n);
  Value loadMasked(Pointer pointer, int64_t n, Value mask); // other lanes are 0
  Value loadStrided(Pointer pointer, int64_t n, int64_t stride, Value mask);
  void store(Value value, Pointer pointer); // scalar or vector
  void storeMasked(Value vector, Pointer pointer, Value mask);
  void storeStrided(Value vector, Pointer pointer, int64_t stride, Value mask);

  // Control.
  void loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body);
  void loop(int64_t lower, int64_t upper, int64_t step, llvm::function_ref<void(Value)> body);
  Values loop(int64_t lower, int64_t upper, int64_t step, llvm::ArrayRef<Value> carried,
              llvm::function_ref<Values(Value, llvm::ArrayRef<Value>)> body);
  void branch(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise);

private:
  int64_t alignmentOf(Pointer pointer, int64_t n);
  Value asType(Value value, mlir::Type type); // the same bits
  Value asStored(Value value);
  Value widenBf16(Value value, mlir::Type type);
  Value roundToBf16(Value value, mlir::Type type);
  Value lanePointers(Pointer pointer, int64_t n, int64_t stride);

  mlir::OpBuilder &builder_;
  mlir::Location loc_;
  const CpuTarget &target_;
};

} // namespace oriel::codegen

#endif
