#include "compiler/conversion/lmToTape/KernelTiling.h"

#include "dialects/tile/TileOps.h"

using namespace mlir;

namespace oriel::conversion {

KernelTiling::KernelTiling(Operation *op, StringRef kernel) {
  auto all = op->getAttrOfType<DictionaryAttr>("tape.tiles");
  auto numbers = all ? all.getAs<DenseI64ArrayAttr>(kernel) : DenseI64ArrayAttr();
  if (!numbers || numbers.size() != 4)
    return;
  rows_ = numbers[0];
  columns_ = numbers[1];
  block_ = {numbers[2], numbers[3]};
}

kernels::AttentionSpec KernelTiling::of(kernels::AttentionSpec spec) const {
  spec.queryTile = rows_ ? rows_ : spec.queryTile;
  spec.keyTile = columns_ ? columns_ : spec.keyTile;
  spec.takesTurns = spec.takesTurns && !rows_ && !columns_; // that is of the kernel's own tiles
  return spec;
}

kernels::RlaSpec KernelTiling::of(kernels::RlaSpec spec) const {
  spec.valueBlock = columns_ ? columns_ : spec.valueBlock;
  return spec;
}

SmallVector<Value> KernelTiling::call(TapeBuilder &tape, std::string symbol,
                                      llvm::function_ref<tile::KernelOp(OpBuilder &, Location, StringRef)> build,
                                      TypeRange results, ValueRange inputs) const {
  if (block_.warps)
    symbol += "_wp" + std::to_string(block_.warps);
  if (block_.stages)
    symbol += "_st" + std::to_string(block_.stages);
  auto buildShaped = [&](OpBuilder &b, Location loc, StringRef name) {
    tile::setBlockShape(build(b, loc, name), block_);
  };
  return tape.call(symbol, buildShaped, results, inputs);
}

} // namespace oriel::conversion
