// Where a block needs a barrier: what its threads have read and written since the last one.
//
// A resource is a range of shared memory or a buffer. A read of what another thread may have written, or a write of
// what another thread may still read, is ordered by a barrier; anything else is not. Copies by cp.async land at a wait
// before the barrier; copies by TMA at the wait of each thread for their mbarrier, which is all that a reader needs;
// products by wgmma read until a wait.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_HAZARDS_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_HAZARDS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace oriel::codegen::nvidia {

/// Bytes [begin, end) of shared memory (space 0), or the whole of buffer number `space` - 1.
struct Resource {
  int64_t space = 0, begin = 0, end = 1;
  bool overlaps(const Resource &other) const { return space == other.space && begin < other.end && other.begin < end; }
};

/// What must be emitted before an access.
struct Ordering {
  bool barrier = false;
  int waitGroups = -1; ///< cp.async groups that may stay in flight; -1: no wait
  int products = -1;   ///< wgmma groups that may stay in flight; -1: no wait
  llvm::SmallVector<int64_t, 2> mbarriers = {}; ///< whose copies are waited for; a second wait for one is none
};

class Hazards {
public:
  Ordering beforeRead(const Resource &resource);
  Ordering beforeWrite(const Resource &resource);
  /// A copy by cp.async, which reads and writes until it is waited for. Call after beforeRead and beforeWrite; each is
  /// a group of its own.
  void startCopy(const Resource &from, const Resource &to) { copies_.push_back({from, to}); }
  /// A copy by TMA, from a buffer that nobody writes, which writes until mbarrier number `mbarrier` is waited for. Call
  /// after beforeWrite.
  void startTensorCopy(int64_t mbarrier, const Resource &to) { tensorCopies_.push_back({mbarrier, to}); }
  /// A product by wgmma, a group of its own, which reads `operands` until it is waited for.
  void startProduct(llvm::ArrayRef<Resource> operands) { products_.emplace_back(operands.begin(), operands.end()); }
  /// The oldest `count` products were waited for: this thread reads their operands no more, others may.
  void finishProducts(size_t count);
  void addRead(const Resource &resource) { reads_.push_back(resource); }
  void addWrite(const Resource &resource) { writes_.push_back(resource); }
  void afterBarrier();

  bool isClear() const { return reads_.empty() && writes_.empty() && copies_.empty(); }
  /// What to emit so that everything before is ordered with everything after; products are waited for already.
  Ordering beforeAll() const;
  /// What to emit at the end of a branch that started with `before`: copies that it started are waited for, since the
  /// other way does not know of them.
  Ordering beforeLeavingBranch(const Hazards &before);
  /// Either of two ways led here; both have the same copies in flight.
  void mergeWith(const Hazards &other);

private:
  struct Copy {
    Resource from, to;
  };
  struct TensorCopy {
    int64_t mbarrier;
    Resource to;
  };
  llvm::SmallVector<int64_t, 2> landTensorCopies(llvm::function_ref<bool(const TensorCopy &)> lands);
  Ordering order(bool conflict, llvm::function_ref<bool(const Copy &)> conflictsWith);

  llvm::SmallVector<Resource> reads_, writes_;
  llvm::SmallVector<Copy> copies_;                             // in flight, oldest first
  llvm::SmallVector<TensorCopy> tensorCopies_;                 // in flight, as far as is known
  llvm::SmallVector<llvm::SmallVector<Resource, 2>> products_; // in flight, oldest first
};

} // namespace oriel::codegen::nvidia

#endif
