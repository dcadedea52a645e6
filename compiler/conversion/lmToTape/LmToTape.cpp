// --oriel-lm-to-tape: lm functions ⇒ tape programs. The lowering of each op is in the Lower*.cpp files; this one makes
// the programs, says where their arguments and results lie, and adds the optimizer's programs.
#include "compiler/analysis/Flops.h"
#include "compiler/conversion/Passes.h"
#include "compiler/conversion/lmToTape/LowerOps.h"
#include "compiler/conversion/lmToTape/OptimizerPrograms.h"
#include "compiler/conversion/lmToTape/ParameterLayout.h"
#include "compiler/conversion/lmToTape/SavedValues.h"
#include "dialects/lm/LmDialect.h"
#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace oriel::conversion {
#define GEN_PASS_DEF_LMTOTAPEPASS
#include "compiler/conversion/Passes.h.inc"

namespace {

/// Where the arguments and results of one program lie.
struct Interface {
  SmallVector<tape::PlaceAttr> arguments, results;
};

class ModuleLowering {
public:
  ModuleLowering(ModuleOp module, int64_t world, int64_t gradSlots, int64_t bucketBytes, kernels::TileTarget tiles)
      : module_(module), kernels_(module), world_(world), gradSlots_(gradSlots), bucketBytes_(bucketBytes),
        tiles_(tiles) {}

  LogicalResult run();

private:
  tape::PlaceAttr place(StringRef buffer, int64_t offset = 0) {
    return tape::PlaceAttr::get(module_.getContext(), buffer, offset, 0);
  }
  FailureOr<tape::PlaceAttr> argumentPlace(func::FuncOp function, unsigned i);
  FailureOr<Interface> modelInterface(func::FuncOp function, StringRef firstResult);
  FailureOr<Interface> vjpInterface(func::FuncOp vjp);
  LogicalResult lowerFunction(func::FuncOp function, StringRef programName, const Interface &interface);
  LogicalResult lowerModel(func::FuncOp micro);
  void writeModelAttributes(func::FuncOp counted, const GradientBuckets &buckets);

  ModuleOp module_;
  KernelSet kernels_;
  int64_t world_, gradSlots_, bucketBytes_;
  kernels::TileTarget tiles_;
  ParameterLayout parameters_;
};

FailureOr<tape::PlaceAttr> ModuleLowering::argumentPlace(func::FuncOp function, unsigned i) {
  if (auto role = function.getArgAttrOfType<StringAttr>(i, lm::kRoleAttr))
    return place(role.getValue());
  int64_t offset = parameters_.offsetOf(parameterName(function, i));
  if (offset < 0)
    return function.emitError() << "argument " << i << " has neither lm.role nor an lm.param of @micro";
  return place("params", offset * static_cast<int64_t>(sizeof(float)));
}

/// Result 0 goes to the buffer `firstResult`, the others are gradients of the parameters in order.
FailureOr<Interface> ModuleLowering::modelInterface(func::FuncOp function, StringRef firstResult) {
  Interface interface;
  interface.results.push_back(place(firstResult));
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    FailureOr<tape::PlaceAttr> argument = argumentPlace(function, i);
    if (failed(argument))
      return failure();
    interface.arguments.push_back(*argument);
    if (function.getNumResults() > 1 && argument->getBuffer() == "params")
      interface.results.push_back(place("grads", argument->getOffset()));
  }
  if (interface.results.size() != function.getNumResults())
    return function.emitError() << "has " << function.getNumResults() << " results instead of "
                                << interface.results.size();
  return interface;
}

/// Buffers of a verification package: the arguments (`lm.name`, else arg<i>), cotangent<r>, result<r>, grad<i>.
FailureOr<Interface> ModuleLowering::vjpInterface(func::FuncOp vjp) {
  func::FuncOp source;
  for (auto function : module_.getOps<func::FuncOp>())
    if (function->getAttr(lm::kVjpAttr))
      source = function;
  auto request = source ? source->getAttrOfType<DictionaryAttr>(lm::kVjpAttr) : DictionaryAttr();
  if (!request)
    return vjp.emitError("@vjp without the function whose lm.vjp asked for it");
  auto name = [&](StringRef stem, int64_t i) { return (stem + Twine(i)).str(); };
  Interface interface;
  for (unsigned i = 0; i < source.getNumArguments(); ++i) {
    auto given = source.getArgAttrOfType<StringAttr>(i, "lm.name");
    interface.arguments.push_back(place(given ? given.getValue() : StringRef(name("arg", i))));
  }
  for (auto [r, flag] : llvm::enumerate(request.getAs<ArrayAttr>("cotangents")))
    if (cast<BoolAttr>(flag).getValue())
      interface.arguments.push_back(place(name("cotangent", r)));
  for (unsigned r = 0; r < source.getNumResults(); ++r)
    interface.results.push_back(place(name("result", r)));
  for (Attribute i : request.getAs<ArrayAttr>("wrt"))
    interface.results.push_back(place(name("grad", cast<IntegerAttr>(i).getInt())));
  if (interface.arguments.size() != vjp.getNumArguments() || interface.results.size() != vjp.getNumResults())
    return vjp.emitError("does not have the arguments and results that lm.vjp asks for");
  return interface;
}

LogicalResult lowerOp(Lowering &lowering, Operation &op) {
  lowering.tape.setLocation(op.getLoc());
  for (auto lower : {lowerProjection, lowerPointwise, lowerMixer, lowerLinearAttention, lowerLoss}) {
    Lowered outcome = lower(lowering, &op);
    if (outcome != Lowered::NotMine)
      return success(outcome == Lowered::Done);
  }
  return op.emitError() << "has no lowering to the tape; composites must be decomposed first";
}

LogicalResult ModuleLowering::lowerFunction(func::FuncOp function, StringRef programName, const Interface &interface) {
  if (!llvm::hasSingleElement(function.getBody()))
    return function.emitError("must have one block");
  for (Type type : llvm::concat<const Type>(function.getArgumentTypes(), function.getResultTypes()))
    if (!isa<RankedTensorType>(type) || isa<BFloat16Type, Float64Type>(cast<RankedTensorType>(type).getElementType()))
      return function.emitError() << "has a value of type " << type << "; kernels work on float32 and int32 tensors";
  OpBuilder builder(function);
  auto program = tape::ProgramOp::create(builder, function.getLoc(), programName, function.getFunctionType());
  for (auto [i, where] : llvm::enumerate(interface.arguments))
    program.setArgumentPlace(i, where);
  for (auto [i, where] : llvm::enumerate(interface.results))
    program.setResultPlace(i, where);

  Lowering lowering(program, kernels_, tiles_);
  if (auto cores = program->getParentOfType<ModuleOp>()->getAttrOfType<IntegerAttr>("tape.cores"))
    lowering.cores = std::max<int64_t>(1, cores.getInt());
  for (auto [from, to] : llvm::zip(function.getArguments(), program.getBody().getArguments())) {
    to.setLoc(from.getLoc());
    lowering.set(from, to);
  }
  Block &block = function.getBody().front();
  Operation *lastForward = nullptr;
  for (Operation &op : block.without_terminator()) {
    if (!lastForward && op.getName().getStringRef().ends_with("_grad") && !program.getBody().front().empty())
      lastForward = &program.getBody().front().back();
    if (failed(lowerOp(lowering, op)))
      return failure();
  }
  lowering.tape.finish(
      llvm::map_to_vector(block.getTerminator()->getOperands(), [&](Value v) { return lowering.get(v); }));
  if (lastForward)
    listSavedValues(lastForward);
  return success();
}

void ModuleLowering::writeModelAttributes(func::FuncOp counted, const GradientBuckets &buckets) {
  Builder b(module_.getContext());
  module_->setAttr("tape.parameters", parameters_.toAttribute(module_.getContext()));
  module_->setAttr("tape.parameter_elements", b.getI64IntegerAttr(parameters_.paddedElements()));
  if (buckets.size() > 1)
    module_->setAttr("tape.bucket_starts", b.getDenseI64ArrayAttr(buckets.starts));
  auto batch = module_->getAttrOfType<IntegerAttr>(lm::kBatchAttr),
       tokens = module_->getAttrOfType<IntegerAttr>(lm::kTokensAttr);
  if (counted && batch && tokens)
    module_->setAttr("tape.flops_per_token",
                     b.getF64FloatAttr(analysis::trainingFlopsPerToken(counted, batch.getInt(), tokens.getInt())));
}

LogicalResult ModuleLowering::lowerModel(func::FuncOp micro) {
  FailureOr<ParameterLayout> layout = ParameterLayout::read(micro, world_);
  if (failed(layout))
    return failure();
  parameters_ = std::move(*layout);
  auto loss = module_.lookupSymbol<func::FuncOp>("loss"), logits = module_.lookupSymbol<func::FuncOp>("logits");
  GradientBuckets buckets = cutIntoBuckets(parameters_.paddedElements(), world_, bucketBytes_);
  writeModelAttributes(loss, buckets);
  struct Item {
    func::FuncOp function;
    StringRef program, result;
  };
  for (Item item : {Item{micro, "micro", "loss"}, Item{loss, "eval", "loss"}, Item{logits, "logits", "logits"}}) {
    if (!item.function)
      continue;
    FailureOr<Interface> interface = modelInterface(item.function, item.result);
    StringRef name = item.program;
    if (name == item.function.getName()) // both are symbols of the module for a moment
      item.function.setName((name + ".lm").str());
    if (failed(interface) || failed(lowerFunction(item.function, name, *interface)))
      return failure();
  }
  if (gradSlots_ > 1)
    addAccumulateProgram(module_, kernels_, parameters_.paddedElements());
  addUpdateProgram(module_, kernels_, buckets);
  return success();
}

LogicalResult ModuleLowering::run() {
  if (world_ < 1 || gradSlots_ < 1 || bucketBytes_ < 0)
    return module_.emitError() << "world " << world_ << " and grad-slots " << gradSlots_
                               << " must be at least 1, and bucket-bytes " << bucketBytes_ << " not negative";
  Builder b(module_.getContext());
  module_->setAttr("tape.world", b.getI64IntegerAttr(world_));
  module_->setAttr("tape.grad_slots", b.getI64IntegerAttr(gradSlots_));
  auto micro = module_.lookupSymbol<func::FuncOp>("micro"), vjp = module_.lookupSymbol<func::FuncOp>("vjp");
  if (!micro && !vjp)
    return module_.emitError("has neither @micro nor @vjp; run oriel-differentiate first");
  if (micro && failed(lowerModel(micro)))
    return failure();
  if (vjp) {
    FailureOr<Interface> interface = vjpInterface(vjp);
    vjp.setName("vjp.lm");
    if (failed(interface) || failed(lowerFunction(vjp, "vjp", *interface)))
      return failure();
  }
  for (auto function : llvm::make_early_inc_range(module_.getOps<func::FuncOp>()))
    function.erase();
  return success();
}

struct LmToTapePass : impl::LmToTapePassBase<LmToTapePass> {
  using LmToTapePassBase::LmToTapePassBase;
  void runOnOperation() override {
    std::optional<kernels::TileTarget> target = kernels::tileTargetNamed(tiles);
    if (!target) {
      getOperation().emitError() << "oriel-lm-to-tape: tiles are sized for 'cpu', 'nvidia', 'nvidia-large', 'nvidia-bf16' or 'nvidia-warpgroup', not "
                                    "for '"
                                 << tiles << "'";
      return signalPassFailure();
    }
    if (failed(ModuleLowering(getOperation(), world, gradSlots, bucketBytes, *target).run()))
      signalPassFailure();
  }
};

} // namespace
} // namespace oriel::conversion
