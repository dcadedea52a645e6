// From the text of a `.oriel` model file to an lm module: what the driver calls.
//
// The language itself (grammar, a tour, how parameters are named) is described in README.md beside this file.
// Everything up to the elaborated model is free of MLIR and lives in the other headers of this folder; only the
// importer behind `importModel` builds IR. To format a file, include Format.h instead: it needs no MLIR.
#ifndef ORIEL_COMPILER_FRONTEND_FRONTEND_H
#define ORIEL_COMPILER_FRONTEND_FRONTEND_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Support/LLVM.h"
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace oriel::frontend {

/// What a model file leaves open.
struct ImportOptions {
  int64_t batch = 1;    ///< B: rows of one micro-batch.
  int64_t tokens = 128; ///< T: tokens of one row.
  /// Replace the values of model parameters: {"vocab", "32000"} acts like editing `vocab = …` in the file. The value is
  /// an expression of the language. A name that the model does not define is an error.
  std::vector<std::pair<std::string, std::string>> parameters = {};
};

/// Imports the one model of `text`. The module holds
///   @loss(tokens, targets, doc_start, parameters…) -> tensor<1xf32>       nats, summed over the targets
///   @logits(tokens, doc_start, position, parameters…) -> tensor<BxVxf32>
/// with `lm.role` on the inputs, `lm.param` on the parameters (the same list in both) and the module attributes
/// lm.model, lm.batch, lm.tokens, lm.vocab. Op locations are NameLocs that carry the layer path ("layers.0.mixer")
/// around the line of the model file. Loads the dialects it needs into `context`.
///
/// On failure every error is printed to `errors` as `path:line:col: error: …` with the source line, a caret and what to
/// write instead, and nothing is imported. Warnings go there too and do not fail. Any text whatever is safe to pass.
/// `path` is only used in messages and locations.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> importModel(mlir::MLIRContext &context, llvm::StringRef path,
                                                               llvm::StringRef text, const ImportOptions &options,
                                                               llvm::raw_ostream &errors);

} // namespace oriel::frontend

#endif
