#include "compiler/codegen/nvidia/emulated/AccessChecks.h"
#include "compiler/codegen/nvidia/WarpgroupInstruction.h"
#include "compiler/codegen/nvidia/emulated/Imports.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace oriel::codegen::nvidia {

namespace {

constexpr unsigned sharedSpace = 3;
constexpr uint64_t mostBytesAtOnce = 16;

/// Announces the accesses of one kernel.
class KernelChecks {
public:
  KernelChecks(Function &function, const CheckedKernel &kernel)
      : function_(function), module_(*function.getParent()), kernel_(kernel), dominators_(function),
        b_(function.getContext()),
        announce_(module_.getOrInsertFunction(announceFunction, b_.getVoidTy(), b_.getPtrTy(), b_.getInt32Ty(),
                                              b_.getInt32Ty())),
        announceAccumulator_(module_.getOrInsertFunction(announceAccumulatorFunction, b_.getVoidTy(), b_.getFloatTy(),
                                                         b_.getInt32Ty())) {}

  std::string run() {
    SmallVector<Instruction *> all;
    for (Instruction &inst : instructions(function_))
      all.push_back(&inst);
    for (Instruction *inst : all)
      if (std::string unknown = announce(*inst); !unknown.empty())
        return unknown;
    return {};
  }

  /// {kernel, sites, siteCount, buffers, bufferCount}
  Constant *entry(StructType *type);

private:
  std::string announce(Instruction &inst) {
    b_.SetInsertPoint(&inst);
    if (auto *load = dyn_cast<LoadInst>(&inst))
      announceMemory(inst, load->getPointerOperand(), load->getType(), load->getAlign(), /*isWrite=*/false);
    else if (auto *store = dyn_cast<StoreInst>(&inst))
      announceMemory(inst, store->getPointerOperand(), store->getValueOperand()->getType(), store->getAlign(),
                     /*isWrite=*/true);
    else if (auto *call = dyn_cast<CallInst>(&inst))
      return announceCall(*call);
    else if (inst.mayReadOrWriteMemory())
      return std::string("the emulator's checks do not know the instruction ") + inst.getOpcodeName();
    return {};
  }

  std::string announceCall(CallInst &call) {
    if (auto *assembly = dyn_cast<InlineAsm>(call.getCalledOperand()))
      return announceAssembly(call, assembly->getAsmString());
    Intrinsic::ID id = call.getIntrinsicID();
    switch (id) {
    case Intrinsic::nvvm_cp_async_cg_shared_global_16:
    case Intrinsic::nvvm_cp_async_cg_shared_global_16_s: {
      Value *bytes = call.arg_size() > 2 ? call.getArgOperand(2) : b_.getInt32(16);
      emit(call, AccessKind::CopySource, call.getArgOperand(1), bytes, argumentOf(call.getArgOperand(1)));
      emit(call, AccessKind::CopyTarget, call.getArgOperand(0), b_.getInt32(16), -1);
      return {};
    }
    case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_2d:
    case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_3d:
    case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_4d:
    case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_5d:
      emitMeeting(call, AccessKind::BulkCopy);
      return {};
    case Intrinsic::nvvm_mbarrier_init_shared:
      emit(call, AccessKind::MbarrierInit, call.getArgOperand(0), b_.getInt32(8), -1);
      return {};
    case Intrinsic::nvvm_mbarrier_arrive_expect_tx_scope_cta_space_cta:
    case Intrinsic::nvvm_mbarrier_try_wait_parity_scope_cta_space_cta:
      emit(call, AccessKind::MbarrierUse, call.getArgOperand(0), b_.getInt32(8), -1);
      return {};
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x1_b16:
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x1_trans_b16:
      announceRows(call, 1);
      break;
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x2_b16:
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x2_trans_b16:
      announceRows(call, 2);
      break;
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x4_b16:
    case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x4_trans_b16:
      announceRows(call, 4);
      break;
    default:
      if (isa<MemIntrinsic>(call))
        return "the emulator's checks do not know " + call.getCalledFunction()->getName().str();
    }
    bool meets = call.isConvergent() ||
                 (call.getCalledFunction() && call.getCalledFunction()->getName().starts_with("llvm.nvvm.mma."));
    if (meets)
      emitMeeting(call, AccessKind::Convergence);
    return {};
  }

  std::string announceAssembly(CallInst &call, StringRef text) {
    bool isProduct = WarpgroupInstruction::parse(text).has_value();
    if (!isProduct && !WarpgroupWait::parse(text, 0))
      return "the emulator's checks do not know the inline assembly '" + text.str() + "'";
    emitMeeting(call, isProduct ? AccessKind::ProductRead : AccessKind::Convergence);
    if (isProduct)
      announceReaders(call);
    return {};
  }

  /// Registers of `product` pass through these before somebody reads them.
  static bool passesOn(const User &user) {
    return isa<ExtractValueInst, InsertValueInst, PHINode, SelectInst, FreezeInst>(user);
  }

  /// Instructions that read what `product` gives, but for another product that adds to it and the wait.
  void announceReaders(CallInst &product) {
    SmallSetVector<Value *, 32> registers;
    registers.insert(&product);
    for (size_t i = 0; i < registers.size(); ++i)
      for (Use &use : make_early_inc_range(registers[i]->uses())) {
        auto *user = cast<Instruction>(use.getUser());
        auto *call = dyn_cast<CallInst>(user);
        bool isOfWarpgroups = call && call->isInlineAsm();
        bool isAnnouncement = call && call->getCalledOperand() == announceAccumulator_.getCallee();
        if (passesOn(*user))
          registers.insert(user);
        else if (!isOfWarpgroups && !isAnnouncement && readers_.insert(&use).second)
          announceReader(*user, *use.get());
      }
  }

  void announceReader(Instruction &reader, Value &accumulator) {
    b_.SetInsertPoint(&reader);
    Value *site = b_.getInt32(siteOf(reader, AccessKind::AccumulatorRead, -1));
    b_.CreateCall(announceAccumulator_, {&accumulator, site});
  }

  /// Lane l names row l mod 8 of matrix l / 8; lanes beyond the matrices name nothing.
  void announceRows(CallInst &call, int32_t matrices) {
    Value *bytes = b_.getInt32(16);
    if (matrices < 4) {
      Value *thread = b_.CreateIntrinsic(Intrinsic::nvvm_read_ptx_sreg_tid_x, {});
      Value *isRow = b_.CreateICmpULT(b_.CreateURem(thread, b_.getInt32(32)), b_.getInt32(8 * matrices));
      bytes = b_.CreateSelect(isRow, bytes, b_.getInt32(0));
    }
    emit(call, AccessKind::MatrixLoad, call.getArgOperand(0), bytes, -1);
  }

  void announceMemory(Instruction &inst, Value *pointer, Type *type, Align align, bool isWrite) {
    bool shared = pointer->getType()->getPointerAddressSpace() == sharedSpace;
    if (!shared) {
      const Value *object = getUnderlyingObject(pointer, /*MaxLookup=*/0);
      if (isa<AllocaInst>(object) || isa<GlobalVariable>(object))
        return; // a thread's own, or constants
    }
    AccessKind kind = shared ? (isWrite ? AccessKind::SharedStore : AccessKind::SharedLoad)
                             : (isWrite ? AccessKind::GlobalStore : AccessKind::GlobalLoad);
    uint64_t bytes = module_.getDataLayout().getTypeStoreSize(type);
    uint64_t piece = std::min({align.value(), bytes, mostBytesAtOnce});
    int32_t buffer = shared ? -1 : argumentOf(pointer);
    Value *size = b_.getInt32(piece), *thrownAway = b_.getInt32(-int32_t(piece));
    if (Value *used = isa<LoadInst>(inst) ? whenUsed(inst) : nullptr)
      size = b_.CreateSelect(used, size, thrownAway);
    for (uint64_t at = 0; at < bytes; at += piece)
      emit(inst, kind, b_.CreateConstGEP1_64(b_.getInt8Ty(), pointer, at), size, buffer);
  }

  /// Whether what `load` gives is used, as far as that is known before it; null when it is known to be, always. Loads
  /// of elements outside of a buffer read a place inside, and a select or a branch by the same condition throws that
  /// away.
  Value *whenUsed(Instruction &load) {
    SmallVector<Value *> uses;
    return collectUses(load, load, uses) ? b_.CreateOr(uses) : nullptr;
  }

  /// Appends a condition for each use of `value`, and of what is computed from it alone or with others; false when a
  /// use has none.
  bool collectUses(Value &value, Instruction &load, SmallVectorImpl<Value *> &conditions) {
    constexpr size_t enough = 64;
    for (Use &use : value.uses()) {
      auto *user = cast<Instruction>(use.getUser());
      auto *phi = dyn_cast<PHINode>(user);
      auto *select = dyn_cast<SelectInst>(user);
      SmallVector<Value *> all;
      collectBranches(phi ? phi->getIncomingBlock(use) : user->getParent(), load, all);
      if (select && use.getOperandNo() > 0 && dominators_.dominates(select->getCondition(), &load))
        all.push_back(use.getOperandNo() == 1 ? select->getCondition() : b_.CreateNot(select->getCondition()));
      if (!all.empty())
        conditions.push_back(b_.CreateAnd(all));
      else if (!isElementwise(*user) || conditions.size() > enough || !collectUses(*user, load, conditions))
        return false;
    }
    return !conditions.empty();
  }

  /// Whether all that the instruction does is to give a value to this thread.
  static bool isElementwise(const Instruction &inst) {
    return isa<ExtractElementInst, InsertElementInst, CastInst, BinaryOperator, UnaryOperator, SelectInst>(inst);
  }

  /// The conditions, known before `load`, of branches behind it that lead to `block`.
  void collectBranches(BasicBlock *block, Instruction &load, SmallVectorImpl<Value *> &conditions) {
    for (DomTreeNode *node = dominators_.getNode(block); node && node->getBlock() != load.getParent();
         node = node->getIDom()) {
      BasicBlock *above = node->getIDom() ? node->getIDom()->getBlock() : nullptr;
      auto *branch = above ? dyn_cast<BranchInst>(above->getTerminator()) : nullptr;
      if (!branch || !branch->isConditional() || !dominators_.dominates(branch->getCondition(), &load))
        continue;
      for (unsigned side : {0, 1})
        if (dominators_.dominates(BasicBlockEdge(above, branch->getSuccessor(side)), block))
          conditions.push_back(side == 0 ? branch->getCondition() : b_.CreateNot(branch->getCondition()));
    }
  }

  /// The only argument of the kernel that `pointer` is made of; -1 when it may be several.
  int32_t argumentOf(Value *pointer) {
    SmallVector<const Value *> objects;
    getUnderlyingObjects(pointer, objects, /*LI=*/nullptr, /*MaxLookup=*/0);
    int32_t number = -1;
    for (const Value *object : objects) {
      const auto *argument = dyn_cast<Argument>(object);
      if (!argument || (number >= 0 && number != int32_t(argument->getArgNo())))
        return -1;
      number = argument->getArgNo();
    }
    return number;
  }

  void emit(Instruction &inst, AccessKind kind, Value *address, Value *bytes, int32_t buffer) {
    Value *generic = b_.CreateAddrSpaceCast(address, b_.getPtrTy());
    b_.CreateCall(announce_, {generic, bytes, b_.getInt32(siteOf(inst, kind, buffer))});
  }

  void emitMeeting(Instruction &inst, AccessKind kind) {
    emit(inst, kind, ConstantPointerNull::get(b_.getPtrTy()), b_.getInt32(0), -1);
  }

  /// The number of the site; pieces of one access share it.
  uint32_t siteOf(Instruction &inst, AccessKind kind, int32_t buffer) {
    if (sites_.empty() || sites_.back().inst != &inst || sites_.back().kind != kind)
      sites_.push_back({&inst, kind, buffer, opOf(inst)});
    return static_cast<uint32_t>(sites_.size() - 1);
  }

  std::string opOf(const Instruction &inst) const {
    const DebugLoc &location = inst.getDebugLoc();
    unsigned line = location ? location.getLine() : 0;
    if (line == 0 || line > kernel_.lines.size())
      return "an op without a line";
    return "line " + std::to_string(line) + ": " + kernel_.lines[line - 1];
  }

  Constant *table(StructType *type, ArrayRef<Constant *> rows) {
    auto *array = ArrayType::get(type, rows.size());
    return new GlobalVariable(module_, array, true, GlobalValue::PrivateLinkage, ConstantArray::get(array, rows));
  }

  struct Site {
    Instruction *inst;
    AccessKind kind;
    int32_t buffer;
    std::string op;
  };

  Function &function_;
  Module &module_;
  const CheckedKernel &kernel_;
  DominatorTree dominators_; // calls are inserted, blocks are not
  IRBuilder<> b_;
  FunctionCallee announce_, announceAccumulator_;
  DenseSet<Use *> readers_; // of accumulators in flight, announced
  std::vector<Site> sites_;
};

Constant *KernelChecks::entry(StructType *type) {
  auto *siteType = StructType::get(b_.getPtrTy(), b_.getInt32Ty(), b_.getInt32Ty());
  auto *bufferType = StructType::get(b_.getPtrTy(), b_.getInt64Ty(), b_.getInt64Ty());
  SmallVector<Constant *> sites, buffers;
  for (const Site &site : sites_)
    sites.push_back(ConstantStruct::get(
        siteType, {constantText(module_, site.op), b_.getInt32(static_cast<int32_t>(site.kind)), b_.getInt32(site.buffer)}));
  for (const CheckedKernel::Buffer &buffer : kernel_.buffers)
    buffers.push_back(
        ConstantStruct::get(bufferType, {constantText(module_, buffer.type), b_.getInt64(buffer.bytes), b_.getInt64(buffer.isOutput)}));
  return ConstantStruct::get(type, {constantText(module_, kernel_.symbol), table(siteType, sites), b_.getInt64(sites.size()),
                                    table(bufferType, buffers), b_.getInt64(buffers.size())});
}

} // namespace

std::string announceAccesses(Module &module, ArrayRef<CheckedKernel> kernels) {
  Type *pointer = PointerType::get(module.getContext(), 0), *i64 = Type::getInt64Ty(module.getContext());
  auto *type = StructType::get(pointer, pointer, i64, pointer, i64);
  for (const CheckedKernel &kernel : kernels) {
    Function *function = module.getFunction(kernel.symbol);
    if (!function)
      return "there is no kernel " + kernel.symbol;
    KernelChecks checks(*function, kernel);
    if (std::string unknown = checks.run(); !unknown.empty())
      return unknown + ", in " + kernel.symbol;
    new GlobalVariable(module, type, true, GlobalValue::PrivateLinkage, checks.entry(type), checksNameOf(kernel.symbol));
  }
  return {};
}

} // namespace oriel::codegen::nvidia
