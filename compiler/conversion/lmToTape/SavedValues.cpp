#include "compiler/conversion/lmToTape/SavedValues.h"

#include "dialects/tape/TapeOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace oriel::conversion {
namespace {

/// The value whose memory `value` shows.
Value viewed(Value value) {
  while (auto view = value.getDefiningOp<tape::ViewOp>())
    value = view.getSource();
  return value;
}

std::string layerOf(Operation *op) {
  auto name = dyn_cast<NameLoc>(op->getLoc());
  return name ? name.getName().str() : op->getParentOfType<tape::ProgramOp>().getSymName().str();
}

bool isUsedBehind(Value value, Operation *mark) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) { return mark->isBeforeInBlock(user); });
}

} // namespace

void listSavedValues(Operation *lastForward) {
  llvm::SetVector<Value> saved;
  for (Operation &op : *lastForward->getBlock()) {
    for (Value result : op.getResults())
      if (isUsedBehind(result, lastForward) && viewed(result).getDefiningOp() &&
          !viewed(result).getDefiningOp<tape::ConstantOp>())
        saved.insert(viewed(result));
    if (&op == lastForward)
      break;
  }
  llvm::MapVector<StringRef, SmallVector<Value>> layers;
  llvm::StringMap<char> names; // owns the keys of `layers`
  for (Value value : saved)
    layers[names.try_emplace(layerOf(value.getDefiningOp())).first->getKey()].push_back(value);
  OpBuilder builder(lastForward->getContext());
  builder.setInsertionPointAfter(lastForward);
  for (auto &[layer, values] : layers) {
    int64_t bytes = 0;
    for (Value value : values)
      bytes += tape::sizeInBytes(value.getType());
    tape::SaveOp::create(builder, values.front().getLoc(), layer, values, bytes);
  }
}

} // namespace oriel::conversion
