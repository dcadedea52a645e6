// Memory by which the registers of an instruction pass to the emulator and back: its functions take pointers.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_REGISTERMEMORY_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_REGISTERMEMORY_H

#include "llvm/ADT/DenseMap.h"
#include "llvm/IR/IRBuilder.h"

namespace oriel::codegen::nvidia {

/// Emits at the builder's place; the memory itself is part of a function's frame.
class RegisterMemory {
public:
  explicit RegisterMemory(llvm::IRBuilder<> &b) : b_(b) {}

  /// For `call` alone.
  llvm::Value *fresh(llvm::CallInst &call, llvm::Type *element, unsigned count);
  /// For `count` accumulators of wgmma, and for four registers of its first operand. All calls of a function share these:
  /// a fiber's stack is small.
  llvm::Value *accumulators(llvm::Function &function, int64_t count);
  llvm::Value *fragment(llvm::Function &function);

  void store(llvm::ArrayRef<llvm::Value *> registers, llvm::Value *memory);
  /// One register for each member of the struct, all of one type.
  llvm::Value *load(llvm::Type *structType, llvm::Value *memory);

private:
  llvm::IRBuilder<> &b_;
  llvm::DenseMap<llvm::Function *, llvm::AllocaInst *> accumulators_, fragments_;
};

} // namespace oriel::codegen::nvidia

#endif
