// Where each parameter lies in the flat state buffers `params`, `grads`, `adam_m`, `adam_v`.
#ifndef ORIEL_COMPILER_CONVERSION_LMTOTAPE_PARAMETERLAYOUT_H
#define ORIEL_COMPILER_CONVERSION_LMTOTAPE_PARAMETERLAYOUT_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace oriel::conversion {

/// Elements: every parameter starts at a multiple, and weight decay is one flag per block.
inline constexpr int64_t parameterBlock = 256;
/// Elements whose squares are summed together: the whole is a multiple of this times the number of ranks.
inline constexpr int64_t normBlock = 4096;

class ParameterLayout {
public:
  /// Reads the arguments with `lm.param` of `function`, in order.
  static mlir::FailureOr<ParameterLayout> read(mlir::func::FuncOp function, int64_t world);

  /// First element of the parameter of that name; -1 if there is none.
  int64_t offsetOf(llvm::StringRef name) const;
  int64_t paddedElements() const { return paddedElements_; }
  int64_t size() const { return static_cast<int64_t>(entries_.size()); }

  /// One dictionary per parameter: name, shape, offset, init, std, decay.
  mlir::ArrayAttr toAttribute(mlir::MLIRContext *context) const;

private:
  struct Entry {
    std::string name;
    llvm::SmallVector<int64_t> shape;
    int64_t offset;
    std::string init;
    double std;
    bool decay;
  };
  mlir::LogicalResult add(mlir::func::FuncOp function, unsigned argument);

  llvm::SmallVector<Entry> entries_;
  int64_t paddedElements_ = 0;
};

/// The name of the parameter that argument `i` is, or empty.
llvm::StringRef parameterName(mlir::func::FuncOp function, unsigned i);

} // namespace oriel::conversion

#endif
