// Apart from the pass list, because dialect headers are what takes long to compile.
#include "compiler/pipeline/Pipeline.h"
#include "dialects/lm/LmDialect.h"
#include "dialects/tape/TapeOps.h"
#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace oriel::pipeline {

void registerDialects(mlir::DialectRegistry &registry) {
  registry
      .insert<lm::LmDialect, tape::TapeDialect, tile::TileDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect,
              mlir::math::MathDialect, mlir::memref::MemRefDialect, mlir::scf::SCFDialect>();
}

} // namespace oriel::pipeline
