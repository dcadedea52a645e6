// Instructions that only a GPU has become calls of the emulator (runtime/device/cuda/emulated/Intrinsics.h).
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_EMULATORCALLS_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_EMULATORCALLS_H

#include "compiler/codegen/nvidia/WarpgroupInstruction.h"
#include "compiler/codegen/nvidia/emulated/Imports.h"
#include "compiler/codegen/nvidia/emulated/RegisterMemory.h"

namespace oriel::codegen::nvidia {

/// A value, or each of a vector, as the GPU rounds it: a host's own instruction takes denormal numbers for zeros.
llvm::Value *roundToBf16(llvm::IRBuilder<> &b, Imports &imports, llvm::Value *from, llvm::Type *to);

class EmulatorCalls {
public:
  EmulatorCalls(llvm::Module &module, Imports &imports);

  /// Replaces the instruction if the host has none like it. Returns an empty string, or what the emulator does not know.
  std::string rewrite(llvm::Instruction &inst);

private:
  using Value = llvm::Value;
  using CallInst = llvm::CallInst;

  std::string rewriteCall(CallInst &call);
  std::string rewriteIntrinsic(CallInst &call);
  std::string rewriteAssembly(CallInst &call, llvm::StringRef text);
  std::string rewriteProduct(CallInst &call, const WarpgroupInstruction &product);

  std::string replace(llvm::Instruction &inst, Value *value);
  Value *emit(llvm::StringRef name, llvm::Type *result, llvm::ArrayRef<Value *> arguments) {
    return imports_.call(b_, name, result, arguments);
  }
  /// The call's arguments, pointers without their address space.
  llvm::SmallVector<Value *> argumentsOf(CallInst &call);
  Value *generic(Value *pointer) { return b_.CreateAddrSpaceCast(pointer, b_.getPtrTy()); }
  Value *inF32(llvm::BinaryOperator &binary);

  Value *shuffle(CallInst &call, llvm::StringRef name);
  Value *loadMatrices(CallInst &call, bool transposed);
  Value *multiply(CallInst &call, llvm::StringRef name);
  Value *copyTensor(CallInst &call, unsigned rank);
  Value *waitForMbarrier(CallInst &call);
  Value *elect(CallInst &call);
  Value *waitForProducts(Value *registers, int64_t count, Value *inFlight);

  llvm::IRBuilder<> b_;
  Imports &imports_;
  RegisterMemory memory_;
};

} // namespace oriel::codegen::nvidia

#endif
