#include "compiler/codegen/nvidia/emulated/Retarget.h"
#include "compiler/codegen/nvidia/WarpgroupInstruction.h"
#include "compiler/codegen/nvidia/emulated/AccessChecks.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include <map>

using namespace llvm;

namespace oriel::codegen::nvidia {

namespace {

class Retarget {
public:
  explicit Retarget(Module &module)
      : module_(module), b_(module.getContext()), importType_(StructType::get(b_.getPtrTy(), b_.getPtrTy())),
        unsized_(new GlobalVariable(module, ArrayType::get(importType_, 0), false, GlobalValue::ExternalLinkage,
                                    nullptr, "")) {}

  std::string run() {
    SmallVector<Function *> functions;
    SmallVector<Kernel> kernels;
    for (Function &function : module_)
      if (!function.isDeclaration())
        functions.push_back(&function);
    for (Function *function : functions) {
      for (Instruction &inst : make_early_inc_range(instructions(*function)))
        if (std::string unknown = rewrite(inst); !unknown.empty())
          return unknown;
      if (function->getCallingConv() == CallingConv::PTX_Kernel)
        kernels.push_back({function, count_if(function->args(), isTensorMap)});
      function->setCallingConv(CallingConv::C);
      function->setLinkage(GlobalValue::InternalLinkage);
      function->setAttributes(AttributeList()); // target-cpu and the like are NVPTX's
    }
    replaceSharedMemory();
    addRounding();
    for (Kernel kernel : kernels)
      if (std::string unknown = describeKernel(kernel); !unknown.empty())
        return unknown;
    writeImportTable();
    removeDeadDeclarations();
    std::string broken;
    raw_string_ostream stream(broken);
    return verifyModule(module_, &stream) ? "the emulated module is broken: " + broken : std::string();
  }

private:
  struct Kernel {
    Function *function;
    int64_t tensorMaps; // the last arguments
  };

  /// A parameter that is passed by value: a tensor map is the only kind.
  static bool isTensorMap(const Argument &argument) { return argument.hasByValAttr(); }

  std::string rewrite(Instruction &inst) {
    b_.SetInsertPoint(&inst);
    if (auto *call = dyn_cast<CallInst>(&inst))
      return rewriteCall(*call);
    if (!inst.getType()->getScalarType()->isBFloatTy())
      return {};
    if (isa<FPTruncInst>(inst))
      return replace(inst, roundToBf16(inst.getOperand(0), inst.getType()));
    if (auto *binary = dyn_cast<BinaryOperator>(&inst))
      return replace(inst, roundToBf16(inF32(*binary), inst.getType()));
    return {};
  }

  /// Arithmetic of bf16, whose results rounded twice are those rounded once: f32 has more than twice its digits.
  Value *inF32(BinaryOperator &binary) {
    auto wide = [&](unsigned i) {
      Value *operand = binary.getOperand(i);
      return b_.CreateFPExt(operand, operand->getType()->getWithNewType(b_.getFloatTy()));
    };
    return b_.CreateBinOp(binary.getOpcode(), wide(0), wide(1));
  }

  std::string rewriteCall(CallInst &call) {
    if (auto *assembly = dyn_cast<InlineAsm>(call.getCalledOperand()))
      return rewriteAssembly(call, assembly->getAsmString());
    Function *callee = call.getCalledFunction();
    if (!callee)
      return "the emulator does not know indirect calls";
    if (callee->getName().starts_with("orielEmulated")) { // by AccessChecks.h
      emit(callee->getName(), call.getType(), SmallVector<Value *>(call.args()));
      call.eraseFromParent();
      return {};
    }
    if (!callee->getName().starts_with("llvm.nvvm.")) {
      call.setCallingConv(CallingConv::C);
      return {};
    }
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
    case Intrinsic::nvvm_bar_warp_sync:
      if (auto *mask = dyn_cast<ConstantInt>(call.getArgOperand(0)); !mask || !mask->isMinusOne())
        return "the emulator does not know bar.warp.sync of some lanes";
      emit("orielEmulatedWarpBarrier", b_.getVoidTy(), {});
      call.eraseFromParent();
      return {};
    case Intrinsic::nvvm_ex2_approx:
      return replace(call, emit("orielEmulatedExp2", f32, {call.getArgOperand(0)}));
    case Intrinsic::nvvm_lg2_approx_f:
      return replace(call, emit("orielEmulatedLog2", f32, {call.getArgOperand(0)}));
    case Intrinsic::nvvm_rsqrt_approx_f:
      return replace(call, emit("orielEmulatedRsqrt", f32, {call.getArgOperand(0)}));
    case Intrinsic::nvvm_f2tf32_rna:
      return replace(call, emit("orielEmulatedRoundToTf32", i32, {call.getArgOperand(0)}));
    case Intrinsic::nvvm_mma_m16n8k16_row_col_bf16:
      return replace(call, multiply(call, "orielEmulatedMma"));
    case Intrinsic::nvvm_mma_m16n8k8_row_col_tf32:
      return replace(call, multiply(call, "orielEmulatedMmaTf32"));
    case Intrinsic::nvvm_shfl_sync_idx_i32:
      return replace(call, shuffle(call, "orielEmulatedShuffle"));
    case Intrinsic::nvvm_shfl_sync_bfly_i32:
    case Intrinsic::nvvm_shfl_sync_bfly_f32:
      return replace(call, shuffle(call, "orielEmulatedShuffleXor"));
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x2_b16:
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x4_b16:
      return replace(call, loadMatrices(call, /*transposed=*/false));
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x2_trans_b16:
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x4_trans_b16:
      return replace(call, loadMatrices(call, /*transposed=*/true));
    case Intrinsic::nvvm_cp_async_cg_shared_global_16:
    case Intrinsic::nvvm_cp_async_cg_shared_global_16_s: {
      Value *bytes = call.arg_size() > 2 ? call.getArgOperand(2) : b_.getInt32(16);
      emit("orielEmulatedCopyAsync", b_.getVoidTy(),
           {generic(call.getArgOperand(0)), generic(call.getArgOperand(1)), bytes});
      call.eraseFromParent();
      return {};
    }
    case Intrinsic::nvvm_cp_async_commit_group:
      emit("orielEmulatedCommitCopies", b_.getVoidTy(), {});
      call.eraseFromParent();
      return {};
    case Intrinsic::nvvm_cp_async_wait_group:
      emit("orielEmulatedWaitForCopies", b_.getVoidTy(), {call.getArgOperand(0)});
      call.eraseFromParent();
      return {};
    case Intrinsic::nvvm_mbarrier_init_shared:
      emit("orielEmulatedMbarrierInit", b_.getVoidTy(), {generic(call.getArgOperand(0)), call.getArgOperand(1)});
      call.eraseFromParent();
      return {};
    case Intrinsic::nvvm_mbarrier_arrive_expect_tx_scope_cta_space_cta:
      if (!call.use_empty())
        return "the emulator does not know the state that mbarrier.arrive gives";
      emit("orielEmulatedMbarrierArrive", b_.getVoidTy(), {generic(call.getArgOperand(0)), call.getArgOperand(1)});
      call.eraseFromParent();
      return {};
    case Intrinsic::nvvm_mbarrier_try_wait_parity_scope_cta_space_cta: {
      Value *isOver = emit("orielEmulatedMbarrierWait", i32, {generic(call.getArgOperand(0)), call.getArgOperand(1)});
      return replace(call, b_.CreateICmpNE(isOver, b_.getInt32(0)));
    }
    case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_2d:
      return copyTensor(call, 2);
    case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_3d:
      return copyTensor(call, 3);
    case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_4d:
      return copyTensor(call, 4);
    case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_5d:
      return copyTensor(call, 5);
    case Intrinsic::nvvm_prefetch_tensormap:
      call.eraseFromParent();
      return {};
    case Intrinsic::nvvm_elect_sync: {
      Value *isElected = b_.CreateICmpNE(emit("orielEmulatedElect", i32, {}), b_.getInt32(0));
      Value *leader = b_.CreateInsertValue(PoisonValue::get(call.getType()), b_.getInt32(0), 0);
      return replace(call, b_.CreateInsertValue(leader, isElected, 1));
    }
    case Intrinsic::nvvm_wgmma_fence_sync_aligned:
      return replaceByCall(call, "orielEmulatedWarpgroupFence");
    case Intrinsic::nvvm_wgmma_commit_group_sync_aligned:
      return replaceByCall(call, "orielEmulatedWarpgroupCommit");
    case Intrinsic::nvvm_wgmma_wait_group_sync_aligned:
      emit("orielEmulatedWarpgroupWait", b_.getVoidTy(),
           {ConstantPointerNull::get(b_.getPtrTy()), b_.getInt32(0),
            b_.CreateTrunc(call.getArgOperand(0), b_.getInt32Ty())});
      call.eraseFromParent();
      return {};
    case Intrinsic::nvvm_fence_proxy_async_shared_cta:
      return replaceByCall(call, "orielEmulatedFenceAsyncProxy");
    default:
      return "the emulator does not know the intrinsic " + callee->getName().str();
    }
  }

  /// Operands: target, mbarrier, map, coordinates, and what is of clusters and caches.
  std::string copyTensor(CallInst &call, unsigned rank) {
    constexpr unsigned firstCoordinate = 3;
    Value *coordinates = entryOf(call).CreateAlloca(ArrayType::get(b_.getInt32Ty(), rank));
    for (unsigned i = 0; i < rank; ++i)
      b_.CreateStore(call.getArgOperand(firstCoordinate + i),
                     b_.CreateConstInBoundsGEP1_32(b_.getInt32Ty(), coordinates, i));
    emit("orielEmulatedCopyTensor", b_.getVoidTy(),
         {generic(call.getArgOperand(0)), generic(call.getArgOperand(1)), call.getArgOperand(2), coordinates,
          b_.getInt32(rank)});
    call.eraseFromParent();
    return {};
  }

  std::string replaceByCall(CallInst &call, StringRef name) {
    emit(name, b_.getVoidTy(), {});
    call.eraseFromParent();
    return {};
  }

  /// Registers go through memory, which all instructions of a function share: a fiber's stack is small.
  std::string rewriteAssembly(CallInst &call, StringRef text) {
    if (auto product = WarpgroupInstruction::parse(text))
      return rewriteProduct(call, *product);
    auto *results = dyn_cast<StructType>(call.getType());
    auto wait = WarpgroupWait::parse(text, results ? results->getNumElements() : 0);
    if (!wait)
      return "the emulator does not know the inline assembly '" + text.str() + "'";
    Value *registers = registersOf(*call.getFunction(), wait->registers);
    storeFloats(call, wait->registers, registers);
    emit("orielEmulatedWarpgroupWait", b_.getVoidTy(),
         {registers, b_.getInt32(static_cast<uint32_t>(wait->registers)),
          b_.getInt32(static_cast<uint32_t>(wait->inFlight))});
    return replace(call, loadFloats(call, registers));
  }

  std::string rewriteProduct(CallInst &call, const WarpgroupInstruction &product) {
    Value *registers = registersOf(*call.getFunction(), product.registers());
    unsigned next = product.accumulates ? static_cast<unsigned>(product.registers()) : 0;
    storeFloats(call, next, registers);
    Value *first = ConstantPointerNull::get(b_.getPtrTy()), *descriptor = b_.getInt64(0);
    if (product.isFirstInRegisters) {
      AllocaInst *&memory = fragments_[call.getFunction()];
      if (!memory)
        memory = entryOf(call).CreateAlloca(ArrayType::get(b_.getInt32Ty(), 4));
      first = memory;
      for (unsigned i = 0; i < 4; ++i)
        b_.CreateStore(call.getArgOperand(next++), b_.CreateConstInBoundsGEP1_32(b_.getInt32Ty(), first, i));
    } else {
      descriptor = call.getArgOperand(next++);
    }
    uint32_t flags = product.accumulates | product.isFirstByK << 1 | product.isSecondByK << 2;
    emit("orielEmulatedWarpgroupMultiply", b_.getVoidTy(),
         {registers, first, descriptor, call.getArgOperand(next), b_.getInt32(static_cast<uint32_t>(product.n)),
          b_.getInt32(flags)});
    return replace(call, loadFloats(call, registers));
  }

  /// Memory for `count` floats of a function, grown to the most that it needs.
  Value *registersOf(Function &function, int64_t count) {
    AllocaInst *&memory = registers_[&function];
    auto *type = ArrayType::get(b_.getFloatTy(), static_cast<uint64_t>(count));
    if (!memory)
      memory = IRBuilder<>(&function.getEntryBlock(), function.getEntryBlock().begin()).CreateAlloca(type);
    else if (memory->getAllocatedType()->getArrayNumElements() < type->getNumElements())
      memory->setAllocatedType(type);
    return memory;
  }

  void storeFloats(CallInst &call, int64_t count, Value *memory) {
    for (unsigned i = 0; i < count; ++i)
      b_.CreateStore(call.getArgOperand(i), b_.CreateConstInBoundsGEP1_32(b_.getFloatTy(), memory, i));
  }

  Value *loadFloats(CallInst &call, Value *memory) {
    Value *result = PoisonValue::get(call.getType());
    for (unsigned i = 0; i < cast<StructType>(call.getType())->getNumElements(); ++i)
      result = b_.CreateInsertValue(
          result, b_.CreateLoad(b_.getFloatTy(), b_.CreateConstInBoundsGEP1_32(b_.getFloatTy(), memory, i)), i);
    return result;
  }

  /// A call of an emulator function at the insertion point, through its entry in the table of imports. Nobody changes
  /// an entry once kernels run.
  Value *emit(StringRef name, Type *result, ArrayRef<Value *> arguments) {
    SmallVector<Type *> types;
    for (Value *argument : arguments)
      types.push_back(argument->getType());
    auto index = static_cast<uint64_t>(imports_.insert({name.str(), imports_.size()}).first->second);
    Value *slot = b_.CreateConstInBoundsGEP2_64(importType_, b_.CreateConstGEP1_64(importType_, unsized_, index), 0, 1);
    LoadInst *address = b_.CreateLoad(b_.getPtrTy(), slot);
    address->setMetadata(LLVMContext::MD_invariant_load, MDNode::get(module_.getContext(), {}));
    return b_.CreateCall(FunctionType::get(result, types, false), address, arguments);
  }

  std::string replace(Instruction &inst, Value *value) {
    inst.replaceAllUsesWith(value);
    inst.eraseFromParent();
    return {};
  }

  static IRBuilder<> entryOf(CallInst &call) {
    BasicBlock &block = call.getFunction()->getEntryBlock();
    return IRBuilder<>(&block, block.begin());
  }

  Value *generic(Value *pointer) { return b_.CreateAddrSpaceCast(pointer, b_.getPtrTy()); }

  Value *shuffle(CallInst &call, StringRef name) {
    Value *bits = b_.CreateBitCast(call.getArgOperand(1), b_.getInt32Ty());
    return b_.CreateBitCast(emit(name, b_.getInt32Ty(), {bits, call.getArgOperand(2)}), call.getType());
  }

  /// One register for each matrix, by way of memory.
  Value *loadMatrices(CallInst &call, bool transposed) {
    auto *type = cast<StructType>(call.getType());
    Type *i32 = b_.getInt32Ty();
    Value *registers = entryOf(call).CreateAlloca(ArrayType::get(i32, type->getNumElements()));
    emit("orielEmulatedLoadMatrices", b_.getVoidTy(),
         {registers, generic(call.getArgOperand(0)), b_.getInt32(type->getNumElements()), b_.getInt32(transposed)});
    Value *result = PoisonValue::get(type);
    for (unsigned i = 0; i < type->getNumElements(); ++i)
      result = b_.CreateInsertValue(result, b_.CreateLoad(i32, b_.CreateConstInBoundsGEP1_32(i32, registers, i)), i);
    return result;
  }

  /// Fragments go through memory: a[4], b[2], c[4] in, d[4] out.
  Value *multiply(CallInst &call, StringRef name) {
    IRBuilder<> entry = entryOf(call);
    auto slot = [&](Type *element, unsigned count) { return entry.CreateAlloca(ArrayType::get(element, count)); };
    Value *a = slot(b_.getInt32Ty(), 4), *b = slot(b_.getInt32Ty(), 2), *c = slot(b_.getFloatTy(), 4),
          *d = slot(b_.getFloatTy(), 4);
    for (unsigned i = 0; i < call.arg_size(); ++i) {
      Value *base = i < 4 ? a : i < 6 ? b : c;
      unsigned index = i < 4 ? i : i < 6 ? i - 4 : i - 6;
      Value *argument = call.getArgOperand(i);
      b_.CreateStore(argument, b_.CreateConstInBoundsGEP1_32(argument->getType(), base, index));
    }
    emit(name, b_.getVoidTy(), {a, b, c, d});
    Value *result = PoisonValue::get(call.getType());
    for (unsigned i = 0; i < 4; ++i)
      result = b_.CreateInsertValue(
          result, b_.CreateLoad(b_.getFloatTy(), b_.CreateConstInBoundsGEP1_32(b_.getFloatTy(), d, i)), i);
    return result;
  }

  /// Where values of bf16 go through f32 on hosts without bf16, code generation calls a function that not every
  /// compiler's library has.
  void addRounding() {
    Type *bf16 = b_.getBFloatTy(), *f32 = b_.getFloatTy();
    Function *function = Function::Create(FunctionType::get(bf16, {f32}, false), GlobalValue::WeakODRLinkage,
                                          "__truncsfbf2", module_);
    function->setVisibility(GlobalValue::HiddenVisibility);
    b_.SetInsertPoint(BasicBlock::Create(module_.getContext(), "", function));
    b_.CreateRet(roundToBf16(function->getArg(0), bf16));
  }

  /// As the GPU rounds: a host's own instruction takes denormal numbers for zeros.
  Value *roundToBf16(Value *from, Type *to) {
    auto one = [&](Value *x) {
      return b_.CreateBitCast(emit("orielEmulatedRoundToBf16", b_.getInt16Ty(), {x}), b_.getBFloatTy());
    };
    auto *vector = dyn_cast<FixedVectorType>(to);
    if (!vector)
      return one(from);
    Value *result = PoisonValue::get(to);
    for (unsigned i = 0; i < vector->getNumElements(); ++i)
      result = b_.CreateInsertElement(result, one(b_.CreateExtractElement(from, i)), i);
    return result;
  }

  /// Every block has shared memory of its own, so its address is asked for when a function starts.
  void replaceSharedMemory() {
    GlobalVariable *shared = module_.getGlobalVariable("oriel_shared");
    if (!shared)
      return;
    convertUsersOfConstantsToInstructions({shared});
    SmallMapVector<Function *, SmallVector<Use *>, 4> uses;
    for (Use &use : shared->uses())
      uses[cast<Instruction>(use.getUser())->getFunction()].push_back(&use);
    for (auto &[function, ofFunction] : uses) {
      b_.SetInsertPoint(&function->getEntryBlock(), function->getEntryBlock().getFirstNonPHIOrDbgOrAlloca());
      Value *base = b_.CreateAddrSpaceCast(emit("orielEmulatedShared", b_.getPtrTy(), {}), shared->getType());
      for (Use *use : ofFunction)
        use->set(base);
    }
    shared->eraseFromParent();
  }

  /// void name.thread(ptr arguments): loads the kernel's pointers from an array and calls it.
  Function *threadFunction(Function &kernel) {
    Type *pointer = b_.getPtrTy();
    auto *thread = Function::Create(FunctionType::get(b_.getVoidTy(), {pointer}, false), Function::InternalLinkage,
                                    kernel.getName() + ".thread", module_);
    b_.SetInsertPoint(BasicBlock::Create(module_.getContext(), "", thread));
    SmallVector<Value *> arguments;
    for (unsigned i = 0; i < kernel.arg_size(); ++i)
      arguments.push_back(b_.CreateLoad(pointer, b_.CreateConstInBoundsGEP1_32(pointer, thread->getArg(0), i)));
    b_.CreateCall(&kernel, arguments);
    b_.CreateRetVoid();
    return thread;
  }

  Constant *text(StringRef characters) {
    auto *array = ConstantDataArray::getString(module_.getContext(), characters);
    auto *global = new GlobalVariable(module_, array->getType(), true, GlobalValue::PrivateLinkage, array);
    global->setUnnamedAddr(GlobalValue::UnnamedAddr::Global);
    return global;
  }

  /// Exports {name, thread, arguments, tensor maps, imports, checks}.
  std::string describeKernel(Kernel described) {
    auto [kernel, tensorMaps] = described;
    if (!all_of(kernel->args(), [](Argument &argument) { return argument.getType()->isPointerTy(); }))
      return "the emulator does not know kernels that take anything but pointers, as " + kernel->getName().str();
    Type *pointer = b_.getPtrTy(), *i64 = b_.getInt64Ty();
    auto *type = StructType::get(pointer, pointer, i64, i64, pointer, pointer);
    Constant *checks = module_.getNamedGlobal(checksNameOf(kernel->getName()));
    Constant *entry = ConstantStruct::get(
        type, {text(kernel->getName()), threadFunction(*kernel), b_.getInt64(kernel->arg_size()),
               b_.getInt64(static_cast<uint64_t>(tensorMaps)), unsized_,
               checks ? checks : ConstantPointerNull::get(b_.getPtrTy())});
    new GlobalVariable(module_, type, true, GlobalValue::ExternalLinkage, entry,
                       "oriel_emulated_" + kernel->getName());
    return {};
  }

  void writeImportTable() {
    SmallVector<Constant *> entries;
    for (const auto &[name, index] : imports_)
      entries.push_back(ConstantStruct::get(importType_, {text(name), ConstantPointerNull::get(b_.getPtrTy())}));
    entries.push_back(ConstantAggregateZero::get(importType_));
    auto *arrayType = ArrayType::get(importType_, entries.size());
    auto *table = new GlobalVariable(module_, arrayType, false, GlobalValue::PrivateLinkage,
                                     ConstantArray::get(arrayType, entries));
    unsized_->replaceAllUsesWith(table);
    unsized_->eraseFromParent();
  }

  /// Of intrinsics that are replaced: a host's code generator has never heard of them.
  void removeDeadDeclarations() {
    for (Function &function : make_early_inc_range(module_))
      if (function.isDeclaration() && function.use_empty())
        function.eraseFromParent();
  }

  Module &module_;
  IRBuilder<> b_;
  StructType *importType_;
  GlobalVariable *unsized_; // stands for the table of imports until its size is known
  MapVector<std::string, size_t, std::map<std::string, unsigned>> imports_;
  DenseMap<Function *, AllocaInst *> registers_, fragments_; // where wgmma's registers pass through memory
};

} // namespace

std::string retargetToHost(Module &module) { return Retarget(module).run(); }

} // namespace oriel::codegen::nvidia
