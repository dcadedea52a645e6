#include "compiler/codegen/nvidia/emulator/Retarget.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace oriel::codegen::nvidia {

namespace {

class Retarget {
public:
  explicit Retarget(Module &module) : module_(module), b_(module.getContext()) {}

  std::string run() {
    SmallVector<Function *> kernels;
    for (Function &function : module_)
      if (!function.isDeclaration())
        kernels.push_back(&function);
    for (Function *kernel : kernels) {
      for (Instruction &inst : make_early_inc_range(instructions(*kernel)))
        if (std::string unknown = rewrite(inst); !unknown.empty())
          return unknown;
      kernel->setCallingConv(CallingConv::C);
      kernel->setAttributes(AttributeList()); // target-cpu and the like are NVPTX's
      addEntry(*kernel);
    }
    return {};
  }

private:
  std::string rewrite(Instruction &inst) {
    b_.SetInsertPoint(&inst);
    if (auto *call = dyn_cast<CallInst>(&inst))
      return rewriteCall(*call);
    if (isa<FPTruncInst>(inst) && inst.getType()->getScalarType()->isBFloatTy())
      replace(inst, roundToBf16(inst.getOperand(0), inst.getType()));
    return {};
  }

  std::string rewriteCall(CallInst &call) {
    Function *callee = call.getCalledFunction();
    if (!callee || !callee->getName().starts_with("llvm.nvvm."))
      return {};
    Type *f32 = b_.getFloatTy(), *i32 = b_.getInt32Ty();
    switch (callee->getIntrinsicID()) {
    case Intrinsic::nvvm_read_ptx_sreg_tid_x:
      return replace(call, emit("orielEmulatedThread", i32, {}));
    case Intrinsic::nvvm_read_ptx_sreg_ctaid_x:
    case Intrinsic::nvvm_read_ptx_sreg_ctaid_y:
    case Intrinsic::nvvm_read_ptx_sreg_ctaid_z: {
      int dim = callee->getName().back() - 'x';
      return replace(call, emit("orielEmulatedBlock", i32, {b_.getInt32(dim)}));
    }
    case Intrinsic::nvvm_barrier_cta_sync_aligned_all:
      emit("orielEmulatedBarrier", b_.getVoidTy(), {});
      call.eraseFromParent();
      return {};
    case Intrinsic::nvvm_ex2_approx:
      return replace(call, emit("orielEmulatedExp2", f32, {call.getArgOperand(0)}));
    case Intrinsic::nvvm_lg2_approx_f:
      return replace(call, emit("orielEmulatedLog2", f32, {call.getArgOperand(0)}));
    case Intrinsic::nvvm_rsqrt_approx_f:
      return replace(call, emit("orielEmulatedRsqrt", f32, {call.getArgOperand(0)}));
    case Intrinsic::nvvm_mma_m16n8k16_row_col_bf16:
      return replace(call, multiply(call));
    default:
      return callee->getName().str();
    }
  }

  Value *emit(StringRef name, Type *result, ArrayRef<Value *> arguments) {
    SmallVector<Type *> types;
    for (Value *argument : arguments)
      types.push_back(argument->getType());
    return b_.CreateCall(module_.getOrInsertFunction(name, FunctionType::get(result, types, false)), arguments);
  }

  std::string replace(Instruction &inst, Value *value) {
    inst.replaceAllUsesWith(value);
    inst.eraseFromParent();
    return {};
  }

  /// Fragments go through memory: a[4], b[2], c[4] in, d[4] out.
  Value *multiply(CallInst &call) {
    Function *function = call.getFunction();
    IRBuilder<> entry(&function->getEntryBlock(), function->getEntryBlock().begin());
    auto slot = [&](Type *element, unsigned count) { return entry.CreateAlloca(ArrayType::get(element, count)); };
    Value *a = slot(b_.getInt32Ty(), 4), *b = slot(b_.getInt32Ty(), 2), *c = slot(b_.getFloatTy(), 4), *d = slot(b_.getFloatTy(), 4);
    for (unsigned i = 0; i < call.arg_size(); ++i) {
      Value *base = i < 4 ? a : i < 6 ? b : c;
      unsigned index = i < 4 ? i : i < 6 ? i - 4 : i - 6;
      Value *argument = call.getArgOperand(i);
      b_.CreateStore(argument, b_.CreateConstInBoundsGEP1_32(argument->getType(), base, index));
    }
    emit("orielEmulatedMma", b_.getVoidTy(), {a, b, c, d});
    Value *result = PoisonValue::get(call.getType());
    for (unsigned i = 0; i < 4; ++i)
      result = b_.CreateInsertValue(
          result, b_.CreateLoad(b_.getFloatTy(), b_.CreateConstInBoundsGEP1_32(b_.getFloatTy(), d, i)), i);
    return result;
  }

  /// Hosts without bf16 instructions would call a library function that not every compiler ships.
  Value *roundToBf16(Value *from, Type *to) {
    auto one = [&](Value *x) { return b_.CreateBitCast(emit("orielEmulatedRoundToBf16", b_.getInt16Ty(), {x}), b_.getBFloatTy()); };
    auto *vector = dyn_cast<FixedVectorType>(to);
    if (!vector)
      return one(from);
    Value *result = PoisonValue::get(to);
    for (unsigned i = 0; i < vector->getNumElements(); ++i)
      result = b_.CreateInsertElement(result, one(b_.CreateExtractElement(from, i)), i);
    return result;
  }

  void addEntry(Function &kernel) {
    Type *pointer = b_.getPtrTy();
    auto *entry = Function::Create(FunctionType::get(b_.getVoidTy(), {pointer}, false), Function::ExternalLinkage,
                                   kernel.getName() + ".emulated", module_);
    b_.SetInsertPoint(BasicBlock::Create(module_.getContext(), "", entry));
    SmallVector<Value *> arguments;
    for (unsigned i = 0; i < kernel.arg_size(); ++i)
      arguments.push_back(b_.CreateLoad(pointer, b_.CreateConstInBoundsGEP1_32(pointer, entry->getArg(0), i)));
    b_.CreateCall(&kernel, arguments);
    b_.CreateRetVoid();
  }

  Module &module_;
  IRBuilder<> b_;
};

} // namespace

std::string retargetToHost(Module &module, const Triple &triple, const DataLayout &layout) {
  if (std::string unknown = Retarget(module).run(); !unknown.empty())
    return unknown;
  module.setTargetTriple(triple);
  module.setDataLayout(layout);
  return {};
}

} // namespace oriel::codegen::nvidia
