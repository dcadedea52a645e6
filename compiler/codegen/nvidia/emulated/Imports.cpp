#include "compiler/codegen/nvidia/emulated/Imports.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace oriel::codegen::nvidia {

Constant *constantText(Module &module, StringRef characters) {
  auto *array = ConstantDataArray::getString(module.getContext(), characters);
  auto *global = new GlobalVariable(module, array->getType(), true, GlobalValue::PrivateLinkage, array);
  global->setUnnamedAddr(GlobalValue::UnnamedAddr::Global);
  return global;
}

Imports::Imports(Module &module)
    : module_(module), entryType_(StructType::get(PointerType::get(module.getContext(), 0),
                                                  PointerType::get(module.getContext(), 0))),
      unsized_(new GlobalVariable(module, ArrayType::get(entryType_, 0), false, GlobalValue::ExternalLinkage, nullptr,
                                  "")) {}

/// Nobody changes an entry once kernels run.
Value *Imports::call(IRBuilder<> &b, StringRef name, Type *result, ArrayRef<Value *> arguments) {
  SmallVector<Type *> types;
  for (Value *argument : arguments)
    types.push_back(argument->getType());
  auto index = static_cast<uint64_t>(functions_.insert({name.str(), functions_.size()}).first->second);
  Value *slot = b.CreateConstInBoundsGEP2_64(entryType_, b.CreateConstGEP1_64(entryType_, unsized_, index), 0, 1);
  LoadInst *address = b.CreateLoad(b.getPtrTy(), slot);
  address->setMetadata(LLVMContext::MD_invariant_load, MDNode::get(module_.getContext(), {}));
  return b.CreateCall(FunctionType::get(result, types, false), address, arguments);
}

void Imports::writeTable() {
  SmallVector<Constant *> entries;
  auto *unknown = ConstantPointerNull::get(PointerType::get(module_.getContext(), 0));
  for (const auto &[name, index] : functions_)
    entries.push_back(ConstantStruct::get(entryType_, {constantText(module_, name), unknown}));
  entries.push_back(ConstantAggregateZero::get(entryType_));
  auto *arrayType = ArrayType::get(entryType_, entries.size());
  auto *table = new GlobalVariable(module_, arrayType, false, GlobalValue::PrivateLinkage,
                                   ConstantArray::get(arrayType, entries));
  unsized_->replaceAllUsesWith(table);
  unsized_->eraseFromParent();
  unsized_ = table;
}

} // namespace oriel::codegen::nvidia
