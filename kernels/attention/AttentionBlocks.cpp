// Visibility of blocks and of pairs; the symbol.
#include "kernels/attention/AttentionBlocks.h"

using namespace mlir;

namespace oriel::kernels {

std::string symbol(const AttentionSpec &spec, StringRef stage) {
  return SymbolName(("attn_" + stage).str())
      .add("b", spec.batch)
      .add("t", spec.tokens)
      .add("n", spec.heads)
      .add("kv", spec.kvHeads)
      .add("d", spec.headDim)
      .add("e", spec.valueDim)
      .add("w", spec.window)
      .flag("doc", spec.documents)
      .add("q", spec.queryTile)
      .add("k", spec.keyTile)
      .add("s", spec.scale)
      .add("c", spec.softCap)
      .str();
}

AttentionSpec withDefaultTiles(AttentionSpec spec) {
  bool narrow = spec.window >= 0 && spec.window < 256;
  spec.queryTile = spec.keyTile = std::min<int64_t>(narrow ? 32 : 64, tileSize(spec.tokens));
  return spec;
}

std::pair<Scalar, Scalar> AttentionBlocks::visibleKeys(Scalar batch, Scalar firstQuery) {
  Scalar begin = b_.index(0);
  if (spec_.window >= 0)
    begin = max(firstQuery - spec_.window, 0);
  // doc_start grows along a row, so the first query's document is the earliest.
  if (docStart_)
    begin = max(begin, toIndex(b_.loadScalar(b_.buffer(*docStart_), {batch, firstQuery})));
  return {begin, min(firstQuery + spec_.queryTile, spec_.tokens)};
}

std::pair<Scalar, Scalar> AttentionBlocks::visibleQueries(Scalar batch, Scalar firstKey) {
  Scalar lastKey = firstKey + (spec_.keyTile - 1);
  Scalar end = b_.index(spec_.tokens);
  if (spec_.window >= 0)
    end = min(lastKey + (spec_.window + 1), spec_.tokens);
  if (!docStart_)
    return {firstKey, end};
  // Blocks whose first query starts its document after the last key see nothing, nor do those that follow.
  Scalar last = toI32(lastKey);
  Value documentsEnd = b_.loop(firstKey, end, spec_.queryTile, firstKey.value(),
                               [&](Scalar query, ValueRange carried) -> TileBuilder::Values {
                                 Scalar start = b_.loadScalar(b_.buffer(*docStart_), {batch, query});
                                 return {select(start <= last, query + spec_.queryTile, b_.scalar(carried[0]))};
                               })[0];
  return {firstKey, min(end, b_.scalar(documentsEnd))};
}

Value AttentionBlocks::scores(Value products, const ScoreBlock &block) {
  Scalar lead = toI32(block.firstQuery - block.firstKey), firstKey = toI32(block.firstKey);
  auto body = [&](TileBuilder &b, ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
    Scalar score = in[0];
    if (spec_.softCap > 0)
      score = tanh(score * (1.0 / spec_.softCap)) * spec_.softCap;
    Scalar query = block.transposed ? b.col() : b.row(), key = block.transposed ? b.row() : b.col();
    Scalar distance = lead + query - key;
    Scalar visible = distance >= 0;
    if (spec_.window >= 0)
      visible = visible & (distance <= spec_.window);
    if (block.docStart)
      visible = visible & (firstKey + key >= in[1]);
    return {select(visible, score, maskedScore)};
  };
  TileBuilder::Values inputs = {products};
  if (block.docStart)
    inputs.push_back(block.docStart);
  return b_.mapN(inputs, body).front();
}

Value AttentionBlocks::loadDocStart(Scalar batch, Scalar firstQuery, bool transposed) {
  if (!docStart_)
    return {};
  Place place{{batch, firstQuery}, transposed ? -1 : 1, transposed ? 1 : -1};
  return b_.load(b_.buffer(*docStart_), place, transposed ? 1 : spec_.queryTile, transposed ? spec_.queryTile : 1);
}

Value AttentionBlocks::loadScaledQueries(Value q, const Place &place) {
  Value q_QD = b_.load(q, place, spec_.queryTile, tileSize(spec_.headDim));
  return b_.map({q_QD}, [&](Scalar x) { return x * spec_.scale; });
}

} // namespace oriel::kernels
