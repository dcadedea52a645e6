// Checks the shape constraints that op descriptions state in letters, e.g. "q is [B,T,N,D], k is [B,T,KV,D]". Used by
// the verifiers of this folder only.
#ifndef ORIEL_DIALECTS_LM_SHAPELAW_H
#define ORIEL_DIALECTS_LM_SHAPELAW_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/StringMap.h"

namespace oriel::lm {

/// One numbered law of one op. A letter is bound by the first tensor in which it stands and compared in the others.
/// A pattern is a list of letters, each with an optional factor ("B N 2D E"); it may start with "..." for any leading
/// sizes (which are bound and compared like a letter). A number stands for itself.
class ShapeLaw {
public:
  ShapeLaw(mlir::Operation *op, llvm::StringRef law) : op_(op), law_(law) {}

  /// Checks `value` (skipped when null: an absent optional operand) and emits "(C1) 'k' must be [B,T,KV,D] = …".
  mlir::LogicalResult match(llvm::StringRef name, mlir::Value value, llvm::StringRef pattern);

  /// Checks that `value` has the same type as `like`.
  mlir::LogicalResult sameType(llvm::StringRef name, mlir::Value value, llvm::StringRef likeName, mlir::Value like);

  /// The size a letter is bound to; the letter must stand in a pattern that matched.
  int64_t size(llvm::StringRef letter) const { return sizes_.lookup(letter); }

  /// Another law of the same op; the letters stay bound.
  void setLaw(llvm::StringRef law) { law_ = law; }

  /// Emits the law's error: "(C2) <message>".
  mlir::InFlightDiagnostic emitError() const;

private:
  bool matches(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<llvm::StringRef> letters);
  std::string expected(llvm::ArrayRef<llvm::StringRef> letters) const;

  mlir::Operation *op_;
  llvm::StringRef law_;
  llvm::StringMap<int64_t> sizes_;
  llvm::SmallVector<int64_t> leading_;
  bool leadingBound_ = false;
};

/// "(Cn) N = 5 query heads are not a multiple of KV = 2 …" unless N is a multiple of KV.
mlir::LogicalResult verifyGroups(mlir::Operation *op, llvm::StringRef law, int64_t heads, int64_t kvHeads);

/// Checks window >= -1 and soft_cap >= 0.
mlir::LogicalResult verifyWindow(mlir::Operation *op, llvm::StringRef law, int64_t window, double softCap);

} // namespace oriel::lm

#endif
