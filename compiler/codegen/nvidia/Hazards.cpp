#include "compiler/codegen/nvidia/Hazards.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"

namespace oriel::codegen::nvidia {

static bool anyOverlaps(llvm::ArrayRef<Resource> resources, const Resource &resource) {
  return llvm::any_of(resources, [&](const Resource &other) { return other.overlaps(resource); });
}

/// A copy in flight is waited for together with all older ones, and a barrier tells the other threads.
Ordering Hazards::order(bool conflict, llvm::function_ref<bool(const Copy &)> conflictsWith) {
  Ordering ordering{conflict};
  for (size_t i = copies_.size(); i-- > 0;)
    if (conflictsWith(copies_[i])) {
      ordering.barrier = true;
      ordering.waitGroups = static_cast<int>(copies_.size() - 1 - i);
      copies_.erase(copies_.begin(), copies_.begin() + i + 1);
      break;
    }
  if (ordering.barrier)
    afterBarrier();
  return ordering;
}

llvm::SmallVector<int64_t, 2> Hazards::landTensorCopies(llvm::function_ref<bool(const TensorCopy &)> lands) {
  llvm::SmallVector<int64_t, 2> mbarriers;
  llvm::erase_if(tensorCopies_, [&](const TensorCopy &copy) {
    if (!lands(copy))
      return false;
    mbarriers.push_back(copy.mbarrier);
    return true;
  });
  return mbarriers;
}

Ordering Hazards::beforeRead(const Resource &resource) {
  Ordering ordering =
      order(anyOverlaps(writes_, resource), [&](const Copy &copy) { return copy.to.overlaps(resource); });
  ordering.mbarriers = landTensorCopies([&](const TensorCopy &copy) { return copy.to.overlaps(resource); });
  return ordering;
}

Ordering Hazards::beforeWrite(const Resource &resource) {
  int products = -1;
  for (size_t i = products_.size(); i-- > 0 && products < 0;)
    if (anyOverlaps(products_[i], resource))
      products = static_cast<int>(products_.size() - 1 - i);
  if (products >= 0)
    finishProducts(products_.size() - products);
  Ordering ordering = order(anyOverlaps(writes_, resource) || anyOverlaps(reads_, resource), [&](const Copy &copy) {
    return copy.to.overlaps(resource) || copy.from.overlaps(resource);
  });
  ordering.products = products;
  ordering.mbarriers = landTensorCopies([&](const TensorCopy &copy) { return copy.to.overlaps(resource); });
  return ordering;
}

Ordering Hazards::beforeAll() const {
  Ordering ordering{!isClear(), copies_.empty() ? -1 : 0};
  for (const TensorCopy &copy : tensorCopies_)
    ordering.mbarriers.push_back(copy.mbarrier);
  return ordering;
}

void Hazards::finishProducts(size_t count) {
  for (size_t i = 0; i < count; ++i)
    reads_.append(products_[i]);
  products_.erase(products_.begin(), products_.begin() + count);
}

/// Copies in flight stay in flight.
void Hazards::afterBarrier() {
  reads_.clear();
  writes_.clear();
}

Ordering Hazards::beforeLeavingBranch(const Hazards &before) {
  Ordering ordering;
  ordering.mbarriers = landTensorCopies([&](const TensorCopy &copy) {
    return llvm::none_of(before.tensorCopies_,
                         [&](const TensorCopy &known) { return known.mbarrier == copy.mbarrier; });
  });
  if (copies_.size() == before.copies_.size())
    return ordering;
  for (const Copy &copy : copies_)
    writes_.push_back(copy.to); // landed, but not ordered for the other threads yet
  copies_.clear();
  ordering.waitGroups = 0;
  return ordering;
}

void Hazards::mergeWith(const Hazards &other) {
  reads_.append(other.reads_);
  writes_.append(other.writes_);
}

} // namespace oriel::codegen::nvidia
