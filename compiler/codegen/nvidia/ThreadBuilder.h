// Builds what one thread of a block executes: the function, the thread's place in the block, scalars, and elements of
// buffers. It knows nothing of where tiles live.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_THREADBUILDER_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_THREADBUILDER_H

#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include <optional>

namespace oriel::codegen::nvidia {

class ThreadBuilder {
protected:
  using Value = mlir::Value;

  ThreadBuilder(tile::KernelOp kernel, mlir::ModuleOp into, int64_t threads);

  /// Emits the function's frame at the end of the module, with one pointer per buffer and as many tensor maps, passed by
  /// value, as it is to have; the grid coordinates are the block's.
  void openFunction(int64_t tensorMaps);
  void closeFunction();

  // Numbers. `add` and `mul` take two values of one integer type.
  Value i32(int64_t value);
  Value i64(int64_t value);
  Value add(Value a, Value b);
  Value mul(Value a, Value b);
  Value toI32(Value index);
  Value toI64(Value value);
  Value zero(mlir::Type type);
  Value compare(mlir::arith::CmpIPredicate predicate, Value a, Value b);
  Value both(Value a, Value b);
  void barrier();
  /// What this thread has written to shared memory, or knows to be, is seen by wgmma and TMA.
  void fenceAsyncProxy();

  /// The lowered form of an index, i1 or element value of the kernel.
  Value scalar(Value value) { return scalars_.lookup(value); }
  void lowerScalarLoad(mlir::memref::LoadOp load);

  Value sharedPointer(Value byteOffset);
  Value gep(mlir::Type element, Value base, Value index);
  /// An element of the row of a matrix that an id chose: its address and whether it lies inside.
  std::pair<Value, Value> matrixElement(Value buffer, Value id, Value column, std::optional<uint64_t> colLimit,
                                        Value col);
  Value convertFloat(Value value, mlir::Type wanted);
  /// The address of an i32 of this thread that the function starts with; LLVM makes it a register.
  Value variable(int64_t start);
  void storeIf(Value condition, Value value, Value pointer, mlir::Type memory, bool accumulate);

  tile::KernelOp kernel_;
  mlir::ModuleOp into_;
  int64_t threads_;
  mlir::OpBuilder builder_;
  mlir::Location loc_;
  mlir::IRMapping scalars_; // index, i1 and element values; buffers map to pointers
  llvm::SmallVector<Value> tensorMaps_; // pointers
  Value sharedBase_, thread_, lane_, warp_;
};

} // namespace oriel::codegen::nvidia

#endif
