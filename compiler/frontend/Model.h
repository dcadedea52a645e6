// The elaborated model: repeats unrolled, blocks expanded, options resolved and checked, every layer named. What the
// importer turns into lm ops, and still free of MLIR.
#ifndef ORIEL_COMPILER_FRONTEND_MODEL_H
#define ORIEL_COMPILER_FRONTEND_MODEL_H

#include "compiler/frontend/Layers.h"
#include "compiler/frontend/Source.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace oriel::frontend {

/// The number of a layer that is part of no numbered layer: embed, final_norm, unembed.
inline constexpr int64_t kUnnumbered = -1;

/// One use of a built-in layer.
struct LayerUse {
  const LayerSpec *spec = nullptr;
  SourceRange range;
  std::string path;             ///< "layers.0.mixer", "final_norm"
  int64_t number = kUnnumbered; ///< The numbered layer it belongs to.
  int64_t width = 0;            ///< M of its input.
  /// The resolved options. Words are views into the table of layers. An `auto` option that was not given is absent.
  std::map<std::string_view, std::variant<int64_t, double, bool, std::string_view>> options;

  // Readers for options whose type is known from the table.
  int64_t integer(std::string_view name) const { return std::get<int64_t>(options.at(name)); }
  bool isOn(std::string_view name) const { return std::get<bool>(options.at(name)); }
  std::string_view word(std::string_view name) const { return std::get<std::string_view>(options.at(name)); }
  bool has(std::string_view name) const { return options.contains(name); }
  /// A Number option; `forWord` when it holds a word such as `none`.
  double numberOr(std::string_view name, double forWord) const;
  /// An Integer option; `forWord` when it holds a word such as `full`.
  int64_t integerOr(std::string_view name, int64_t forWord) const;
};

/// A layer, or a residual stream around elements: y = x + body(x).
struct Element {
  bool isResidual = false;
  LayerUse layer;            ///< When not residual.
  std::vector<Element> body; ///< When residual.
  SourceRange range;
  int64_t number = kUnnumbered;
};

struct Model {
  std::string name;
  LayerUse embed;
  std::vector<Element> trunk; ///< Between embed and unembed, in order.
  LayerUse unembed;
  int64_t vocab = 0;
  int64_t width = 0;         ///< M behind embed.
  int64_t layerCount = 0;    ///< Numbered layers.
  int64_t residualCount = 0; ///< Residual streams; two per layer in the usual transformer.
  double initStd = 0.02;
  bool isTied() const { return unembed.word("weights") == "tied"; }
};

} // namespace oriel::frontend

#endif
