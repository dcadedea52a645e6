#include "compiler/codegen/nvidia/Pipelining.h"
#include "compiler/codegen/nvidia/HoistCopies.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

SmallVector<Operation *> makersOfPlaces(scf::ForOp loop, ArrayRef<tile::LoadOp> loads) {
  Block *body = loop.getBody();
  llvm::DenseSet<Operation *> makers;
  SmallVector<Operation *> open(loads.begin(), loads.end());
  while (!open.empty())
    for (Value operand : open.pop_back_val()->getOperands())
      if (Operation *maker = operand.getDefiningOp(); maker && maker->getBlock() == body && makers.insert(maker).second)
        open.push_back(maker);
  SmallVector<Operation *> ordered;
  for (Operation &op : *body)
    if (makers.contains(&op))
      ordered.push_back(&op);
  return ordered;
}

/// Whether the places of the load are known as soon as the counter is: no carried value and no memory has a part in
/// them.
static bool followsFromCounter(tile::LoadOp load, scf::ForOp loop) {
  SmallVector<Operation *> ops = makersOfPlaces(loop, load);
  if (!llvm::all_of(ops, [](Operation *op) { return isPure(op) && op->getNumRegions() == 0; }))
    return false;
  ops.push_back(load);
  return llvm::none_of(ops, [&](Operation *op) {
    return llvm::any_of(op->getOperands(),
                        [&](Value operand) { return llvm::is_contained(loop.getRegionIterArgs(), operand); });
  });
}

SmallVector<tile::LoadOp> loadsToStartAhead(scf::ForOp loop, tile::KernelOp kernel) {
  SmallVector<tile::LoadOp> loads;
  bool hasOthers = false;
  loop.walk([&](tile::LoadOp load) {
    if (!isReadByProductsOnly(load))
      return;
    bool canStart = load->getBlock() == loop.getBody() && followsFromCounter(load, loop) &&
                    !mayWrite(loop, load.getBuffer(), kernel);
    canStart ? loads.push_back(load) : void(hasOthers = true);
  });
  return hasOthers ? SmallVector<tile::LoadOp>() : loads;
}

} // namespace oriel::codegen::nvidia
