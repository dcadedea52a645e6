// Order and widths. See Structure.h.
#include "compiler/frontend/Structure.h"

#include <string>

namespace oriel::frontend {
namespace {

/// The width behind a layer that could not be understood.
constexpr int64_t kUnknownWidth = 0;

bool isUnknown(const Element &element) { return !element.isResidual && !element.layer.spec; }
bool is(const Element &element, LayerKind kind) {
  return !element.isResidual && element.layer.spec && element.layer.spec->kind == kind;
}

class StructureBuilder {
public:
  StructureBuilder(Elaborated elaborated, const ast::Model &model, Diagnostics &diagnostics)
      : elements_(std::move(elaborated.elements)), diagnostics_(diagnostics), source_(model) {
    model_.name = model.name.text;
    model_.layerCount = elaborated.layerCount;
    model_.residualCount = elaborated.residualCount;
    model_.initStd = elaborated.initStd;
  }

  Model run() {
    if (elements_.empty()) {
      diagnostics_.error(source_.name.range, "model '" + model_.name + "' has no stages",
                         "the shortest model: embed(vocab = 256, dim = 64) | unembed(tied) | cross_entropy");
      return std::move(model_);
    }
    takeHead();
    takeTail();
    model_.trunk = std::move(elements_);
    int64_t width = walk(model_.trunk, model_.width);
    if (model_.unembed.spec)
      finish(width);
    return std::move(model_);
  }

private:
  /// embed from the front.
  void takeHead() {
    Element &first = elements_.front();
    if (is(first, LayerKind::Embed)) {
      model_.embed = std::move(first.layer);
      model_.embed.path = "embed";
      model_.vocab = model_.embed.integer("vocab");
      model_.width = model_.embed.integer("dim");
      elements_.erase(elements_.begin());
    } else if (isUnknown(first)) {
      elements_.erase(elements_.begin());
    } else {
      diagnostics_.error(first.range, "a model begins with embed", "write embed(vocab = …, dim = …) in front");
    }
  }

  /// unembed and cross_entropy from the back.
  void takeTail() {
    takeLast(LayerKind::CrossEntropy, "a model ends with cross_entropy", "write | cross_entropy at the end");
    model_.unembed = takeLast(LayerKind::Unembed, "cross_entropy needs an unembed in front of it",
                              "write unembed(tied) or unembed(untied) in front of cross_entropy");
    model_.unembed.path = "unembed";
  }

  LayerUse takeLast(LayerKind kind, const std::string &complaint, const std::string &hint) {
    if (!elements_.empty() && (is(elements_.back(), kind) || isUnknown(elements_.back()))) {
      LayerUse layer = std::move(elements_.back().layer);
      elements_.pop_back();
      return layer;
    }
    SourceRange end{source_.range.end == 0 ? 0 : source_.range.end - 1, source_.range.end};
    diagnostics_.error(elements_.empty() ? end : elements_.back().range, complaint, hint);
    return {};
  }

  /// Sets widths along `elements`; returns the width behind the last.
  int64_t walk(std::vector<Element> &elements, int64_t width) {
    for (Element &element : elements)
      width = element.isResidual ? walkResidual(element, width) : walkLayer(element, width);
    return width;
  }

  int64_t walkResidual(Element &element, int64_t width) {
    if (element.body.empty())
      diagnostics_.error(element.range, "this residual stream is empty", "x + x is hardly meant: put stages inside");
    int64_t out = walk(element.body, width);
    if (out != width && out != kUnknownWidth && width != kUnknownWidth)
      diagnostics_.error(element.range,
                         "the residual stream is " + std::to_string(width) + " wide, but its body gives " +
                             std::to_string(out),
                         "end the body with linear(" + std::to_string(width) + ")");
    return width;
  }

  int64_t walkLayer(Element &element, int64_t width) {
    LayerUse &layer = element.layer;
    layer.width = width;
    if (!layer.spec)
      return kUnknownWidth;
    switch (layer.spec->kind) {
    case LayerKind::Embed:
      diagnostics_.error(layer.range, "embed can only be the first stage of a model");
      return kUnknownWidth;
    case LayerKind::Unembed:
    case LayerKind::CrossEntropy:
      diagnostics_.error(layer.range, std::string(layer.spec->name) + " can only stand at the end of a model",
                         "a model ends with unembed | cross_entropy, outside of residual streams");
      return width;
    case LayerKind::Linear:
      return layer.integer("out");
    default:
      return width;
    }
  }

  void finish(int64_t width) {
    model_.unembed.width = width;
    if (model_.isTied() && width != model_.width && width != kUnknownWidth && model_.width != kUnknownWidth)
      diagnostics_.error(model_.unembed.range,
                         "a tied unembedding needs the width of embed, " + std::to_string(model_.width) +
                             ", but gets " + std::to_string(width),
                         "write unembed(untied), or linear(" + std::to_string(model_.width) + ") in front");
  }

  std::vector<Element> elements_;
  Diagnostics &diagnostics_;
  const ast::Model &source_;
  Model model_;
};

} // namespace

Model buildStructure(Elaborated elaborated, const ast::Model &model, Diagnostics &diagnostics) {
  return StructureBuilder(std::move(elaborated), model, diagnostics).run();
}

} // namespace oriel::frontend
