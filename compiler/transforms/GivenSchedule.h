// A person's schedule: tape.schedule and tape.tiles ops read from a file.
#ifndef ORIEL_COMPILER_TRANSFORMS_GIVENSCHEDULE_H
#define ORIEL_COMPILER_TRANSFORMS_GIVENSCHEDULE_H

#include "compiler/transforms/PoseProblem.h"
#include "dialects/tape/TapeOps.h"
#include "llvm/ADT/MapVector.h"

namespace oriel::transforms {

class GivenSchedule {
public:
  /// Reads `file`; errors are at its lines.
  static mlir::FailureOr<GivenSchedule> read(mlir::MLIRContext *context, llvm::StringRef file);

  GivenDecision find(llvm::StringRef path) const;
  /// Attribute givenTilesAttr for the op of `path`; null without given tiles.
  mlir::DictionaryAttr tilesOf(llvm::StringRef path) const;

  /// Whether the file speaks of ops and mixers of `sites` only, and of each in its words. `sites` are those of all
  /// differentiated functions of the module. Tiles are for GPUs only.
  mlir::LogicalResult check(llvm::ArrayRef<StepSites> sites, bool isGpu) const;

private:
  mlir::LogicalResult add(tape::TilesOp tiles);
  mlir::LogicalResult checkTiles(llvm::ArrayRef<StepSites> sites, bool isGpu) const;

  mlir::OwningOpRef<mlir::ModuleOp> file_;
  llvm::MapVector<llvm::StringRef, tape::ScheduleOp> decisions_;
  llvm::MapVector<llvm::StringRef, llvm::SmallVector<tape::TilesOp>> tiles_;
};

} // namespace oriel::transforms

#endif
