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
      .flag("shared", spec.sharedCache)
      .flag("turns", spec.takesTurns)
      .add("q", spec.queryTile)
      .add("k", spec.keyTile)
      .add("s", spec.scale)
      .add("c", spec.softCap)
      .str();
}

/// Keys that a query of a long row sees.
static int64_t reach(const AttentionSpec &spec) {
  return spec.window < 0 ? spec.tokens : std::min(spec.window + 1, spec.tokens);
}

static AttentionSpec withTiles(AttentionSpec spec, int64_t queryTile, int64_t keyTile) {
  spec.queryTile = std::min(queryTile, tileSize(spec.tokens));
  spec.keyTile = std::min(keyTile, tileSize(spec.tokens));
  return spec;
}

/// Rows and columns of a block of scores that one block of a GPU takes beside its keys, values and sums. Warpgroups take 64 rows
/// even where the tokens are fewer: the rest is masked. Of a wide head under full attention a block holds 64 tokens where
/// they have room (queries; in dkdv keys), so that the others pass by half as often as for 32, as few of them at a time as
/// leave it: in bf16, and in f32 the keys of dkdv, which leave room for no more than one operand where blocks are small.
static AttentionSpec withGpuTiles(AttentionSpec spec, TileTarget target, bool holdsKeys) {
  spec.sharedCache = spec.window < 0;
  int64_t dim = std::max(spec.headDim, spec.valueDim);
  bool isWarpgroup = target == TileTarget::NvidiaWarpgroup;
  if (isWarpgroup && dim <= 128) {
    spec.queryTile = spec.keyTile = 64;
    return spec;
  }
  if (dim > 128 && spec.window < 0 && (isGpuOfBf16(target) || holdsKeys)) {
    int64_t passing = holdsKeys && target != TileTarget::NvidiaBf16 ? 16 : 32;
    spec.queryTile = holdsKeys ? passing : 64;
    spec.keyTile = holdsKeys ? 64 : passing;
    spec.takesTurns = target == TileTarget::Nvidia && holdsKeys;
    return spec;
  }
  int64_t tile = dim <= 64 ? 64 : 32;
  return withTiles(spec, tile, tile);
}

/// Keys and values, and in the gradient the sums of dq, come from the last cache once per tile: where a query sees many
/// keys, tiles of a CPU are as large as the second cache holds. Else they would spend more on pairs that are not
/// visible.
static bool isLong(const AttentionSpec &spec) {
  return reach(spec) > 4096 && std::max(spec.headDim, spec.valueDim) <= 128;
}

AttentionSpec withDefaultTiles(AttentionSpec spec, TileTarget target) {
  if (isGpu(target))
    return withGpuTiles(spec, target, /*holdsKeys=*/false);
  int64_t keys = reach(spec);
  if (keys <= 256)
    return withTiles(spec, 32, 32);
  if (isLong(spec))
    return withTiles(spec, 256, 128);
  return withTiles(spec, keys <= 2048 ? 64 : 128, 64);
}

AttentionSpec withKeyGradientTiles(AttentionSpec spec, TileTarget target) {
  return isGpu(target) ? withGpuTiles(spec, target, /*holdsKeys=*/true) : withGradientTiles(spec, target);
}

AttentionSpec withGradientTiles(AttentionSpec spec, TileTarget target) {
  if (isGpu(target))
    return withGpuTiles(spec, target, /*holdsKeys=*/false);
  int64_t keys = reach(spec);
  if (keys <= 256)
    return withTiles(spec, 32, 32);
  if (keys <= 1024 && spec.window >= 0)
    return withTiles(spec, 32, 64);
  if (isLong(spec))
    return withTiles(spec, 128, 256);
  return withTiles(spec, 64, keys <= 2048 ? 64 : 128);
}

AttentionSpec withRowTiles(AttentionSpec spec) {
  constexpr int64_t queryTile = 32;
  return withTiles(spec, queryTile, tileSize(spec.window + queryTile));
}

std::pair<Scalar, Scalar> AttentionBlocks::visibleKeys(Scalar firstQuery) {
  Scalar begin = b_.index(0);
  if (spec_.window >= 0)
    begin = max(firstQuery - spec_.window, 0);
  // doc_start grows along a row, so the first query's document is the earliest.
  if (docStart_)
    begin = max(begin, toIndex(b_.loadScalar(b_.buffer(*docStart_), {batch_, firstQuery})));
  return {begin, min(firstQuery + spec_.queryTile, spec_.tokens)};
}

std::pair<Scalar, Scalar> AttentionBlocks::visibleQueries(Scalar firstKey) {
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
                                 Scalar start = b_.loadScalar(b_.buffer(*docStart_), {batch_, query});
                                 return {select(start <= last, query + spec_.queryTile, b_.scalar(carried[0]))};
                               })[0];
  return {firstKey, min(end, b_.scalar(documentsEnd))};
}

/// The longest walks first where the cache is shared: a cell that starts one tile later then ends together with its
/// neighbours, so that the cells that follow start together and meet the same keys; and no long walk is left for the end.
Scalar AttentionBlocks::firstQueryOf(Scalar x) {
  int64_t last = ceilDiv(spec_.tokens, spec_.queryTile) - 1;
  return (spec_.sharedCache ? static_cast<double>(last) - x : x) * spec_.queryTile;
}

/// Heads of a group go forth and back by turns where the cache is shared: each begins with the keys that the one before it
/// has read last, and the next cell where this one's last head ended.
std::function<Scalar(Scalar)> AttentionBlocks::keyOrder(Scalar head, std::pair<Scalar, Scalar> keys) {
  if (!spec_.sharedCache)
    return [](Scalar at) { return at; };
  auto [begin, end] = keys;
  Scalar isBack = remainder(head, b_.index(2)) == 1;
  Scalar ofBothEnds = begin + begin + (end - begin - 1) / spec_.keyTile * spec_.keyTile; // first block + last block
  return [=](Scalar at) { return select(isBack, ofBothEnds - at, at); };
}

/// Whether some pair of the block is not visible; blocks inside the band, the most, need no mask.
Scalar AttentionBlocks::hasHiddenPairs(const ScoreBlock &block) {
  Scalar lead = block.firstQuery - block.firstKey;
  Scalar hidden = lead < static_cast<double>(spec_.keyTile - 1);
  if (spec_.window >= 0)
    hidden = hidden | (lead > static_cast<double>(spec_.window - spec_.queryTile + 1));
  if (block.docStart)
    hidden = hidden | (toI32(block.firstKey) < block.lastDocument);
  return hidden;
}

/// The tile that `body` makes of each pair's elements of `inputs`.
Value AttentionBlocks::mapVisible(TileBuilder::Values inputs, const ScoreBlock &block,
                                  llvm::function_ref<Scalar(ArrayRef<Scalar> in, Scalar isVisible)> body) {
  Scalar lead = toI32(block.firstQuery - block.firstKey), firstKey = toI32(block.firstKey);
  if (block.docStart)
    inputs.push_back(block.docStart);
  auto perPair = [&](TileBuilder &b, ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
    Scalar query = block.transposed ? b.col() : b.row(), key = block.transposed ? b.row() : b.col();
    Scalar distance = lead + query - key;
    Scalar visible = distance >= 0;
    if (spec_.window >= 0)
      visible = visible & (distance <= spec_.window);
    if (block.docStart)
      visible = visible & (firstKey + key >= in.back());
    return {body(in, visible)};
  };
  return b_.mapN(inputs, perPair).front();
}

Value AttentionBlocks::capped(Value products) {
  if (spec_.softCap == 0)
    return products;
  return b_.map({products}, [&](Scalar s) { return tanh(s * (restOfScale() / spec_.softCap)) * spec_.softCap; });
}

Value AttentionBlocks::scores(Value products, const ScoreBlock &block) {
  Value all = capped(products);
  auto masked = [&] {
    return TileBuilder::Values{mapVisible({all}, block, [](ArrayRef<Scalar> in, Scalar isVisible) {
      return select(isVisible, in[0], maskedScore);
    })};
  };
  return b_.when(hasHiddenPairs(block), all.getType(), masked, [&] { return TileBuilder::Values{all}; })[0];
}

Value AttentionBlocks::weights(Value scores, Value lse, const ScoreBlock &block) {
  return mapVisible({scores, lse}, block, [&](ArrayRef<Scalar> in, Scalar isVisible) {
    return select(isVisible, exp(rescaled(in[0]) - in[1]), 0.0);
  });
}

ScoreBlock AttentionBlocks::queryBlock(Scalar firstQuery, bool transposed) {
  ScoreBlock block{firstQuery, firstQuery, {}, {}, transposed};
  if (!docStart_)
    return block;
  Place place{{batch_, firstQuery}, transposed ? -1 : 1, transposed ? 1 : -1};
  block.docStart =
      b_.load(b_.buffer(*docStart_), place, transposed ? 1 : spec_.queryTile, transposed ? spec_.queryTile : 1);
  Scalar last = min(firstQuery + (spec_.queryTile - 1), static_cast<double>(spec_.tokens - 1));
  block.lastDocument = b_.loadScalar(b_.buffer(*docStart_), {batch_, last});
  return block;
}

} // namespace oriel::kernels
