// Kernels that work on one flat tile per cell.
#include "kernels/elementwise/Elementwise.h"

#include "kernels/common/Signature.h"

using namespace mlir;

namespace oriel::kernels {

/// Elements of one cell: an eighth of a first-level cache, so that all operands of a kernel stay in it.
static constexpr int64_t flatTile = 2048;

static int64_t flatTileSize(int64_t elements) { return std::min(flatTile, tileSize(elements)); }

std::string symbol(const AddSpec &spec) {
  return SymbolName("add").add("x", spec.operands).add("e", spec.elements).str();
}

tile::KernelOp buildAdd(OpBuilder &builder, Location loc, StringRef symbol, const AddSpec &spec) {
  Signature signature(builder);
  llvm::SmallVector<int64_t> operands;
  for (int64_t i = 0; i < spec.operands; ++i)
    operands.push_back(signature.input({spec.elements}));
  unsigned y = signature.outputReplacing({spec.elements}, operands);
  int64_t size = flatTileSize(spec.elements);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.elements, size), 1, 1}, "y = x_0 + x_1 + …");
  Place place{{b.x() * size}, -1, 0};
  Value sum = b.load(b.buffer(0), place, 1, size);
  for (int64_t i = 1; i < spec.operands; ++i)
    sum = b.map({sum, b.load(b.buffer(i), place, 1, size)}, [](Scalar a, Scalar c) { return a + c; });
  b.store(sum, b.buffer(y), place);
  return b.op();
}

std::string symbol(const RoundSpec &spec) { return SymbolName("round").add("e", spec.elements).str(); }

tile::KernelOp buildRound(OpBuilder &builder, Location loc, StringRef symbol, const RoundSpec &spec) {
  Signature signature(builder);
  unsigned x = signature.inputF32({spec.elements}), y = signature.output({spec.elements});
  int64_t size = flatTileSize(spec.elements);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.elements, size), 1, 1}, "y = x in the storage type");
  Place place{{b.x() * size}, -1, 0};
  b.store(b.load(b.buffer(x), place, 1, size), b.buffer(y), place);
  return b.op();
}

std::string symbol(const SoftCapSpec &spec) {
  return SymbolName("soft_cap").add("e", spec.elements).add("c", spec.cap).str();
}

tile::KernelOp buildSoftCap(OpBuilder &builder, Location loc, StringRef symbol, const SoftCapSpec &spec) {
  Signature signature(builder);
  unsigned x = signature.output({spec.elements});
  int64_t size = flatTileSize(spec.elements);
  TileBuilder b = signature.open(loc, symbol, {ceilDiv(spec.elements, size), 1, 1}, "x = c tanh(x / c)");
  Place place{{b.x() * size}, -1, 0};
  Value capped = b.map({b.load(b.buffer(x), place, 1, size)},
                       [&](Scalar value) { return tanh(value * (1.0 / spec.cap)) * spec.cap; });
  b.store(capped, b.buffer(x), place);
  return b.op();
}

} // namespace oriel::kernels
