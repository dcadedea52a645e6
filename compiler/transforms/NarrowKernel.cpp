#include "compiler/transforms/NarrowKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace oriel::transforms {

llvm::SmallVector<bool> narrowableBuffers(tile::KernelOp kernel) {
  llvm::SmallVector<bool> narrowable;
  for (auto [i, buffer] : llvm::enumerate(kernel.getBuffers())) {
    bool isSum = llvm::any_of(buffer.getUsers(), [](Operation *user) {
      auto store = dyn_cast<tile::StoreOp>(user);
      return isa<tile::ScatterAddOp>(user) || (store && store.getAccumulate());
    });
    narrowable.push_back(kernel.getArgAttr(i, tile::kStorageAttr) && !isSum);
  }
  return narrowable;
}

std::string narrowSymbol(tile::KernelOp kernel, llvm::ArrayRef<bool> isNarrow) {
  std::string symbol = (kernel.getSymName() + "_bf16").str();
  if (llvm::equal(narrowableBuffers(kernel), isNarrow))
    return symbol;
  symbol += '_';
  for (bool narrow : isNarrow)
    symbol += narrow ? '1' : '0';
  return symbol;
}

namespace {

Type withElement(Type type, Type element) { return cast<ShapedType>(type).clone(element); }

/// Turns the operands of a kernel's matrix products into bf16 tiles.
class OperandNarrower {
public:
  OperandNarrower(tile::KernelOp kernel, bool insideBranches)
      : kernel_(kernel), insideBranches_(insideBranches), bf16_(BFloat16Type::get(kernel.getContext())) {
    kernel_.walk([&](tile::DotOp dot) {
      if (isMatrixProduct(dot))
        products_.insert(dot);
    });
  }

  void run();

private:
  static bool isMatrixProduct(tile::DotOp dot);
  bool isOperandUse(OpOperand &use) {
    if (auto transpose = dyn_cast<tile::TransposeOp>(use.getOwner()))
      return isOperand(transpose.getResult());
    if (OpResult choice = resultOf(use))
      return insideBranches_ && isOperand(choice) && isOnlyOperand(choice);
    return products_.contains(use.getOwner()) && use.getOperandNumber() < 2;
  }
  bool isOperand(Value value) {
    return llvm::any_of(value.getUses(), [&](OpOperand &use) { return isOperandUse(use); });
  }
  bool isOnlyOperand(Value value) {
    return llvm::all_of(value.getUses(), [&](OpOperand &use) { return isOperandUse(use); });
  }

  /// The result of the scf.if that a use of its yields gives; null for other uses.
  static OpResult resultOf(OpOperand &use) {
    auto branch = isa<scf::YieldOp>(use.getOwner()) ? dyn_cast<scf::IfOp>(use.getOwner()->getParentOp()) : scf::IfOp();
    return branch ? branch->getResult(use.getOperandNumber()) : OpResult();
  }

  void narrow(Value value);
  void narrowMap(tile::MapOp map);
  void narrowTranspose(tile::TransposeOp transpose);

  tile::KernelOp kernel_;
  bool insideBranches_;
  Type bf16_;
  llvm::SetVector<Operation *> products_;
  SmallVector<OpResult> choices_;         // of branches that yield bf16
  llvm::DenseMap<Value, Value> narrowed_; // f32 tile → the same in bf16
};

/// Products with a vector are left in f32: they are sums of rows or columns.
bool OperandNarrower::isMatrixProduct(tile::DotOp dot) {
  auto isMatrix = [](Value tile) {
    auto type = cast<RankedTensorType>(tile.getType());
    return type.getElementType().isF32() && llvm::all_of(type.getShape(), [](int64_t size) { return size > 1; });
  };
  return isMatrix(dot.getA()) && isMatrix(dot.getB());
}

/// Values are rounded where they are made, so that a loop around the product does it once; transposes come last,
/// because they read what was rounded.
void OperandNarrower::run() {
  SmallVector<Value> values;
  SmallVector<tile::MapOp> maps;
  SmallVector<tile::TransposeOp> transposes;
  kernel_.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::append_range(values, block.getArguments());
    if (auto map = dyn_cast<tile::MapOp>(op))
      maps.push_back(map);
    else if (auto transpose = dyn_cast<tile::TransposeOp>(op))
      transposes.push_back(transpose);
    else
      llvm::append_range(values, op->getResults());
  });
  for (Value value : values)
    if (isOperand(value))
      narrow(value);
  for (tile::MapOp map : maps)
    narrowMap(map);
  for (tile::TransposeOp transpose : transposes)
    if (isOperand(transpose.getResult()))
      narrowTranspose(transpose);
  for (Operation *op : products_) {
    auto dot = cast<tile::DotOp>(op);
    dot.getAMutable().assign(narrowed_.lookup(dot.getA()));
    dot.getBMutable().assign(narrowed_.lookup(dot.getB()));
  }
  for (OpResult choice : choices_) {
    auto branch = cast<scf::IfOp>(choice.getOwner());
    for (scf::YieldOp yield : {branch.thenYield(), branch.elseYield()})
      yield.setOperand(choice.getResultNumber(), narrowed_.lookup(yield.getOperand(choice.getResultNumber())));
  }
}

/// A load from bf16 memory gives the tile as it lies there, and a branch what its sides yield; what else makes the tile
/// is followed by a cast.
void OperandNarrower::narrow(Value value) {
  if (insideBranches_ && value.getDefiningOp<scf::IfOp>() && isOnlyOperand(value)) {
    choices_.push_back(cast<OpResult>(value));
    value.setType(withElement(value.getType(), bf16_));
    narrowed_[value] = value;
    return;
  }
  OpBuilder builder(kernel_.getContext());
  builder.setInsertionPointAfterValue(value);
  auto load = value.getDefiningOp<tile::LoadOp>();
  if (!load || !load.getBuffer().getType().getElementType().isBF16()) {
    narrowed_[value] = tile::CastOp::create(builder, value.getLoc(), withElement(value.getType(), bf16_), value);
    return;
  }
  if (!isOnlyOperand(value))
    load = cast<tile::LoadOp>(builder.clone(*load));
  load.getTile().setType(cast<RankedTensorType>(withElement(value.getType(), bf16_)));
  narrowed_[value] = load.getTile();
}

/// The map yields the rounded value itself, beside the f32 one where that is used too.
void OperandNarrower::narrowMap(tile::MapOp map) {
  SmallVector<Type> types(map.getResultTypes());
  auto yield = cast<tile::YieldOp>(map.getBody().front().getTerminator());
  SmallVector<Value> yielded(yield.getValues());
  SmallVector<std::pair<unsigned, unsigned>> rounded; // result → its bf16 form, among the new results
  OpBuilder builder(yield);
  for (unsigned i = 0; i < map.getNumResults(); ++i) {
    if (!isOperand(map.getResult(i)))
      continue;
    Value value = arith::TruncFOp::create(builder, map.getLoc(), bf16_, yielded[i]);
    Type type = withElement(types[i], bf16_);
    if (isOnlyOperand(map.getResult(i))) {
      types[i] = type, yielded[i] = value;
      rounded.push_back({i, i});
    } else {
      rounded.push_back({i, types.size()});
      types.push_back(type), yielded.push_back(value);
    }
  }
  if (rounded.empty())
    return;
  yield.getValuesMutable().assign(yielded);
  builder.setInsertionPoint(map);
  auto wider = tile::MapOp::create(builder, map.getLoc(), types, map.getInputs());
  wider.getBody().takeBody(map.getBody());
  map.replaceAllUsesWith(wider.getResults().take_front(map.getNumResults()));
  map.erase();
  for (auto [from, to] : rounded)
    narrowed_[wider.getResult(from)] = wider.getResult(to);
}

void OperandNarrower::narrowTranspose(tile::TransposeOp transpose) {
  OpBuilder builder(transpose);
  builder.setInsertionPointAfter(transpose);
  Value source = narrowed_.lookup(transpose.getTile()), result = transpose.getResult();
  narrowed_[result] =
      tile::TransposeOp::create(builder, transpose.getLoc(), withElement(result.getType(), bf16_), source);
}

/// A bf16 buffer and an f32 one are never the same memory: their places have different sizes ((C4) of tile.kernel).
void dropReplacements(tile::KernelOp kernel) {
  ArrayRef<Type> types = kernel.getArgumentTypes();
  for (unsigned i = 0; i < types.size(); ++i) {
    SmallVector<int64_t> inputs(
        llvm::make_filter_range(kernel.getReplaceable(i), [&](int64_t input) { return types[input] == types[i]; }));
    if (inputs.size() == kernel.getReplaceable(i).size())
      continue;
    if (inputs.empty())
      kernel.removeArgAttr(i, tile::kReplacesAttr);
    else
      kernel.setArgAttr(i, tile::kReplacesAttr, DenseI64ArrayAttr::get(kernel.getContext(), inputs));
  }
}

/// A scalar read from a bf16 buffer is extended.
void extendScalars(Value buffer, Type f32) {
  for (Operation *user : buffer.getUsers()) {
    auto load = dyn_cast<memref::LoadOp>(user);
    if (!load)
      continue;
    OpBuilder builder(load->getContext());
    builder.setInsertionPointAfter(load);
    load.getResult().setType(cast<MemRefType>(buffer.getType()).getElementType());
    auto extended = arith::ExtFOp::create(builder, load.getLoc(), f32, load.getResult());
    load.getResult().replaceAllUsesExcept(extended, extended);
  }
}

/// Loads and transposes that only f32 products read.
void eraseUnused(tile::KernelOp kernel) {
  SmallVector<Operation *> ops;
  kernel.walk([&](Operation *op) {
    if (isa<tile::TransposeOp, tile::LoadOp>(op))
      ops.push_back(op);
  });
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty())
      op->erase();
}

/// True if nothing in the kernel writes where the buffer lies.
bool isReadOnly(tile::KernelOp kernel, Value buffer) {
  auto number = static_cast<int64_t>(cast<BlockArgument>(buffer).getArgNumber());
  for (unsigned i = 0; i < kernel.getArgumentTypes().size(); ++i)
    if (llvm::is_contained(kernel.getReplaceable(i), number))
      return false;
  return llvm::none_of(buffer.getUsers(), [](Operation *user) { return isa<tile::StoreOp, tile::ScatterAddOp>(user); });
}

/// Where the model first calls the kernel.
Location calledFrom(tile::KernelOp kernel) {
  auto name = dyn_cast<NameLoc>(kernel.getLoc());
  return name ? name.getChildLoc() : kernel.getLoc();
}

/// Moves a load that only one side of a branch reads there.
void sinkLoads(tile::KernelOp kernel) {
  SmallVector<tile::LoadOp> loads;
  kernel.walk([&](tile::LoadOp load) { loads.push_back(load); });
  for (tile::LoadOp load : loads) {
    Operation *user = *load.getTile().user_begin();
    if (load.getTile().hasOneUse() && isa<scf::IfOp>(user->getParentOp()) &&
        user->getParentOp()->getBlock() == load->getBlock() && !user->hasTrait<OpTrait::IsTerminator>() &&
        isReadOnly(kernel, load.getBuffer()))
      load->moveBefore(user);
  }
}

} // namespace

tile::KernelOp narrowKernel(tile::KernelOp kernel, llvm::ArrayRef<bool> isNarrow, llvm::StringRef symbol,
                            bool insideBranches) {
  OpBuilder builder(kernel);
  builder.setInsertionPointAfter(kernel);
  auto result = cast<tile::KernelOp>(builder.clone(*kernel));
  result.setSymName(symbol);
  result->setLoc(NameLoc::get(builder.getStringAttr(symbol), calledFrom(kernel)));
  SmallVector<Type> types(result.getArgumentTypes());
  for (auto [i, buffer] : llvm::enumerate(result.getBuffers())) {
    if (!isNarrow[i])
      continue;
    types[i] = withElement(types[i], builder.getBF16Type());
    buffer.setType(types[i]);
    extendScalars(buffer, builder.getF32Type());
  }
  result.setFunctionType(builder.getFunctionType(types, {}));
  dropReplacements(result);
  OperandNarrower(result, insideBranches).run();
  eraseUnused(result);
  if (insideBranches)
    sinkLoads(result);
  return result;
}

} // namespace oriel::transforms
