#include "compiler/codegen/nvidia/emulated/EmulatorCalls.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace oriel::codegen::nvidia {

Value *roundToBf16(IRBuilder<> &b, Imports &imports, Value *from, Type *to) {
  auto one = [&](Value *x) {
    return b.CreateBitCast(imports.call(b, "orielEmulatedRoundToBf16", b.getInt16Ty(), {x}), b.getBFloatTy());
  };
  auto *vector = dyn_cast<FixedVectorType>(to);
  if (!vector)
    return one(from);
  Value *result = PoisonValue::get(to);
  for (unsigned i = 0; i < vector->getNumElements(); ++i)
    result = b.CreateInsertElement(result, one(b.CreateExtractElement(from, i)), i);
  return result;
}

EmulatorCalls::EmulatorCalls(Module &module, Imports &imports)
    : b_(module.getContext()), imports_(imports), memory_(b_) {}

std::string EmulatorCalls::rewrite(Instruction &inst) {
  b_.SetInsertPoint(&inst);
  if (auto *call = dyn_cast<CallInst>(&inst))
    return rewriteCall(*call);
  if (!inst.getType()->getScalarType()->isBFloatTy())
    return {};
  if (isa<FPTruncInst>(inst))
    return replace(inst, roundToBf16(b_, imports_, inst.getOperand(0), inst.getType()));
  if (auto *binary = dyn_cast<BinaryOperator>(&inst))
    return replace(inst, roundToBf16(b_, imports_, inF32(*binary), inst.getType()));
  return {};
}

/// Arithmetic of bf16, whose results rounded twice are those rounded once: f32 has more than twice its digits.
Value *EmulatorCalls::inF32(BinaryOperator &binary) {
  auto wide = [&](unsigned i) {
    Value *operand = binary.getOperand(i);
    return b_.CreateFPExt(operand, operand->getType()->getWithNewType(b_.getFloatTy()));
  };
  return b_.CreateBinOp(binary.getOpcode(), wide(0), wide(1));
}

std::string EmulatorCalls::replace(Instruction &inst, Value *value) {
  if (!inst.getType()->isVoidTy())
    inst.replaceAllUsesWith(value);
  inst.eraseFromParent();
  return {};
}

SmallVector<Value *> EmulatorCalls::argumentsOf(CallInst &call) {
  return map_to_vector(call.args(),
                       [&](Value *value) { return value->getType()->isPointerTy() ? generic(value) : value; });
}

// ---- Calls ----------------------------------------------------------------------------------------------------------

std::string EmulatorCalls::rewriteCall(CallInst &call) {
  if (auto *assembly = dyn_cast<InlineAsm>(call.getCalledOperand()))
    return rewriteAssembly(call, assembly->getAsmString());
  Function *callee = call.getCalledFunction();
  if (!callee)
    return "the emulator does not know indirect calls";
  if (callee->getName().starts_with("orielEmulated")) // by AccessChecks.h
    return replace(call, emit(callee->getName(), call.getType(), SmallVector<Value *>(call.args())));
  if (callee->getName().starts_with("llvm.nvvm."))
    return rewriteIntrinsic(call);
  call.setCallingConv(CallingConv::C);
  return {};
}

/// The function of the emulator that takes and gives what the intrinsic does; "" where none does.
static StringRef counterpartOf(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::nvvm_read_ptx_sreg_tid_x:
    return "orielEmulatedThread";
  case Intrinsic::nvvm_ex2_approx:
    return "orielEmulatedExp2";
  case Intrinsic::nvvm_lg2_approx_f:
    return "orielEmulatedLog2";
  case Intrinsic::nvvm_rsqrt_approx_f:
    return "orielEmulatedRsqrt";
  case Intrinsic::nvvm_f2tf32_rna:
    return "orielEmulatedRoundToTf32";
  case Intrinsic::nvvm_cp_async_cg_shared_global_16_s:
    return "orielEmulatedCopyAsync";
  case Intrinsic::nvvm_cp_async_commit_group:
    return "orielEmulatedCommitCopies";
  case Intrinsic::nvvm_cp_async_wait_group:
    return "orielEmulatedWaitForCopies";
  case Intrinsic::nvvm_mbarrier_init_shared:
    return "orielEmulatedMbarrierInit";
  case Intrinsic::nvvm_wgmma_fence_sync_aligned:
    return "orielEmulatedWarpgroupFence";
  case Intrinsic::nvvm_wgmma_commit_group_sync_aligned:
    return "orielEmulatedWarpgroupCommit";
  case Intrinsic::nvvm_fence_proxy_async_shared_cta:
    return "orielEmulatedFenceAsyncProxy";
  default:
    return {};
  }
}

std::string EmulatorCalls::rewriteIntrinsic(CallInst &call) {
  Function &callee = *call.getCalledFunction();
  if (StringRef name = counterpartOf(callee.getIntrinsicID()); !name.empty())
    return replace(call, emit(name, call.getType(), argumentsOf(call)));
  Type *nothing = b_.getVoidTy(), *i32 = b_.getInt32Ty();
  switch (callee.getIntrinsicID()) {
  case Intrinsic::nvvm_read_ptx_sreg_ctaid_x:
  case Intrinsic::nvvm_read_ptx_sreg_ctaid_y:
  case Intrinsic::nvvm_read_ptx_sreg_ctaid_z:
    return replace(call, emit("orielEmulatedBlock", i32, {b_.getInt32(callee.getName().back() - 'x')}));
  case Intrinsic::nvvm_barrier_cta_sync_aligned_all:
    return replace(call, emit("orielEmulatedBarrier", nothing, {}));
  case Intrinsic::nvvm_bar_warp_sync:
    if (auto *mask = dyn_cast<ConstantInt>(call.getArgOperand(0)); !mask || !mask->isMinusOne())
      return "the emulator does not know bar.warp.sync of some lanes";
    return replace(call, emit("orielEmulatedWarpBarrier", nothing, {}));
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
  case Intrinsic::nvvm_cp_async_cg_shared_global_16: {
    SmallVector<Value *> arguments = argumentsOf(call);
    arguments.push_back(b_.getInt32(16));
    return replace(call, emit("orielEmulatedCopyAsync", nothing, arguments));
  }
  case Intrinsic::nvvm_mbarrier_arrive_expect_tx_scope_cta_space_cta:
    if (!call.use_empty())
      return "the emulator does not know the state that mbarrier.arrive gives";
    emit("orielEmulatedMbarrierArrive", nothing, argumentsOf(call));
    call.eraseFromParent();
    return {};
  case Intrinsic::nvvm_mbarrier_try_wait_parity_scope_cta_space_cta:
    return replace(call, waitForMbarrier(call));
  case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_2d:
    return replace(call, copyTensor(call, 2));
  case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_3d:
    return replace(call, copyTensor(call, 3));
  case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_4d:
    return replace(call, copyTensor(call, 4));
  case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_5d:
    return replace(call, copyTensor(call, 5));
  case Intrinsic::nvvm_prefetch_tensormap:
    call.eraseFromParent();
    return {};
  case Intrinsic::nvvm_elect_sync:
    return replace(call, elect(call));
  case Intrinsic::nvvm_wgmma_wait_group_sync_aligned:
    return replace(call, waitForProducts(ConstantPointerNull::get(b_.getPtrTy()), /*count=*/0,
                                         b_.CreateTrunc(call.getArgOperand(0), i32)));
  default:
    return "the emulator does not know the intrinsic " + callee.getName().str();
  }
}

Value *EmulatorCalls::shuffle(CallInst &call, StringRef name) {
  Value *bits = b_.CreateBitCast(call.getArgOperand(1), b_.getInt32Ty());
  return b_.CreateBitCast(emit(name, b_.getInt32Ty(), {bits, call.getArgOperand(2)}), call.getType());
}

Value *EmulatorCalls::loadMatrices(CallInst &call, bool transposed) {
  unsigned count = cast<StructType>(call.getType())->getNumElements();
  Value *registers = memory_.fresh(call, b_.getInt32Ty(), count);
  emit("orielEmulatedLoadMatrices", b_.getVoidTy(),
       {registers, generic(call.getArgOperand(0)), b_.getInt32(count), b_.getInt32(transposed)});
  return memory_.load(call.getType(), registers);
}

/// Fragments a[4], b[2], c[4] in, d[4] out.
Value *EmulatorCalls::multiply(CallInst &call, StringRef name) {
  Type *i32 = b_.getInt32Ty(), *f32 = b_.getFloatTy();
  Value *a = memory_.fresh(call, i32, 4), *b = memory_.fresh(call, i32, 2), *c = memory_.fresh(call, f32, 4),
        *d = memory_.fresh(call, f32, 4);
  SmallVector<Value *> registers(call.args());
  ArrayRef<Value *> all = registers;
  memory_.store(all.slice(0, 4), a);
  memory_.store(all.slice(4, 2), b);
  memory_.store(all.slice(6, 4), c);
  emit(name, b_.getVoidTy(), {a, b, c, d});
  return memory_.load(call.getType(), d);
}

/// Operands: target, mbarrier, map, coordinates, and what is of clusters and caches.
Value *EmulatorCalls::copyTensor(CallInst &call, unsigned rank) {
  constexpr unsigned firstCoordinate = 3;
  Value *coordinates = memory_.fresh(call, b_.getInt32Ty(), rank);
  SmallVector<Value *> operands(call.args());
  memory_.store(ArrayRef(operands).slice(firstCoordinate, rank), coordinates);
  return emit("orielEmulatedCopyTensor", b_.getVoidTy(),
              {generic(operands[0]), generic(operands[1]), operands[2], coordinates, b_.getInt32(rank)});
}

Value *EmulatorCalls::waitForMbarrier(CallInst &call) {
  Value *isOver = emit("orielEmulatedMbarrierWait", b_.getInt32Ty(), argumentsOf(call));
  return b_.CreateICmpNE(isOver, b_.getInt32(0));
}

Value *EmulatorCalls::elect(CallInst &call) {
  Value *isElected = b_.CreateICmpNE(emit("orielEmulatedElect", b_.getInt32Ty(), {}), b_.getInt32(0));
  Value *leader = b_.CreateInsertValue(PoisonValue::get(call.getType()), b_.getInt32(0), 0);
  return b_.CreateInsertValue(leader, isElected, 1);
}

// ---- Products of warpgroups -----------------------------------------------------------------------------------------

std::string EmulatorCalls::rewriteAssembly(CallInst &call, StringRef text) {
  if (auto product = WarpgroupInstruction::parse(text))
    return rewriteProduct(call, *product);
  auto *results = dyn_cast<StructType>(call.getType());
  auto wait = WarpgroupWait::parse(text, results ? results->getNumElements() : 0);
  if (!wait)
    return "the emulator does not know the inline assembly '" + text.str() + "'";
  SmallVector<Value *> operands(call.args());
  Value *registers = memory_.accumulators(*call.getFunction(), wait->registers);
  memory_.store(ArrayRef(operands).take_front(static_cast<size_t>(wait->registers)), registers);
  waitForProducts(registers, wait->registers, b_.getInt32(static_cast<uint32_t>(wait->inFlight)));
  return replace(call, memory_.load(call.getType(), registers));
}

Value *EmulatorCalls::waitForProducts(Value *registers, int64_t count, Value *inFlight) {
  return emit("orielEmulatedWarpgroupWait", b_.getVoidTy(),
              {registers, b_.getInt32(static_cast<uint32_t>(count)), inFlight});
}

std::string EmulatorCalls::rewriteProduct(CallInst &call, const WarpgroupInstruction &product) {
  SmallVector<Value *> all(call.args());
  ArrayRef<Value *> operands = all;
  Value *registers = memory_.accumulators(*call.getFunction(), product.registers());
  if (product.accumulates) {
    memory_.store(operands.take_front(static_cast<size_t>(product.registers())), registers);
    operands = operands.drop_front(static_cast<size_t>(product.registers()));
  }
  Value *first = ConstantPointerNull::get(b_.getPtrTy()), *descriptor = b_.getInt64(0);
  if (product.isFirstInRegisters) {
    first = memory_.fragment(*call.getFunction());
    memory_.store(operands.take_front(4), first);
    operands = operands.drop_front(4);
  } else {
    descriptor = operands.consume_front();
  }
  uint32_t flags = product.accumulates | product.isFirstByK << 1 | product.isSecondByK << 2;
  emit("orielEmulatedWarpgroupMultiply", b_.getVoidTy(),
       {registers, first, descriptor, operands.front(), b_.getInt32(static_cast<uint32_t>(product.n)),
        b_.getInt32(flags)});
  return replace(call, memory_.load(call.getType(), registers));
}

} // namespace oriel::codegen::nvidia
