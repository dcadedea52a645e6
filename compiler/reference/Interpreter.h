// Evaluates functions of lm ops in fp64, whatever their element types: the judge of every kernel. Slow on purpose: each
// op is computed straight from its definition (see the other headers of this folder).
#ifndef ORIEL_COMPILER_REFERENCE_INTERPRETER_H
#define ORIEL_COMPILER_REFERENCE_INTERPRETER_H

#include "compiler/reference/Tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/ArrayRef.h"

namespace oriel::reference {

/// Runs the one block of `func` on `arguments` (shapes must be those of the function's types) and returns its results.
/// Knows every lm op, composite, primitive and gradient, and arith.constant. Fails with a diagnostic at the function or
/// op that it cannot run.
mlir::FailureOr<llvm::SmallVector<Tensor>> evaluate(mlir::func::FuncOp func, llvm::ArrayRef<Tensor> arguments);

} // namespace oriel::reference

#endif
