// Work on every kernel of a module, side by side.
#ifndef ORIEL_COMPILER_CODEGEN_EACHKERNEL_H
#define ORIEL_COMPILER_CODEGEN_EACHKERNEL_H

#include "dialects/tile/TileOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Threading.h"
#include "llvm/ADT/STLExtras.h"

namespace oriel::codegen {

/// Calls work(kernel, number) once for every kernel of `module`, on the threads of its context; the numbers count kernels
/// in the order of the module, those of most ops are begun first. Fails if a call does.
inline llvm::LogicalResult
forEachKernel(mlir::ModuleOp module, llvm::function_ref<llvm::LogicalResult(tile::KernelOp, size_t)> work) {
  struct Item {
    tile::KernelOp kernel;
    size_t number;
    int64_t ops = 0;
  };
  std::vector<Item> items;
  for (auto kernel : module.getOps<tile::KernelOp>()) {
    Item &item = items.emplace_back(Item{kernel, items.size()});
    kernel->walk([&](mlir::Operation *) { ++item.ops; });
  }
  llvm::stable_sort(items, [](const Item &a, const Item &b) { return a.ops > b.ops; });
  return mlir::failableParallelForEach(module.getContext(), items,
                                       [&](const Item &item) { return work(item.kernel, item.number); });
}

} // namespace oriel::codegen

#endif
