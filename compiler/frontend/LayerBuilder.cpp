// Layers as lm ops. See LayerBuilder.h; what the ops mean is in dialects/lm/LmOps.td.
#include "compiler/frontend/LayerBuilder.h"

#include <cmath>

using namespace mlir;

namespace oriel::frontend {
namespace {

lm::RopeLayout ropeLayout(const LayerUse &layer) {
  return layer.word("rope_layout") == "half" ? lm::RopeLayout::Half : lm::RopeLayout::Interleaved;
}

llvm::APFloat f64(double value) { return llvm::APFloat(value); }

} // namespace

Value LayerBuilder::parameter(const LayerUse &layer, StringRef name) const {
  return parameters_.lookup((layer.path + "." + name).str());
}

Location LayerBuilder::location(StringRef path, SourceRange range) const {
  LineColumn place = file_.lineColumn(range.begin);
  MLIRContext *context = builder_.getContext();
  auto line = FileLineColLoc::get(context, file_.path(), place.line, place.column);
  return NameLoc::get(StringAttr::get(context, path), line);
}

RankedTensorType LayerBuilder::withLast(Value x, ArrayRef<int64_t> sizes) {
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<int64_t> shape(type.getShape().take_front(2));
  shape.append(sizes.begin(), sizes.end());
  return RankedTensorType::get(shape, type.getElementType());
}

// ---------------------------------------------------------------------------------------------------------------------
// Parts
// ---------------------------------------------------------------------------------------------------------------------

Value LayerBuilder::linear(Value x, Value weight, Value bias, Location loc) {
  int64_t out = cast<RankedTensorType>(weight.getType()).getShape()[0];
  return lm::LinearOp::create(builder_, loc, withLast(x, {out}), x, weight, bias);
}

Value LayerBuilder::norm(Value x, Value weight, double eps, bool plusOne, Location loc) {
  return lm::RmsNormOp::create(builder_, loc, x.getType(), x, weight, f64(eps), plusOne);
}

Value LayerBuilder::rope(const LayerUse &layer, Value x, Location loc) {
  double theta = layer.numberOr("rope", 0);
  if (theta == 0)
    return x;
  return lm::RopeOp::create(builder_, loc, x.getType(), x, docStart_, f64(theta), ropeLayout(layer),
                            layer.integer("rotary_dim"));
}

LayerBuilder::Heads LayerBuilder::projectHeads(const LayerUse &layer, Value x, Location loc) {
  int64_t heads = layer.integer("heads"), kvHeads = layer.integer("kv_heads");
  auto project = [&](StringRef weight, StringRef bias, int64_t count, int64_t size) -> Value {
    Value flat = linear(x, parameter(layer, weight), parameter(layer, bias), loc);
    return lm::ReshapeOp::create(builder_, loc, withLast(x, {count, size}), flat);
  };
  Value q = project("wq", "bq", heads, layer.integer("head_dim"));
  Value k = project("wk", "bk", kvHeads, layer.integer("head_dim"));
  Value v = project("wv", "bv", kvHeads, layer.integer("value_dim"));
  return {q, k, v};
}

Value LayerBuilder::projectOut(const LayerUse &layer, Value context, Location loc) {
  int64_t size = layer.integer("heads") * layer.integer("value_dim");
  Value flat = lm::ReshapeOp::create(builder_, loc, withLast(context, {size}), context);
  return linear(flat, parameter(layer, "wo"), parameter(layer, "bo"), loc);
}

// ---------------------------------------------------------------------------------------------------------------------
// Layers
// ---------------------------------------------------------------------------------------------------------------------

Value LayerBuilder::embed(const LayerUse &layer, Value tokens) {
  Value table = parameter(layer, "weight");
  auto tableType = cast<RankedTensorType>(table.getType());
  SmallVector<int64_t> shape(cast<RankedTensorType>(tokens.getType()).getShape());
  shape.push_back(tableType.getShape()[1]);
  auto type = RankedTensorType::get(shape, tableType.getElementType());
  llvm::APFloat scale(static_cast<float>(layer.numberOr("scale", 1)));
  return lm::EmbedOp::create(builder_, location(layer.path, layer.range), type, table, tokens, scale);
}

Value LayerBuilder::residual(const Element &element, Value x, Value body) {
  std::string scope = element.number == kUnnumbered ? "" : "layers." + std::to_string(element.number) + ".";
  return lm::AddOp::create(builder_, location(scope + "residual", element.range), x.getType(), x, body);
}

LayerBuilder::Heads LayerBuilder::positionedHeads(const LayerUse &layer, Value x, Location loc) {
  auto [q, k, v] = projectHeads(layer, x, loc);
  if (Value weight = parameter(layer, "q_norm")) {
    double eps = layer.numberOr("norm_eps", 0);
    q = norm(q, weight, eps, /*plusOne=*/false, loc);
    k = norm(k, parameter(layer, "k_norm"), eps, /*plusOne=*/false, loc);
  }
  return {rope(layer, q, loc), rope(layer, k, loc), v};
}

double LayerBuilder::scoreScale(const LayerUse &layer) {
  double usual = 1.0 / std::sqrt(static_cast<double>(layer.integer("head_dim")));
  return layer.has("scale") ? layer.numberOr("scale", usual) : usual;
}

Value LayerBuilder::attention(const LayerUse &layer, Value x, Location loc) {
  auto [q, k, v] = positionedHeads(layer, x, loc);
  int64_t heads = layer.integer("heads");
  RankedTensorType type = withLast(x, {heads, layer.integer("value_dim")});
  auto lseType = RankedTensorType::get({type.getShape()[0], heads, type.getShape()[1]}, builder_.getF32Type());
  Value context =
      lm::AttentionOp::create(builder_, loc, type, lseType, q, k, v, docStart_, layer.integerOr("window", -1),
                              f64(scoreScale(layer)), f64(layer.numberOr("soft_cap", 0)))
          .getResult();
  return projectOut(layer, context, loc);
}

Value LayerBuilder::linearAttention(const LayerUse &layer, Value x, Location loc) {
  auto [q, k, v] = positionedHeads(layer, x, loc);
  RankedTensorType type = withLast(x, {layer.integer("heads"), layer.integer("value_dim")});
  auto stateType = RankedTensorType::get(
      {type.getShape()[0], layer.integer("kv_heads"), layer.integer("head_dim"), layer.integer("value_dim")},
      type.getElementType());
  Value context = lm::LinearAttentionOp::create(builder_, loc, type, stateType, /*final_sum=*/Type(), q, k, v,
                                                /*initial=*/ValueRange(), docStart_, f64(scoreScale(layer)),
                                                /*normalize=*/false)
                      .getResult();
  context = norm(context, parameter(layer, "o_norm"), layer.numberOr("norm_eps", 0), /*plusOne=*/false, loc);
  return projectOut(layer, context, loc);
}

Value LayerBuilder::rattention(const LayerUse &layer, Value x, Location loc) {
  auto [q, k, v] = projectHeads(layer, x, loc);
  auto weight = [&](StringRef name) { return parameter(layer, name); };
  auto featureMap = layer.word("feature_map") == "relu" ? lm::FeatureMap::Relu : lm::FeatureMap::Softmax;
  Value context = lm::RAttentionOp::create(
      builder_, loc, withLast(x, {layer.integer("heads"), layer.integer("value_dim")}), q, k, v, weight("rla_norm"),
      weight("swa_norm"), weight("q_scale"), weight("k_scale"), weight("k_tokens"), weight("v_tokens"),
      weight("q_norm"), weight("k_norm"), docStart_, layer.integer("window"), featureMap,
      f64(layer.numberOr("norm_eps", 0)), f64(layer.numberOr("rope", 0)), ropeLayout(layer),
      layer.integer("rotary_dim"), f64(layer.numberOr("soft_cap", 0)), layer.isOn("leak_documents"));
  return projectOut(layer, context, loc);
}

Value LayerBuilder::gatedMlp(const LayerUse &layer, Value x, Location loc) {
  auto activation = layer.word("activation") == "gelu" ? lm::Activation::Gelu : lm::Activation::Silu;
  return lm::GatedMlpOp::create(builder_, loc, x.getType(), x, parameter(layer, "gate"), parameter(layer, "up"),
                                parameter(layer, "down"), activation);
}

Value LayerBuilder::layer(const LayerUse &layer, Value x) {
  Location loc = location(layer.path, layer.range);
  switch (layer.spec->kind) {
  case LayerKind::RmsNorm:
    return norm(x, parameter(layer, "weight"), layer.numberOr("eps", 0), layer.isOn("plus_one"), loc);
  case LayerKind::RAttention:
    return rattention(layer, x, loc);
  case LayerKind::Attention:
    return attention(layer, x, loc);
  case LayerKind::LinearAttention:
    return linearAttention(layer, x, loc);
  case LayerKind::GatedMlp:
    return gatedMlp(layer, x, loc);
  case LayerKind::Linear:
    return linear(x, parameter(layer, "weight"), parameter(layer, "bias"), loc);
  case LayerKind::Embed:
  case LayerKind::Unembed:
  case LayerKind::CrossEntropy:
    break; // Sema leaves these only at the ends, which the importer builds itself.
  }
  llvm_unreachable("a layer that cannot stand inside a model");
}

} // namespace oriel::frontend
