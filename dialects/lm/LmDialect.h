// The lm dialect class, its enums and attributes. Ops are in LmOps.h. The dialect's place is drawn in LmDialect.td.
#ifndef ORIEL_DIALECTS_LM_LMDIALECT_H
#define ORIEL_DIALECTS_LM_LMDIALECT_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"

#include "dialects/lm/LmDialect.h.inc"
#include "dialects/lm/LmEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/lm/LmAttributes.h.inc"

namespace oriel::lm {

/// Names of the discardable attributes that lm functions and modules carry.
inline constexpr llvm::StringLiteral kRoleAttr = "lm.role";     // argument: "tokens" | "targets" | "doc_start" …
inline constexpr llvm::StringLiteral kParamAttr = "lm.param";   // argument: {name, init, std, decay}
inline constexpr llvm::StringLiteral kVjpAttr = "lm.vjp";       // function: {wrt = [i…], cotangents = [bool…]}
inline constexpr llvm::StringLiteral kModelAttr = "lm.model";   // module: name of the model
inline constexpr llvm::StringLiteral kBatchAttr = "lm.batch";   // module: rows of a micro-batch
inline constexpr llvm::StringLiteral kTokensAttr = "lm.tokens"; // module: tokens of a row
inline constexpr llvm::StringLiteral kVocabAttr = "lm.vocab";   // module: vocabulary size

} // namespace oriel::lm

#endif
