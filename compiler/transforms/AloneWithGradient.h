// Ops of a function in a module of their own, with their gradients, to be lowered on trial.
#ifndef ORIEL_COMPILER_TRANSFORMS_ALONEWITHGRADIENT_H
#define ORIEL_COMPILER_TRANSFORMS_ALONEWITHGRADIENT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>

namespace oriel::transforms {

/// Attribute of both halves of an op: tiles that a person gave its kernels, as tape.tiles has them
/// (compiler/conversion/lmToTape/KernelTiling.h).
inline constexpr llvm::StringLiteral givenTilesAttr = "tape.given_tiles";

/// What two ops have in common when they cost the same: name, types, attributes without those of the tape but given tiles.
std::string kindOf(mlir::Operation *op);

/// A module with @vjp: `ops`, in order, alone between arguments and the first result of the last, and the gradients of
/// the arguments.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> aloneWithGradient(llvm::ArrayRef<mlir::Operation *> ops);

} // namespace oriel::transforms

#endif
