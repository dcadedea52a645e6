// The buffers of a kernel, declared one by one: some are optional, so a builder asks for each place by name.
#ifndef ORIEL_KERNELS_COMMON_SIGNATURE_H
#define ORIEL_KERNELS_COMMON_SIGNATURE_H

#include "kernels/common/TileBuilder.h"

namespace oriel::kernels {

/// Collects buffers in order, inputs first, then opens the kernel.
class Signature {
public:
  explicit Signature(mlir::OpBuilder &builder) : builder_(builder) {}

  /// Each returns the place of the buffer, for TileBuilder::buffer.
  unsigned input(llvm::ArrayRef<int64_t> shape) { return add(shape, builder_.getF32Type()); }
  unsigned inputI32(llvm::ArrayRef<int64_t> shape) { return add(shape, builder_.getI32Type()); }
  unsigned output(llvm::ArrayRef<int64_t> shape) {
    ++outputs_;
    return add(shape, builder_.getF32Type());
  }
  /// An output that may lie where one of these inputs lies, should nothing else need it any more: every cell reads its
  /// place of the inputs before it writes that place, and no other cell reads it.
  unsigned outputReplacing(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> inputs) {
    unsigned place = output(shape);
    replaces_[place].assign(inputs.begin(), inputs.end());
    return place;
  }

  /// Opens the kernel at the end of the module in which the builder stands.
  TileBuilder open(mlir::Location loc, llvm::StringRef symbol, std::array<int64_t, 3> grid, llvm::StringRef summary) {
    mlir::Operation *parent = builder_.getInsertionBlock()->getParentOp();
    auto module = mlir::dyn_cast<mlir::ModuleOp>(parent);
    llvm::SmallVector<mlir::DictionaryAttr> attributes;
    for (llvm::ArrayRef<int64_t> inputs : replaces_)
      attributes.push_back(builder_.getDictionaryAttr(
          inputs.empty() ? llvm::ArrayRef<mlir::NamedAttribute>()
                         : builder_.getNamedAttr(tile::kReplacesAttr, builder_.getDenseI64ArrayAttr(inputs))));
    return TileBuilder::kernel(module ? module : parent->getParentOfType<mlir::ModuleOp>(), loc, symbol, types_, grid,
                               outputs_, summary, attributes);
  }

private:
  unsigned add(llvm::ArrayRef<int64_t> shape, mlir::Type element) {
    types_.push_back(mlir::MemRefType::get(shape, element));
    replaces_.emplace_back();
    return types_.size() - 1;
  }

  mlir::OpBuilder &builder_;
  llvm::SmallVector<mlir::Type> types_;
  llvm::SmallVector<llvm::SmallVector<int64_t>> replaces_; // per buffer
  int64_t outputs_ = 0;
};

} // namespace oriel::kernels

#endif
