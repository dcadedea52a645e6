// The buffers of a kernel, declared one by one: some are optional, so a builder asks for each place by name.
//
// Activations and their cotangents are of the *storage type*: f32 as built, and what --oriel-choose-storage turns into
// bf16 memory (argument attribute `tile.storage`). Statistics, sums, recurrent states and parameters are f32 always.
#ifndef ORIEL_KERNELS_COMMON_SIGNATURE_H
#define ORIEL_KERNELS_COMMON_SIGNATURE_H

#include "kernels/common/TileBuilder.h"

namespace oriel::kernels {

/// Collects buffers in order, inputs first, then opens the kernel.
class Signature {
public:
  explicit Signature(mlir::OpBuilder &builder) : builder_(builder) {}

  /// Each returns the place of the buffer, for TileBuilder::buffer.
  unsigned input(llvm::ArrayRef<int64_t> shape) { return add(shape, builder_.getF32Type(), /*isStorage=*/true); }
  /// An activation that this kernel would rather read as its maker summed it: f32 where no other step needs it.
  unsigned inputUnrounded(llvm::ArrayRef<int64_t> shape) {
    unsigned place = input(shape);
    attributes_[place].push_back(builder_.getNamedAttr(tile::kPrefersF32Attr, builder_.getUnitAttr()));
    return place;
  }
  unsigned inputF32(llvm::ArrayRef<int64_t> shape) { return add(shape, builder_.getF32Type(), /*isStorage=*/false); }
  unsigned inputI32(llvm::ArrayRef<int64_t> shape) { return add(shape, builder_.getI32Type(), /*isStorage=*/false); }
  unsigned output(llvm::ArrayRef<int64_t> shape) {
    ++outputs_;
    return input(shape);
  }
  unsigned outputF32(llvm::ArrayRef<int64_t> shape) {
    ++outputs_;
    return inputF32(shape);
  }
  /// An output that may lie where one of these inputs lies, should nothing else need it any more: every cell reads its
  /// place of the inputs before it writes that place, and no other cell reads it.
  unsigned outputReplacing(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> inputs) {
    unsigned place = output(shape);
    attributes_[place].push_back(builder_.getNamedAttr(tile::kReplacesAttr, builder_.getDenseI64ArrayAttr(inputs)));
    return place;
  }

  /// Opens the kernel at the end of the module in which the builder stands.
  TileBuilder open(mlir::Location loc, llvm::StringRef symbol, std::array<int64_t, 3> grid, llvm::StringRef summary) {
    mlir::Operation *parent = builder_.getInsertionBlock()->getParentOp();
    auto module = mlir::dyn_cast<mlir::ModuleOp>(parent);
    llvm::SmallVector<mlir::DictionaryAttr> attributes;
    for (llvm::ArrayRef<mlir::NamedAttribute> ofBuffer : attributes_)
      attributes.push_back(builder_.getDictionaryAttr(ofBuffer));
    return TileBuilder::kernel(module ? module : parent->getParentOfType<mlir::ModuleOp>(), loc, symbol, types_, grid,
                               outputs_, summary, attributes);
  }

private:
  unsigned add(llvm::ArrayRef<int64_t> shape, mlir::Type element, bool isStorage) {
    types_.push_back(mlir::MemRefType::get(shape, element));
    attributes_.emplace_back();
    if (isStorage)
      attributes_.back().push_back(builder_.getNamedAttr(tile::kStorageAttr, builder_.getUnitAttr()));
    return types_.size() - 1;
  }

  mlir::OpBuilder &builder_;
  llvm::SmallVector<mlir::Type> types_;
  llvm::SmallVector<llvm::SmallVector<mlir::NamedAttribute, 2>> attributes_; // per buffer
  int64_t outputs_ = 0;
};

} // namespace oriel::kernels

#endif
