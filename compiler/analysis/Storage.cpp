#include "compiler/analysis/Storage.h"

#include "dialects/tile/TileOps.h"

#include <limits>

using namespace mlir;

namespace oriel::analysis {

StoragePlace StorageMap::placeOf(Value value) const {
  StoragePlace place = places_.lookup(value);
  while (storages_[place.storage].merged) {
    const StoragePlace &parent = parents_[place.storage];
    place = {parent.storage, place.offset + parent.offset, place.rankStride + parent.rankStride};
  }
  return place;
}

void StorageMap::define(Value value) {
  unsigned index = storages_.size();
  storages_.push_back({tape::sizeInBytes(value.getType()), nullptr, std::numeric_limits<int64_t>::max(), -1, false});
  parents_.push_back({index, 0, 0});
  places_[value] = {index, 0, 0};
}

void StorageMap::alias(Value value, Value source, int64_t offset, int64_t rankStride) {
  StoragePlace place = placeOf(source);
  places_[value] = {place.storage, place.offset + offset, place.rankStride + rankStride};
}

/// The operand becomes a copy of itself, made just before its owner.
Value StorageMap::copyBefore(OpOperand &operand) {
  OpBuilder builder(operand.getOwner());
  Value source = operand.get();
  Value copy = tape::CopyOp::create(builder, operand.getOwner()->getLoc(), source.getType(), source, ArrayAttr());
  operand.set(copy);
  define(copy);
  return copy;
}

bool StorageMap::overlap(Value a, Value b) const {
  StoragePlace aPlace = placeOf(a), bPlace = placeOf(b);
  if (aPlace.storage != bPlace.storage)
    return false;
  if (aPlace.rankStride != bPlace.rankStride) // a slice and a whole: on some rank they meet
    return true;
  return aPlace.offset < bPlace.offset + tape::sizeInBytes(b.getType()) &&
         bPlace.offset < aPlace.offset + tape::sizeInBytes(a.getType());
}

/// Whether the old contents of `init` are read by its owner through another operand, or by a later op.
bool StorageMap::isReadAgain(OpOperand &init) const {
  Operation *op = init.getOwner();
  for (OpOperand &operand : op->getOpOperands())
    if (&operand != &init && overlap(operand.get(), init.get()))
      return true;
  for (auto &[other, unused] : places_)
    if (overlap(other, init.get()) &&
        llvm::any_of(other.getUsers(), [&](Operation *user) { return op->isBeforeInBlock(user); }))
      return true;
  return false;
}

void StorageMap::updateInPlace(Value result, OpOperand &init) {
  tape::PlaceAttr pinned = storages_[placeOf(init.get()).storage].pinned;
  bool readOnly = pinned && pinned.getBuffer() == tape::constantsBuffer;
  if (readOnly || isReadAgain(init))
    copyBefore(init);
  alias(result, init.get());
}

bool StorageMap::isFreshAndWhole(Value value) const {
  StoragePlace place = placeOf(value);
  const Storage &storage = storages_[place.storage];
  return !storage.pinned && place.offset == 0 && place.rankStride == 0 &&
         storage.bytes == tape::sizeInBytes(value.getType());
}

void StorageMap::mergeInto(Value whole, OpOperand &part, int64_t offset, int64_t rankStride) {
  StoragePlace to = placeOf(whole);
  if (!isFreshAndWhole(part.get()) || placeOf(part.get()).storage == to.storage)
    copyBefore(part);
  unsigned from = placeOf(part.get()).storage;
  storages_[from].merged = true;
  parents_[from] = {to.storage, to.offset + offset, to.rankStride + rankStride};
}

/// An input that the kernel lets fresh result `number` replace, if this call is the last to read it; null if there is
/// none. `taken` are inputs that other results have replaced.
Value StorageMap::replaceableInput(tape::CallOp call, unsigned number, SmallVectorImpl<Value> &taken) const {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(call, call.getCalleeAttr());
  if (!kernel)
    return {};
  for (int64_t input : kernel.getReplaceable(call.getInputs().size() + number)) {
    OpOperand &operand = call->getOpOperand(input);
    if (!isFreshAndWhole(operand.get()) || llvm::is_contained(taken, operand.get()) || isReadAgain(operand))
      continue;
    taken.push_back(operand.get());
    return operand.get();
  }
  return {};
}

void StorageMap::addCall(tape::CallOp call) {
  SmallVector<Value> taken;
  for (auto [i, result] : llvm::enumerate(call.getOutputs())) {
    if (call.getTied(i))
      updateInPlace(result, call.getInitsMutable()[call.getTies()[i]]);
    else if (Value input = replaceableInput(call, i, taken)) {
      alias(result, input);
      writtenOver_.insert(result);
    } else
      define(result);
  }
}

void StorageMap::addOp(Operation &op) {
  if (auto view = dyn_cast<tape::ViewOp>(op)) {
    int64_t width = cast<ShapedType>(view.getType()).getElementTypeBitWidth() / 8;
    alias(view, view.getSource(), view.getOffset() * width);
  } else if (auto shard = dyn_cast<tape::ShardOp>(op)) {
    alias(shard, shard.getWhole(), 0, tape::sizeInBytes(shard.getType()));
  } else if (auto scatter = dyn_cast<tape::ReduceScatterOp>(op)) {
    alias(scatter.getSlice(), scatter.getWhole(), 0, tape::sizeInBytes(scatter.getSlice().getType()));
    define(scatter.getScratch());
  } else if (auto gather = dyn_cast<tape::AllGatherOp>(op)) {
    int64_t sliceBytes = tape::sizeInBytes(gather.getSlice().getType());
    if (placeOf(gather.getSlice()).rankStride == sliceBytes) { // the slice already lies inside a whole
      alias(gather.getWhole(), gather.getSlice(), 0, -sliceBytes);
      return;
    }
    define(gather.getWhole());
    mergeInto(gather.getWhole(), gather.getSliceMutable(), 0, sliceBytes);
  } else if (auto concat = dyn_cast<tape::ConcatOp>(op)) {
    define(concat);
    int64_t offset = 0;
    for (OpOperand &part : concat->getOpOperands()) {
      mergeInto(concat, part, offset, 0);
      offset += tape::sizeInBytes(part.get().getType());
    }
  } else if (auto matmul = dyn_cast<tape::MatmulOp>(op); matmul && matmul.getInit()) {
    updateInPlace(matmul, *matmul.getInitMutable().begin());
  } else if (auto call = dyn_cast<tape::CallOp>(op)) {
    addCall(call);
  } else {
    for (Value result : op.getResults())
      define(result);
  }
}

void StorageMap::pinResult(tape::ProgramOp program, OpOperand &result) {
  tape::PlaceAttr wanted = program.getResultPlace(result.getOperandNumber());
  StoragePlace place = placeOf(result.get());
  if (tape::PlaceAttr pinned = storages_[place.storage].pinned) {
    auto actual = tape::PlaceAttr::get(program.getContext(), pinned.getBuffer(), pinned.getOffset() + place.offset,
                                       pinned.getRankStride() + place.rankStride);
    if (actual == wanted)
      return;
  }
  if (!isFreshAndWhole(result.get()))
    copyBefore(result);
  storages_[placeOf(result.get()).storage].pinned = wanted;
}

void StorageMap::computeLifetimes(tape::ProgramOp program) {
  auto touch = [&](Value value, int64_t step) {
    Storage &storage = storages_[placeOf(value).storage];
    storage.firstStep = std::min(storage.firstStep, step);
    storage.lastStep = std::max(storage.lastStep, step);
  };
  int64_t step = 0;
  for (Operation &op : program.getBody().front()) {
    for (Value operand : op.getOperands())
      touch(operand, step);
    for (Value result : op.getResults())
      touch(result, step);
    ++step;
  }
}

StorageMap StorageMap::build(tape::ProgramOp program) {
  StorageMap map;
  Block &body = program.getBody().front();
  for (BlockArgument argument : body.getArguments()) {
    map.define(argument);
    map.storages_.back().pinned = program.getArgumentPlace(argument.getArgNumber());
  }
  for (Operation &op : body.without_terminator()) {
    map.addOp(op);
    if (auto constant = dyn_cast<tape::ConstantOp>(op))
      map.storages_[map.placeOf(constant).storage].pinned =
          constant.getAt() ? cast<tape::PlaceAttr>((*constant.getAt())[0])
                           : tape::PlaceAttr::get(program.getContext(), tape::constantsBuffer, 0, 0);
  }
  for (OpOperand &result : body.getTerminator()->getOpOperands())
    map.pinResult(program, result);
  map.computeLifetimes(program);
  return map;
}

} // namespace oriel::analysis
