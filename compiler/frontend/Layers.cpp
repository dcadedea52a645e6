// The table of layers. See Layers.h. To add a layer: a row here, a case in Parameters.cpp, a case in LayerBuilder.cpp.
#include "compiler/frontend/Layers.h"

#include <set>

namespace oriel::frontend {
namespace {

// Bounds that keep every product of sizes inside 64 bits; models are far below them.
constexpr double kMaxWidth = 1 << 20;
constexpr double kMaxVocab = 1 << 24;
constexpr double kMaxHidden = 1 << 24;
constexpr double kMaxHeads = 1 << 14;
constexpr double kMaxHeadDim = 1 << 12;
constexpr double kMaxWindow = 1 << 30;
constexpr double kMaxTokens = 1 << 16;
constexpr double kMaxNumber = 1e30;
constexpr double kTiny = 1e-30;

OptionSpec integer(std::string_view name, std::string_view fallback, double least, double most,
                   std::vector<std::string_view> words = {}) {
  return {name, OptionType::Integer, fallback, least, most, std::move(words)};
}
OptionSpec number(std::string_view name, std::string_view fallback, double least,
                  std::vector<std::string_view> words = {}) {
  return {name, OptionType::Number, fallback, least, kMaxNumber, std::move(words)};
}
OptionSpec flag(std::string_view name) { return {name, OptionType::Switch, "false", 0, 0, {}}; }
OptionSpec word(std::string_view name, std::string_view fallback, std::vector<std::string_view> words) {
  return {name, OptionType::Word, fallback, 0, 0, std::move(words)};
}

/// What every mixer with heads takes, around its own options.
std::vector<OptionSpec> headOptions(std::vector<OptionSpec> own) {
  std::vector<OptionSpec> options = {
      integer("heads", "", 1, kMaxHeads),
      integer("kv_heads", "=heads", 1, kMaxHeads),
      integer("head_dim", "", 1, kMaxHeadDim),
  };
  for (OptionSpec &option : own)
    options.push_back(std::move(option));
  options.push_back(integer("value_dim", "=head_dim", 1, kMaxHeadDim));
  options.push_back(integer("rotary_dim", "=head_dim", 1, kMaxHeadDim));
  options.push_back(word("rope_layout", "half", {"half", "interleaved"}));
  options.push_back(flag("qk_norm"));
  options.push_back(flag("bias"));
  options.push_back(flag("out_bias"));
  return options;
}

std::vector<LayerSpec> makeTable() {
  const OptionSpec softCap = number("soft_cap", "none", kTiny, {"none"});
  std::vector<LayerSpec> table;
  table.push_back(
      {LayerKind::Embed,
       "embed",
       "embed",
       2,
       {integer("vocab", "", 1, kMaxVocab), integer("dim", "", 1, kMaxWidth), number("scale", "1", kTiny)}});
  table.push_back({LayerKind::RmsNorm, "rms_norm", "norm", 1, {number("eps", "1e-6", kTiny), flag("plus_one")}});
  table.push_back({LayerKind::RAttention, "rattention", "mixer", 3,
                   headOptions({integer("window", "", -1, kMaxWindow), number("rope", "", kTiny, {"none"}),
                                word("feature_map", "softmax", {"softmax", "relu"}), flag("qk_scale"),
                                flag("learned_init"), integer("init_tokens", "128", 1, kMaxTokens),
                                number("norm_eps", "1e-8", kTiny), flag("leak_documents"), softCap})});
  table.push_back(
      {LayerKind::Attention, "attention", "mixer", 3,
       headOptions({integer("window", "full", 0, kMaxWindow, {"full"}), number("rope", "none", kTiny, {"none"}),
                    number("scale", "auto", kTiny), number("norm_eps", "1e-6", kTiny), softCap})});
  table.push_back({LayerKind::LinearAttention, "linear_attention", "mixer", 3,
                   headOptions({number("rope", "none", kTiny, {"none"}), number("scale", "auto", kTiny),
                                number("norm_eps", "1e-6", kTiny)})});
  table.push_back({LayerKind::GatedMlp,
                   "gated_mlp",
                   "mlp",
                   1,
                   {integer("hidden", "", 1, kMaxHidden), word("activation", "silu", {"silu", "gelu"})}});
  table.push_back({LayerKind::Linear, "linear", "linear", 1, {integer("out", "", 1, kMaxWidth), flag("bias")}});
  table.push_back({LayerKind::Unembed,
                   "unembed",
                   "unembed",
                   1,
                   {word("weights", "", {"tied", "untied"}), number("soft_cap", "none", kTiny, {"none"})}});
  table.push_back({LayerKind::CrossEntropy, "cross_entropy", "loss", 0, {}});
  return table;
}

const std::vector<LayerSpec> &table() {
  static const std::vector<LayerSpec> specs = makeTable();
  return specs;
}

std::set<std::string_view> makeWords() {
  std::set<std::string_view> words = {"true", "false"};
  for (const LayerSpec &layer : table())
    for (const OptionSpec &option : layer.options)
      words.insert(option.words.begin(), option.words.end());
  return words;
}

} // namespace

const OptionSpec *LayerSpec::option(std::string_view name) const {
  for (const OptionSpec &option : options)
    if (option.name == name)
      return &option;
  return nullptr;
}

std::span<const LayerSpec> layerSpecs() { return table(); }

const LayerSpec *findLayer(std::string_view name) {
  for (const LayerSpec &layer : table())
    if (layer.name == name)
      return &layer;
  return nullptr;
}

bool isWord(std::string_view name) {
  static const std::set<std::string_view> words = makeWords();
  return words.contains(name);
}

} // namespace oriel::frontend
