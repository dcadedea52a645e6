// --oriel-choose-storage: f32 tape programs ⇒ programs whose activations lie in bf16. Which values may is decided here
// by classes of values that share memory; what a kernel looks like then is NarrowKernel's.
#include "compiler/transforms/NarrowKernel.h"
#include "compiler/transforms/Passes.h"
#include "dialects/tape/TapeOps.h"
#include "kernels/elementwise/Elementwise.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/IntEqClasses.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace oriel::transforms {
#define GEN_PASS_DEF_CHOOSESTORAGEPASS
#include "compiler/transforms/Passes.h.inc"

namespace {

bool isF32(Value value) { return cast<ShapedType>(value.getType()).getElementType().isF32(); }

/// The kernels of the module and their bf16 forms, made on demand.
class Kernels {
public:
  Kernels(ModuleOp module, bool insideBranches) : module_(module), insideBranches_(insideBranches) {}

  /// Per buffer: whether it may be bf16.
  ArrayRef<bool> narrowable(tape::CallOp call) {
    auto [entry, isNew] = narrowable_.try_emplace(call.getCallee());
    if (isNew)
      entry->second = narrowableBuffers(kernelOf(call));
    return entry->second;
  }
  /// Whether this buffer of the call would rather stay f32.
  bool prefersF32(tape::CallOp call, unsigned buffer) {
    return static_cast<bool>(kernelOf(call).getArgAttr(buffer, tile::kPrefersF32Attr));
  }
  /// Makes the call agree with the types of its operands and results.
  void retype(tape::CallOp call);
  /// The symbol of the kernel that rounds `elements` numbers.
  std::string rounding(int64_t elements);
  /// Erases the kernels that nothing calls any more.
  void eraseUnused();

private:
  tile::KernelOp kernelOf(tape::CallOp call) { return module_.lookupSymbol<tile::KernelOp>(call.getCallee()); }

  ModuleOp module_;
  bool insideBranches_; // see narrowKernel
  llvm::StringMap<SmallVector<bool>> narrowable_;
};

/// The buffer of the kernel that an operand of a call is: an `into` operand is the buffer of its result.
unsigned bufferOf(tape::CallOp call, OpOperand &operand) {
  unsigned number = operand.getOperandNumber(), inputs = call.getInputs().size();
  if (number < inputs)
    return number;
  auto tie = llvm::find(call.getTies(), static_cast<int64_t>(number - inputs));
  return inputs + std::distance(call.getTies().begin(), tie);
}

void Kernels::retype(tape::CallOp call) {
  SmallVector<bool> isNarrow;
  auto add = [&](Value value) { isNarrow.push_back(cast<ShapedType>(value.getType()).getElementType().isBF16()); };
  llvm::for_each(call.getInputs(), add);
  llvm::for_each(call.getOutputs(), add);
  if (!llvm::is_contained(isNarrow, true))
    return;
  tile::KernelOp kernel = kernelOf(call);
  std::string symbol = narrowSymbol(kernel, isNarrow);
  if (!module_.lookupSymbol(symbol))
    narrowKernel(kernel, isNarrow, symbol, insideBranches_);
  call.setCallee(symbol);
}

std::string Kernels::rounding(int64_t elements) {
  kernels::RoundSpec spec{elements};
  std::string symbol = kernels::symbol(spec);
  if (!module_.lookupSymbol(symbol)) {
    OpBuilder builder = OpBuilder::atBlockEnd(module_.getBody());
    kernels::buildRound(builder, NameLoc::get(builder.getStringAttr(symbol)), symbol, spec);
  }
  return symbol;
}

void Kernels::eraseUnused() {
  llvm::StringSet<> called;
  module_.walk([&](tape::CallOp call) { called.insert(call.getCallee()); });
  for (auto kernel : llvm::make_early_inc_range(module_.getOps<tile::KernelOp>()))
    if (!called.contains(kernel.getSymName()))
      kernel.erase();
}

/// The storage of one program's values.
class ProgramStorage {
public:
  ProgramStorage(tape::ProgramOp program, Kernels &kernels)
      : body_(program.getBody().front()), kernels_(kernels), bf16_(BFloat16Type::get(program.getContext())) {}

  void run() {
    roundArguments();
    classify();
    keepUnrounded();
    dropUselessRoundings();
    roundProductOperands();
    narrowValues();
  }

private:
  bool takesStorage(OpOperand &use);
  Value round(Value value, Operation *before, Location loc);
  void roundArguments();
  void classify();
  void join(Value a, Value b) { classes_.join(number(a), number(b)); }
  void keep(Value value) { kept_.push_back(value); }
  void classifyOp(Operation &op);
  void keepUnrounded();
  void dropUselessRoundings();
  void roundProductOperands();
  void narrowValues();
  unsigned number(Value value) { return numbers_.lookup(value); }
  bool isNarrow(Value value) { return numbers_.contains(value) && !keptClasses_.contains(classes_[number(value)]); }

  Block &body_;
  Kernels &kernels_;
  Type bf16_;
  llvm::MapVector<Value, unsigned> numbers_; // f32 results of the program's ops
  llvm::IntEqClasses classes_;               // values that must have one type
  SmallVector<Value> kept_;                  // values that stay f32, and with them their classes
  llvm::DenseSet<unsigned> keptClasses_;
  SmallVector<tape::CallOp> roundings_; // of arguments
};

/// Whether an f32 operand would rather be bf16.
bool ProgramStorage::takesStorage(OpOperand &use) {
  if (auto call = dyn_cast<tape::CallOp>(use.getOwner()))
    return kernels_.narrowable(call)[bufferOf(call, use)];
  if (isa<tape::MatmulOp>(use.getOwner()))
    return use.getOperandNumber() < 2;
  return isa<tape::ViewOp, tape::ConcatOp>(use.getOwner());
}

Value ProgramStorage::round(Value value, Operation *before, Location loc) {
  OpBuilder builder(before);
  return tape::CallOp::create(builder, loc, kernels_.rounding(tape::elementCount(value.getType())), value.getType(),
                              value)
      .getResult(0);
}

/// Arguments (parameters, what the caller gives) are f32 in the caller's memory: a rounded copy is made before the
/// first step that wants one.
void ProgramStorage::roundArguments() {
  for (BlockArgument argument : body_.getArguments()) {
    SmallVector<OpOperand *> uses;
    Operation *first = nullptr;
    for (OpOperand &use : argument.getUses())
      if (isF32(argument) && takesStorage(use)) {
        uses.push_back(&use);
        if (!first || use.getOwner()->isBeforeInBlock(first))
          first = use.getOwner();
      }
    if (uses.empty())
      continue;
    Value rounded = round(argument, first, argument.getLoc()); // of no op: it stays when ops run again
    roundings_.push_back(rounded.getDefiningOp<tape::CallOp>());
    for (OpOperand *use : uses)
      use->set(rounded);
  }
}

void ProgramStorage::classify() {
  for (Operation &op : body_)
    for (Value result : op.getResults())
      if (isF32(result))
        numbers_.insert({result, numbers_.size()});
  classes_.grow(numbers_.size());
  for (Operation &op : body_)
    classifyOp(op);
  SmallVector<unsigned> kept;
  for (Value value : kept_)
    if (numbers_.contains(value))
      kept.push_back(number(value));
  classes_.compress();
  for (unsigned value : kept)
    keptClasses_.insert(classes_[value]);
}

void ProgramStorage::classifyOp(Operation &op) {
  if (auto call = dyn_cast<tape::CallOp>(op)) {
    ArrayRef<bool> narrowable = kernels_.narrowable(call);
    for (OpOperand &operand : call->getOpOperands())
      if (!narrowable[bufferOf(call, operand)])
        keep(operand.get());
    for (auto [i, result] : llvm::enumerate(call.getOutputs())) {
      if (!narrowable[call.getInputs().size() + i])
        keep(result);
      if (Value tied = call.getTied(i); tied && isF32(tied))
        numbers_.contains(tied) ? join(tied, result) : keep(result);
    }
  } else if (auto matmul = dyn_cast<tape::MatmulOp>(op)) {
    if (Value init = matmul.getInit())
      numbers_.contains(init) ? join(init, matmul) : keep(matmul);
  } else if (isa<tape::ViewOp, tape::ConcatOp>(op)) {
    for (Value operand : op.getOperands())
      if (isF32(operand))
        numbers_.contains(operand) ? join(operand, op.getResult(0)) : keep(op.getResult(0));
  } else if (!isa<tape::ZeroOp, tape::ConstantOp, tape::SaveOp>(op)) {
    llvm::for_each(op.getOperands(), [&](Value value) { keep(value); }); // results of the program, collectives
    llvm::for_each(op.getResults(), [&](Value value) { keep(value); });
  }
}

/// Values that only kernels read that prefer f32 stay f32, unless they are saved.
void ProgramStorage::keepUnrounded() {
  llvm::DenseSet<unsigned> wanted, refused;
  for (auto [value, number] : numbers_)
    for (OpOperand &use : value.getUses()) {
      auto call = dyn_cast<tape::CallOp>(use.getOwner());
      auto matmul = dyn_cast<tape::MatmulOp>(use.getOwner());
      bool isSameValue = isa<tape::ViewOp>(use.getOwner()) || (matmul && matmul.getInit() == value);
      if (call && kernels_.prefersF32(call, bufferOf(call, use)))
        wanted.insert(classes_[number]);
      else if (!isSameValue)
        refused.insert(classes_[number]);
    }
  for (unsigned members : wanted)
    if (!refused.contains(members))
      keptClasses_.insert(members);
}

/// A rounded argument that must be f32 after all is the argument.
void ProgramStorage::dropUselessRoundings() {
  for (tape::CallOp call : roundings_)
    if (!isNarrow(call.getResult(0))) {
      call.getResult(0).replaceAllUsesWith(call.getInputs()[0]);
      numbers_.erase(call.getResult(0));
      call.erase();
    }
}

/// Products take bf16 on both sides: what stays f32 is rounded behind the step that makes it.
void ProgramStorage::roundProductOperands() {
  llvm::DenseMap<Value, Value> rounded;
  for (auto matmul : llvm::make_early_inc_range(body_.getOps<tape::MatmulOp>()))
    for (OpOperand *operand : {&matmul.getAMutable(), &matmul.getBMutable()}) {
      Value value = operand->get();
      if (!isF32(value) || isNarrow(value))
        continue;
      Value &result = rounded[value];
      if (!result) {
        Operation *maker = value.getDefiningOp();
        result = maker ? round(value, maker->getNextNode(), maker->getLoc())
                       : round(value, matmul.getOperation(), value.getLoc());
        result.setType(cast<ShapedType>(result.getType()).clone(bf16_));
      }
      operand->set(result);
    }
}

/// The same table rounded to nearest even.
DenseElementsAttr narrowTable(DenseElementsAttr table, Type bf16) {
  return table.mapValues(bf16, [](const APFloat &value) {
    APFloat rounded = value;
    bool losesInfo;
    rounded.convert(APFloat::BFloat(), APFloat::rmNearestTiesToEven, &losesInfo);
    return rounded.bitcastToAPInt();
  });
}

void ProgramStorage::narrowValues() {
  for (auto [value, number] : numbers_) {
    if (!isNarrow(value))
      continue;
    if (auto constant = value.getDefiningOp<tape::ConstantOp>())
      constant.setValueAttr(narrowTable(cast<DenseElementsAttr>(constant.getValue()), bf16_));
    Value(value).setType(cast<ShapedType>(value.getType()).clone(bf16_));
  }
  for (Operation &op : body_) {
    if (auto call = dyn_cast<tape::CallOp>(op))
      kernels_.retype(call);
    auto save = dyn_cast<tape::SaveOp>(op);
    if (!save)
      continue;
    int64_t bytes = 0;
    for (Value value : save.getValues())
      bytes += tape::sizeInBytes(value.getType());
    save.setBytes(bytes);
  }
}

struct ChooseStoragePass : impl::ChooseStoragePassBase<ChooseStoragePass> {
  using ChooseStoragePassBase::ChooseStoragePassBase;
  void runOnOperation() override {
    Kernels kernels(getOperation(), insideBranches);
    for (auto program : getOperation().getOps<tape::ProgramOp>())
      ProgramStorage(program, kernels).run();
    kernels.eraseUnused();
  }
};

} // namespace
} // namespace oriel::transforms
