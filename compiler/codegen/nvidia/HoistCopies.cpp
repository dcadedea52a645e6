#include "compiler/codegen/nvidia/HoistCopies.h"
#include "compiler/codegen/nvidia/BufferAccess.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

bool isReadByProductsOnly(tile::LoadOp load) {
  if (load.getTile().use_empty() || !isCopyable(load))
    return false;
  SmallVector<Value> views = {load.getTile()};
  for (size_t i = 0; i < views.size(); ++i)
    for (OpOperand &use : views[i].getUses()) {
      auto dot = dyn_cast<tile::DotOp>(use.getOwner());
      if (auto transpose = dyn_cast<tile::TransposeOp>(use.getOwner()))
        views.push_back(transpose.getResult());
      else if (!dot || use.get() == dot.getAcc())
        return false;
    }
  return true;
}

bool mayWrite(Operation *op, Value buffer, tile::KernelOp kernel) {
  unsigned number = cast<BlockArgument>(buffer).getArgNumber();
  auto writes = [&](Value written) {
    unsigned output = cast<BlockArgument>(written).getArgNumber();
    return written == buffer || llvm::is_contained(kernel.getReplaceable(output), int64_t(number));
  };
  return op
      ->walk([&](Operation *inner) {
        auto store = dyn_cast<tile::StoreOp>(inner);
        auto scatter = dyn_cast<tile::ScatterAddOp>(inner);
        bool isWrite = (store && writes(store.getBuffer())) || (scatter && writes(scatter.getBuffer()));
        return isWrite ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

void hoistCopies(tile::KernelOp kernel) {
  SmallVector<tile::LoadOp> loads;
  kernel.walk([&](tile::LoadOp load) {
    if (isReadByProductsOnly(load))
      loads.push_back(load);
  });
  for (tile::LoadOp load : loads) {
    // Builders put constants where they are used; they would hold the load there.
    for (Value operand : load->getOperands())
      if (auto constant = operand.getDefiningOp<arith::ConstantOp>())
        constant->moveBefore(&constant->getBlock()->front());
    Operation *place = load;
    auto stops = [&](Operation *before) {
      return llvm::is_contained(loads, dyn_cast<tile::LoadOp>(before)) || mayWrite(before, load.getBuffer(), kernel) ||
             llvm::any_of(load->getOperands(), [&](Value operand) { return operand.getDefiningOp() == before; });
    };
    while (Operation *before = place->getPrevNode()) {
      if (stops(before))
        break;
      place = before;
    }
    if (place != load)
      load->moveBefore(place);
  }
}

} // namespace oriel::codegen::nvidia
