// Which values of a tape program share memory, and how long each piece of memory is needed.
//
// A *storage* is one contiguous piece of memory. Every value is a place in a storage: fresh results begin one; views,
// slices and results tied to an `into` operand lie in an existing one; a result that its kernel may write over an input
// that nothing reads any more lies there; the parts of a concat are merged into the result's. A storage is pinned when
// the program says where it must be (arguments, results, constants); the others go to the arena.
#ifndef ORIEL_COMPILER_ANALYSIS_STORAGE_H
#define ORIEL_COMPILER_ANALYSIS_STORAGE_H

#include "dialects/tape/TapeOps.h"
#include "llvm/ADT/MapVector.h"

namespace oriel::analysis {

/// Where a value lies: byte `offset + rank * rankStride` of a storage.
struct StoragePlace {
  unsigned storage = 0;
  int64_t offset = 0;
  int64_t rankStride = 0;
};

struct Storage {
  int64_t bytes = 0;
  tape::PlaceAttr pinned; // null: arena
  int64_t firstStep = 0;  // first and last op of the program (by number) that touches it
  int64_t lastStep = 0;
  bool merged = false; // its values now lie in another storage
};

class StorageMap {
public:
  /// Walks the program in order. Where the memory rules of the dialect would be broken, a `tape.copy` is inserted:
  /// before an update in place whose old contents are read later, for a concat part that is not fresh memory of its
  /// own, and for a result that must be somewhere else than it lies.
  static StorageMap build(tape::ProgramOp program);

  StoragePlace placeOf(mlir::Value value) const;
  /// Whether `result` lies where an input of its op was, which nothing reads any more.
  bool isWrittenOver(mlir::Value result) const { return writtenOver_.contains(result); }
  llvm::ArrayRef<Storage> storages() const { return storages_; }

private:
  void define(mlir::Value value);
  void alias(mlir::Value value, mlir::Value source, int64_t offset = 0, int64_t rankStride = 0);
  void updateInPlace(mlir::Value result, mlir::OpOperand &init);
  void mergeInto(mlir::Value whole, mlir::OpOperand &part, int64_t offset, int64_t rankStride);
  bool isFreshAndWhole(mlir::Value value) const;
  bool overlap(mlir::Value a, mlir::Value b) const;
  bool isReadAgain(mlir::OpOperand &init) const;
  mlir::Value replaceableInput(tape::CallOp call, unsigned result, llvm::SmallVectorImpl<mlir::Value> &taken) const;
  void addCall(tape::CallOp call);
  mlir::Value copyBefore(mlir::OpOperand &operand);
  void addOp(mlir::Operation &op);
  void pinResult(tape::ProgramOp program, mlir::OpOperand &result);
  void computeLifetimes(tape::ProgramOp program);

  llvm::SmallVector<Storage> storages_;
  llvm::SmallVector<StoragePlace> parents_; // of merged storages
  llvm::MapVector<mlir::Value, StoragePlace> places_;
  llvm::DenseSet<mlir::Value> writtenOver_;
};

} // namespace oriel::analysis

#endif
