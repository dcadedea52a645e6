// Writes the steps of one tape program, and builds the kernels that they call, once per symbol.
#ifndef ORIEL_COMPILER_CONVERSION_LMTOTAPE_TAPEBUILDER_H
#define ORIEL_COMPILER_CONVERSION_LMTOTAPE_TAPEBUILDER_H

#include "dialects/tape/TapeOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"

namespace oriel::conversion {

/// The tile.kernels of a module, by symbol. A symbol spells out its spec, so equal symbols are equal kernels.
class KernelSet {
public:
  explicit KernelSet(mlir::ModuleOp module) : module_(module) {}

  using Build = llvm::function_ref<void(mlir::OpBuilder &, mlir::Location, llvm::StringRef symbol)>;
  /// Builds the kernel at the end of the module unless it is there. Its errors point at the first caller.
  void require(llvm::StringRef symbol, mlir::Location caller, Build build);

private:
  mlir::ModuleOp module_;
  llvm::StringSet<> built_;
};

class TapeBuilder {
public:
  /// Appends to the body of `program`. Steps carry the location set last: the layer path of the lm op they come from.
  TapeBuilder(tape::ProgramOp program, KernelSet &kernels);

  void setLocation(mlir::Location loc) { loc_ = loc; }
  mlir::MLIRContext *context() { return builder_.getContext(); }
  tape::ProgramOp program() { return program_; }

  mlir::RankedTensorType f32(llvm::ArrayRef<int64_t> shape);

  struct Update {
    mlir::Value init; // memory that the result takes over
    int64_t result;   // which result
  };
  /// Calls a kernel that `build` makes. Results named in `updates` are updated in place.
  mlir::SmallVector<mlir::Value> call(llvm::StringRef symbol, KernelSet::Build build, mlir::TypeRange results,
                                      mlir::ValueRange inputs, llvm::ArrayRef<Update> updates = {});

  struct Transpose {
    bool a = false, b = false;
  };
  mlir::Value matmul(mlir::Value a, mlir::Value b, mlir::Type result, Transpose transpose, mlir::Value into = {});

  mlir::Value view(mlir::Value source, mlir::Type type, int64_t offset = 0);
  mlir::Value concat(mlir::ValueRange parts, mlir::Type type);
  mlir::Value zero(mlir::Type type);
  /// Equal tables become one value.
  mlir::Value constant(mlir::ElementsAttr value);
  mlir::Value constant(llvm::ArrayRef<float> values, llvm::ArrayRef<int64_t> shape);
  mlir::Value allGather(mlir::Value slice, mlir::Type whole, int64_t world);
  mlir::Value reduceScatter(mlir::Value whole, mlir::Type slice, int64_t world);
  mlir::Value shard(mlir::Value whole, mlir::Type slice, int64_t world);
  void finish(mlir::ValueRange results);

private:
  tape::ProgramOp program_;
  KernelSet &kernels_;
  mlir::OpBuilder builder_;
  mlir::Location loc_;
  llvm::DenseMap<mlir::Attribute, mlir::Value> constants_;
};

} // namespace oriel::conversion

#endif
