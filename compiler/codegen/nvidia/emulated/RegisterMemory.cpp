#include "compiler/codegen/nvidia/emulated/RegisterMemory.h"

using namespace llvm;

namespace oriel::codegen::nvidia {

static AllocaInst *allocateIn(Function &function, Type *element, int64_t count) {
  BasicBlock &entry = function.getEntryBlock();
  return IRBuilder<>(&entry, entry.begin()).CreateAlloca(ArrayType::get(element, static_cast<uint64_t>(count)));
}

Value *RegisterMemory::fresh(CallInst &call, Type *element, unsigned count) {
  return allocateIn(*call.getFunction(), element, count);
}

/// Grown to the most that the function needs.
Value *RegisterMemory::accumulators(Function &function, int64_t count) {
  AllocaInst *&memory = accumulators_[&function];
  if (!memory)
    memory = allocateIn(function, b_.getFloatTy(), count);
  else if (memory->getAllocatedType()->getArrayNumElements() < static_cast<uint64_t>(count))
    memory->setAllocatedType(ArrayType::get(b_.getFloatTy(), static_cast<uint64_t>(count)));
  return memory;
}

Value *RegisterMemory::fragment(Function &function) {
  AllocaInst *&memory = fragments_[&function];
  if (!memory)
    memory = allocateIn(function, b_.getInt32Ty(), 4);
  return memory;
}

void RegisterMemory::store(ArrayRef<Value *> registers, Value *memory) {
  for (auto [i, value] : enumerate(registers))
    b_.CreateStore(value, b_.CreateConstInBoundsGEP1_32(value->getType(), memory, static_cast<unsigned>(i)));
}

Value *RegisterMemory::load(Type *structType, Value *memory) {
  Value *result = PoisonValue::get(structType);
  for (auto [i, type] : enumerate(cast<StructType>(structType)->elements())) {
    auto number = static_cast<unsigned>(i);
    Value *value = b_.CreateLoad(type, b_.CreateConstInBoundsGEP1_32(type, memory, number));
    result = b_.CreateInsertValue(result, value, number);
  }
  return result;
}

} // namespace oriel::codegen::nvidia
