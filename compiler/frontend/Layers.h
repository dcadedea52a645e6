// The built-in layers of the language and their options, as one table: sema checks arguments against it, messages list
// names out of it, and README.md shows it to people. What a layer means is decided by the importer.
#ifndef ORIEL_COMPILER_FRONTEND_LAYERS_H
#define ORIEL_COMPILER_FRONTEND_LAYERS_H

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace oriel::frontend {

enum class LayerKind {
  Embed,
  RmsNorm,
  RAttention,
  Attention,
  LinearAttention,
  GatedMlp,
  Linear,
  Unembed,
  CrossEntropy
};

/// What an option takes.
enum class OptionType {
  Integer, ///< A whole number in [least, most], or one of `words`.
  Number,  ///< A number in [least, most], or one of `words`.
  Switch,  ///< true or false; its bare name means true.
  Word,    ///< One of `words`.
};

struct OptionSpec {
  std::string_view name;
  OptionType type = OptionType::Integer;
  /// The value when it is not given, in the language's own spelling; empty: it must be given; "=other": the value of
  /// the option `other`; "auto": left to the importer.
  std::string_view fallback;
  double least = 0;
  double most = 0;
  std::vector<std::string_view> words;
};

struct LayerSpec {
  LayerKind kind;
  std::string_view name;
  /// Names it in messages ("unknown mixer …") and in parameter paths ("layers.0.mixer").
  std::string_view role;
  /// How many options, from the first, can be given by position.
  unsigned positional = 0;
  std::vector<OptionSpec> options;

  const OptionSpec *option(std::string_view name) const;
};

std::span<const LayerSpec> layerSpecs();
/// Null when there is no such layer.
const LayerSpec *findLayer(std::string_view name);

/// Words that stand for themselves (silu, full, none, tied …): every word of every option, and true and false.
bool isWord(std::string_view name);

} // namespace oriel::frontend

#endif
