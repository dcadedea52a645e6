// From the text of a model to the tile kernels of its training step, as the compiler makes them for an NVIDIA GPU.
#ifndef ORIEL_TESTS_NUMERICS_NVIDIA_MODELKERNELS_H
#define ORIEL_TESTS_NUMERICS_NVIDIA_MODELKERNELS_H

#include "dialects/tile/TileOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include <cstdint>
#include <string>

namespace oriel::testing {

struct TrainingStep {
  std::string model; ///< text of a .oriel file
  int64_t batch, tokens;
  std::string chip = "sm_80"; ///< whose schedule it has
  bool isBf16 = false;
  std::string schedule = ""; ///< text of tape.schedule ops; empty: as the compiler chooses
};

/// A module of kernels and nothing else; null after a failure, which is printed.
mlir::OwningOpRef<mlir::ModuleOp> kernelsOf(const TrainingStep &step, mlir::MLIRContext &context);

} // namespace oriel::testing

#endif
