// Names and parameters. See Parameters.h.
#include "compiler/frontend/Parameters.h"

#include <cmath>
#include <limits>
#include <map>

namespace oriel::frontend {
namespace {

// ---------------------------------------------------------------------------------------------------------------------
// Names
// ---------------------------------------------------------------------------------------------------------------------

class Namer {
public:
  void run(std::vector<Element> &elements) {
    for (Element &element : elements) {
      if (element.isResidual)
        run(element.body);
      else
        name(element.layer);
    }
  }

private:
  void name(LayerUse &layer) {
    std::string scope = layer.number == kUnnumbered ? "" : "layers." + std::to_string(layer.number) + ".";
    int64_t count = ++counts_[{layer.number, layer.spec->role}];
    bool isCounted = layer.spec->kind == LayerKind::RmsNorm || count > 1;
    layer.path = scope + std::string(layer.spec->role) + (isCounted ? std::to_string(count) : "");
  }

  std::map<std::pair<int64_t, std::string_view>, int64_t> counts_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Parameters of one layer
// ---------------------------------------------------------------------------------------------------------------------

class LayerParameters {
public:
  LayerParameters(const LayerUse &layer, const Model &model) : layer_(layer), model_(model) {}

  std::vector<Parameter> run() {
    switch (layer_.spec->kind) {
    case LayerKind::Embed:
      matrix("weight", {model_.vocab, model_.width});
      break;
    case LayerKind::RmsNorm:
      vector("weight", {layer_.width}, layer_.isOn("plus_one") ? Init::Zeros : Init::Ones);
      break;
    case LayerKind::RAttention:
    case LayerKind::Attention:
    case LayerKind::LinearAttention:
      mixer();
      break;
    case LayerKind::GatedMlp:
      matrix("gate", {layer_.integer("hidden"), layer_.width});
      matrix("up", {layer_.integer("hidden"), layer_.width});
      output("down", {layer_.width, layer_.integer("hidden")});
      break;
    case LayerKind::Linear:
      matrix("weight", {layer_.integer("out"), layer_.width});
      if (layer_.isOn("bias"))
        vector("bias", {layer_.integer("out")}, Init::Zeros);
      break;
    case LayerKind::Unembed:
      if (!model_.isTied())
        matrix("weight", {model_.vocab, layer_.width});
      break;
    case LayerKind::CrossEntropy:
      break;
    }
    return std::move(parameters_);
  }

private:
  void add(std::string_view name, std::vector<int64_t> shape, Init init, double std, bool decay) {
    parameters_.push_back({layer_.path + "." + std::string(name), std::move(shape), init, std, decay});
  }
  void matrix(std::string_view name, std::vector<int64_t> shape) {
    add(name, std::move(shape), Init::Normal, model_.initStd, true);
  }
  /// A matrix that writes into a residual stream.
  void output(std::string_view name, std::vector<int64_t> shape) {
    double streams = static_cast<double>(std::max<int64_t>(1, model_.residualCount));
    add(name, std::move(shape), Init::Normal, model_.initStd / std::sqrt(streams), true);
  }
  void vector(std::string_view name, std::vector<int64_t> shape, Init init) {
    add(name, std::move(shape), init, 0, false);
  }

  void mixer() {
    int64_t heads = layer_.integer("heads"), kvHeads = layer_.integer("kv_heads");
    int64_t dim = layer_.integer("head_dim"), valueDim = layer_.integer("value_dim"), width = layer_.width;
    matrix("wq", {heads * dim, width});
    matrix("wk", {kvHeads * dim, width});
    matrix("wv", {kvHeads * valueDim, width});
    output("wo", {width, heads * valueDim});
    if (layer_.isOn("bias")) {
      vector("bq", {heads * dim}, Init::Zeros);
      vector("bk", {kvHeads * dim}, Init::Zeros);
      vector("bv", {kvHeads * valueDim}, Init::Zeros);
    }
    if (layer_.isOn("out_bias"))
      vector("bo", {width}, Init::Zeros);
    if (layer_.isOn("qk_norm")) {
      vector("q_norm", {dim}, Init::Ones);
      vector("k_norm", {dim}, Init::Ones);
    }
    if (layer_.spec->kind == LayerKind::RAttention)
      linearBranch(heads, dim, valueDim);
    if (layer_.spec->kind == LayerKind::LinearAttention)
      vector("o_norm", {heads, valueDim}, Init::Ones);
  }

  void linearBranch(int64_t heads, int64_t dim, int64_t valueDim) {
    if (layer_.integer("window") >= 0)
      vector("swa_norm", {heads, valueDim}, Init::Ones);
    vector("rla_norm", {heads, valueDim}, Init::Ones);
    if (layer_.isOn("qk_scale")) {
      vector("q_scale", {dim}, Init::Ones);
      vector("k_scale", {dim}, Init::Ones);
    }
    if (layer_.isOn("learned_init")) {
      int64_t tokens = layer_.integer("init_tokens");
      add("k_tokens", {heads, tokens, dim}, Init::Normal, model_.initStd, false);
      add("v_tokens", {heads, tokens, valueDim}, Init::Normal, model_.initStd, false);
    }
  }

  const LayerUse &layer_;
  const Model &model_;
  std::vector<Parameter> parameters_;
};

void collect(const std::vector<Element> &elements, const Model &model, std::vector<Parameter> &out) {
  for (const Element &element : elements) {
    if (element.isResidual) {
      collect(element.body, model, out);
      continue;
    }
    for (Parameter &parameter : parametersOf(element.layer, model))
      out.push_back(std::move(parameter));
  }
}

} // namespace

int64_t Parameter::elements() const {
  int64_t product = 1;
  for (int64_t size : shape)
    if (__builtin_mul_overflow(product, size, &product))
      return std::numeric_limits<int64_t>::max();
  return product;
}

void nameLayers(Model &model) {
  Namer().run(model.trunk);
  if (model.trunk.empty() || model.trunk.back().isResidual)
    return;
  LayerUse &last = model.trunk.back().layer;
  if (last.spec->kind == LayerKind::RmsNorm && last.number == kUnnumbered)
    last.path = "final_norm";
}

std::vector<Parameter> parametersOf(const LayerUse &layer, const Model &model) {
  return LayerParameters(layer, model).run();
}

std::vector<Parameter> parametersOf(const Model &model) {
  std::vector<Parameter> parameters = parametersOf(model.embed, model);
  collect(model.trunk, model, parameters);
  for (Parameter &parameter : parametersOf(model.unembed, model))
    parameters.push_back(std::move(parameter));
  return parameters;
}

int64_t countElements(const std::vector<Parameter> &parameters) {
  int64_t sum = 0;
  for (const Parameter &parameter : parameters)
    if (__builtin_add_overflow(sum, parameter.elements(), &sum))
      return std::numeric_limits<int64_t>::max();
  return sum;
}

} // namespace oriel::frontend
