// --oriel-reduce-gradients: the step's last micro-batch reduces its gradients while the backward goes on.
#include "compiler/analysis/Storage.h"
#include "compiler/transforms/Passes.h"
#include "dialects/tape/TapeOps.h"
#include "dialects/tile/TileOps.h"
#include "kernels/optim/Optim.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace oriel::transforms {
#define GEN_PASS_DEF_REDUCEGRADIENTSPASS
#include "compiler/transforms/Passes.h.inc"

namespace {

constexpr llvm::StringLiteral gradsBuffer = "grads", microName = "micro", lastMicroName = "last_micro";

/// Bytes [begin, end) of the gradients, and the last step that touches them.
struct WrittenRange {
  int64_t begin, end;
  Operation *last;
};

class GradientReducer {
public:
  GradientReducer(ModuleOp module, ArrayRef<int64_t> starts)
      : module_(module), starts_(starts), elements_(integer("tape.parameter_elements")), world_(integer("tape.world")),
        slots_(integer("tape.grad_slots")) {}

  LogicalResult run(tape::ProgramOp micro);

private:
  int64_t integer(StringRef name) { return module_->getAttrOfType<IntegerAttr>(name).getInt(); }
  static int64_t bytes(int64_t elements) { return elements * static_cast<int64_t>(sizeof(float)); }
  Type f32(int64_t n) { return RankedTensorType::get({n}, Float32Type::get(module_.getContext())); }

  SmallVector<WrittenRange> writtenRanges();
  void writeToLastSlot();
  FailureOr<Value> gradients(int64_t start, int64_t count, int64_t slot);
  Value add(OpBuilder &builder, Value from, Value into);
  LogicalResult reduceBucket(int64_t start, int64_t end, Operation *after);

  ModuleOp module_;
  ArrayRef<int64_t> starts_;
  int64_t elements_, world_, slots_;
  tape::ProgramOp last_;
};

/// Of each piece of memory that ends as gradients.
SmallVector<WrittenRange> GradientReducer::writtenRanges() {
  analysis::StorageMap map = analysis::StorageMap::build(last_); // inserts the copies that results need
  llvm::SmallMapVector<unsigned, Operation *, 16> lastOf;
  for (Operation &op : last_.getBody().front().without_terminator())
    for (ValueRange values : {ValueRange(op.getOperands()), ValueRange(op.getResults())})
      for (Value value : values)
        lastOf[map.placeOf(value).storage] = &op;
  SmallVector<WrittenRange> ranges;
  for (auto [storage, op] : lastOf)
    if (tape::PlaceAttr place = map.storages()[storage].pinned; place && place.getBuffer() == gradsBuffer)
      ranges.push_back({place.getOffset(), place.getOffset() + map.storages()[storage].bytes, op});
  return ranges;
}

/// The last micro-batch finds every slot but the last one taken by sums of earlier ones.
void GradientReducer::writeToLastSlot() {
  for (unsigned i = 0; i < last_.getNumResults(); ++i)
    if (tape::PlaceAttr place = last_.getResultPlace(i); place.getBuffer() == gradsBuffer)
      last_.setResultPlace(i, tape::PlaceAttr::get(module_.getContext(), gradsBuffer,
                                                   place.getOffset() + bytes(elements_) * (slots_ - 1), 0));
}

/// A new argument: these elements of a slot.
FailureOr<Value> GradientReducer::gradients(int64_t start, int64_t count, int64_t slot) {
  unsigned number = last_.getNumArguments();
  Location loc = NameLoc::get(StringAttr::get(module_.getContext(), gradsBuffer));
  if (failed(last_.insertArgument(number, f32(count), DictionaryAttr(), loc)))
    return failure();
  last_.setArgumentPlace(
      number, tape::PlaceAttr::get(module_.getContext(), gradsBuffer, bytes(start) + bytes(elements_) * slot, 0));
  return Value(last_.getBody().getArgument(number));
}

Value GradientReducer::add(OpBuilder &builder, Value from, Value into) {
  kernels::FlatSpec spec{tape::elementCount(from.getType())};
  std::string symbol = kernels::accumulateSymbol(spec);
  if (!module_.lookupSymbol(symbol)) {
    OpBuilder atEnd = OpBuilder::atBlockEnd(module_.getBody());
    kernels::buildAccumulate(atEnd, NameLoc::get(builder.getStringAttr(symbol)), symbol, spec);
  }
  return tape::CallOp::create(builder, from.getLoc(), into.getType(),
                              FlatSymbolRefAttr::get(builder.getContext(), symbol), from, into,
                              builder.getDenseI64ArrayAttr({0}), FloatAttr(), ArrayAttr())
      .getOutputs()[0];
}

LogicalResult GradientReducer::reduceBucket(int64_t start, int64_t end, Operation *after) {
  OpBuilder builder(after->getContext());
  builder.setInsertionPointAfter(after);
  FailureOr<Value> sum = gradients(start, end - start, slots_ - 1);
  for (int64_t slot = slots_ - 2; slot >= 0 && succeeded(sum); --slot) {
    FailureOr<Value> into = gradients(start, end - start, slot);
    if (failed(into))
      return failure();
    sum = add(builder, *sum, *into);
  }
  if (failed(sum))
    return failure();
  int64_t share = (end - start) / world_;
  tape::ReduceScatterOp::create(builder, sum->getLoc(), f32(share), f32((world_ - 1) * share), *sum, "fsdp", world_,
                                ArrayAttr());
  return success();
}

LogicalResult GradientReducer::run(tape::ProgramOp micro) {
  OpBuilder builder(module_.getContext());
  builder.setInsertionPointAfter(micro);
  last_ = cast<tape::ProgramOp>(builder.clone(*micro));
  last_.setSymName(lastMicroName);
  SmallVector<WrittenRange> ranges = writtenRanges();
  writeToLastSlot();
  // Where the order of both allows it, the last bucket goes first: the backward makes its gradients first.
  SmallVector<std::pair<Operation *, int64_t>> ready;
  for (int64_t bucket = 0; bucket < static_cast<int64_t>(starts_.size()) - 1; ++bucket) {
    Operation *last = &last_.getBody().front().front();
    for (const WrittenRange &range : ranges)
      if (range.begin < bytes(starts_[bucket + 1]) && bytes(starts_[bucket]) < range.end &&
          last->isBeforeInBlock(range.last))
        last = range.last;
    ready.push_back({last, bucket});
  }
  for (auto [after, bucket] : ready)
    if (failed(reduceBucket(starts_[bucket], starts_[bucket + 1], after)))
      return failure();
  return success();
}

struct ReduceGradientsPass : impl::ReduceGradientsPassBase<ReduceGradientsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto world = module->getAttrOfType<IntegerAttr>("tape.world");
    auto micro = module.lookupSymbol<tape::ProgramOp>(microName);
    if (!micro || !world || world.getInt() == 1)
      return;
    SmallVector<int64_t> bounds = {0};
    if (auto starts = module->getAttrOfType<DenseI64ArrayAttr>("tape.bucket_starts"))
      bounds.assign(starts.asArrayRef().begin(), starts.asArrayRef().end());
    bounds.push_back(module->getAttrOfType<IntegerAttr>("tape.parameter_elements").getInt());
    if (failed(GradientReducer(module, bounds).run(micro)))
      signalPassFailure();
  }
};

} // namespace
} // namespace oriel::transforms
