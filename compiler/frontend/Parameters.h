// Names of layers and the trainable parameters behind them. The last step of sema, and the one list that the importer,
// checkpoints and the optimizer agree on.
//
// A path is "layers.N.ROLE" in a numbered layer, "ROLE" outside. ROLE is mixer, mlp, linear or norm; norms count from 1
// (norm1, norm2), a second mixer of the same layer is mixer2. The rms_norm right in front of unembed is "final_norm".
#ifndef ORIEL_COMPILER_FRONTEND_PARAMETERS_H
#define ORIEL_COMPILER_FRONTEND_PARAMETERS_H

#include "compiler/frontend/Model.h"

#include <string>
#include <vector>

namespace oriel::frontend {

enum class Init { Normal, Zeros, Ones };

struct Parameter {
  std::string name; ///< "layers.0.mixer.wq"
  std::vector<int64_t> shape;
  Init init = Init::Normal;
  double std = 0; ///< Normal only.
  bool decay = false;

  /// Saturates at INT64_MAX.
  int64_t elements() const;
};

/// Sets LayerUse::path everywhere.
void nameLayers(Model &model);

/// The parameters of one named layer, in a fixed order. Matrices start at normal(0, init_std); those that write into a
/// residual stream (wo, down) are smaller by sqrt(residual streams), so that the sum keeps its size (GPT-2). Norms
/// start at the identity. Weight decay is for matrices; not for norms, biases, scales and learned tokens.
std::vector<Parameter> parametersOf(const LayerUse &layer, const Model &model);

/// All parameters of a model in the order of use: embed first, unembed.weight (when untied) last.
std::vector<Parameter> parametersOf(const Model &model);

/// Saturates at INT64_MAX.
int64_t countElements(const std::vector<Parameter> &parameters);

} // namespace oriel::frontend

#endif
