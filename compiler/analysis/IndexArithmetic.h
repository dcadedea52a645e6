// Arithmetic of integers, some of which are known: what steers the loops and branches of a kernel, evaluated many times.
#ifndef ORIEL_COMPILER_ANALYSIS_INDEXARITHMETIC_H
#define ORIEL_COMPILER_ANALYSIS_INDEXARITHMETIC_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/ArrayRef.h"

#include <optional>
#include <vector>

namespace oriel::analysis {

/// Sign-extended from the value's own width (true is -1); nothing where it is not known.
using Known = std::optional<int64_t>;

/// What a value does while a counter grows in equal steps: nothing; it grows or falls in equal steps, as long as all
/// decisions (below) stay; anything.
enum class Change { None, Steady, Any };

/// One op with one result, over values by number. Common arithmetic is computed here, other ops are folded where all
/// operands are known. Integers loaded from buffers are taken as zero.
class IndexExpression {
public:
  /// `numberOf` gives the place of a value among those that `evaluate` takes.
  IndexExpression(mlir::Operation *op, llvm::function_ref<unsigned(mlir::Value)> numberOf);

  /// Writes the result's place.
  void evaluate(std::vector<Known> &values) const;

  /// How the result changes while a counter grows, given how the operands do.
  Change changeOf(llvm::ArrayRef<Change> operands) const;
  /// What of the last evaluation must stay the same for a result that changes steadily to do so: the answer of a
  /// comparison, the side that a minimum took, whether a narrow integer held the number.
  Known decision(const std::vector<Known> &values) const;

  llvm::ArrayRef<unsigned> operands() const { return operands_; }
  unsigned result() const { return result_; }

private:
  Known fold(const std::vector<Known> &values) const;

  mlir::Operation *op_;
  Known (*compute_)(Known a, Known b, Known c); // null: folded
  llvm::SmallVector<unsigned, 3> operands_;
  unsigned result_;
};

} // namespace oriel::analysis

#endif
