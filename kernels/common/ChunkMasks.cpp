// The masks of one chunk. The wide ones are passes over a tile that are left out where a scalar says they change
// nothing.
#include "kernels/common/ChunkMasks.h"

using namespace mlir;

namespace oriel::kernels {

Value ChunkMasks::pairs(Value scores) const {
  TileBuilder &b = *b_;
  if (!documents_)
    return b.map({scores}, [&](Scalar s) { return select(b.col() <= b.row(), s, 0.0); });
  Scalar firstKey = toI32(firstKey_);
  return b.map({scores, documents_->ofQueries}, [&](Scalar s, Scalar start) {
    return select((b.col() <= b.row()) & (firstKey + b.col() >= start), s, 0.0);
  });
}

/// `masked` where the condition holds; elsewhere the tile as it is, without a pass over it.
Value ChunkMasks::clearIf(Scalar condition, Value tile, llvm::function_ref<Value()> masked) const {
  return b_->when(
      condition, tile.getType(), [&] { return TileBuilder::Values{masked()}; },
      [&] { return TileBuilder::Values{tile}; })[0];
}

Value ChunkMasks::carry(Value rows) const {
  if (!documents_)
    return rows;
  Scalar stateEnd = toI32(stateEnd_);
  return clearIf(documents_->ofLastQuery >= stateEnd, rows, [&] {
    return b_->map({rows, documents_->ofQueries},
                   [&](Scalar x, Scalar start) { return select(start < stateEnd, x, 0.0); });
  });
}

Value ChunkMasks::update(Value rows) const {
  if (!documents_)
    return rows;
  Scalar begin = documents_->ofLastKey - toI32(firstKey_);
  return clearIf(begin > 0.0, rows,
                 [&] { return b_->map({rows}, [&](Scalar x) { return select(b_->row() >= begin, x, 0.0); }); });
}

Value ChunkMasks::keep(Value state) const {
  if (!documents_)
    return state;
  return clearIf(documents_->ofLastKey >= toI32(stateEnd_), state,
                 [&] { return b_->zeros(TileBuilder::rows(state), TileBuilder::cols(state)); });
}

} // namespace oriel::kernels
