// The tape dialect in C++: the dialect class, places and ops.
#ifndef ORIEL_DIALECTS_TAPE_TAPEOPS_H
#define ORIEL_DIALECTS_TAPE_TAPEOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace oriel::tape {

/// Names of the buffers that are not the caller's.
inline constexpr llvm::StringLiteral arenaBuffer = "arena";
inline constexpr llvm::StringLiteral constantsBuffer = "constants";

/// Attribute names on arguments and results of a program, and on ops once they are placed.
inline constexpr llvm::StringLiteral placeAttrName = "tape.place";
inline constexpr llvm::StringLiteral atAttrName = "at";

/// Dense bytes of a static tensor type.
int64_t sizeInBytes(mlir::Type type);
/// Elements of a static tensor type.
int64_t elementCount(mlir::Type type);

} // namespace oriel::tape

#include "dialects/tape/TapeDialect.h.inc"
#include "dialects/tape/TapeEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tape/TapeAttributes.h.inc"
#define GET_OP_CLASSES
#include "dialects/tape/TapeOps.h.inc"

#endif
