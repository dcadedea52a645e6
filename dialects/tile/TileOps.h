// The tile dialect in C++: the dialect class, its ops, and the two shape laws that their types share.
// Kernel authors do not use the ops directly: kernels/common/TileBuilder.h writes them more readably.
#ifndef ORIEL_DIALECTS_TILE_TILEOPS_H
#define ORIEL_DIALECTS_TILE_TILEOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace oriel::tile {

/// True for a ranked tensor of two static sizes, each 1 or a multiple of 16.
bool hasTileShape(mlir::Type type);

/// True for a memref of static shape with the identity layout.
bool isBuffer(mlir::Type type);

/// On a kernel's output buffer: the inputs that it may replace ((C4) of tile.kernel).
inline constexpr llvm::StringLiteral kReplacesAttr = "tile.replaces";

/// Argument attribute (unit) of a kernel's buffer whose element type is the model's storage type: f32 as built, bf16
/// where --oriel-choose-storage decides so.
inline constexpr llvm::StringLiteral kStorageAttr = "tile.storage";

/// Beside `tile.storage`, on an input: a value that such buffers alone read stays f32 where it is not saved. It is then
/// rounded once, behind the kernel, and not before it, too.
inline constexpr llvm::StringLiteral kPrefersF32Attr = "tile.prefers_f32";

} // namespace oriel::tile

#include "dialects/tile/TileDialect.h.inc"
#include "dialects/tile/TileEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tile/TileAttributes.h.inc"
#define GET_OP_CLASSES
#include "dialects/tile/TileOps.h.inc"

#endif
