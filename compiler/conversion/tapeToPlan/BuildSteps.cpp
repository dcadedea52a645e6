#include "compiler/conversion/tapeToPlan/BuildSteps.h"

#include "compiler/analysis/KernelWork.h"
#include "compiler/analysis/PlannedMemory.h"
#include "dialects/tile/TileOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include <map>

using namespace mlir;

namespace oriel::conversion {
namespace {

/// The first name in a location: the layer path of the model text.
std::string layerOf(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().str();
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      if (std::string layer = layerOf(part); !layer.empty())
        return layer;
  }
  if (auto call = dyn_cast<CallSiteLoc>(loc))
    return layerOf(call.getCallee());
  return {};
}

int64_t bytesOf(ValueRange values) {
  int64_t bytes = 0;
  for (Value value : values)
    bytes += tape::sizeInBytes(value.getType());
  return bytes;
}

/// What of the results waits for the backward half.
int64_t savedBytes(Operation *op) {
  int64_t bytes = 0;
  for (Value result : op->getResults())
    if (llvm::any_of(result.getUsers(), [](Operation *user) { return isa<tape::SaveOp>(user); }))
      bytes += tape::sizeInBytes(result.getType());
  return bytes;
}

class StepBuilder {
public:
  StepBuilder(tape::ProgramOp program, const PlanBuffers &buffers, const PlanOptions &options, plan::EntryPoint &entry)
      : program_(program), buffers_(buffers), options_(options), entry_(entry) {}

  LogicalResult add(Operation *op);

private:
  FailureOr<plan::Ref> refTo(Value value);
  const analysis::KernelWork &workOf(tile::KernelOp kernel);
  LogicalResult setRef(plan::Ref *target, Value value);
  plan::Step *addStep(Operation *op, double flops);
  LogicalResult addCall(tape::CallOp op);
  LogicalResult addMatmul(tape::MatmulOp op);
  LogicalResult addGather(tape::AllGatherOp op);
  LogicalResult addScatter(tape::ReduceScatterOp op);
  LogicalResult addZero(tape::ZeroOp op);
  LogicalResult addCopy(tape::CopyOp op);

  tape::ProgramOp program_;
  const PlanBuffers &buffers_;
  const PlanOptions &options_;
  plan::EntryPoint &entry_;
  std::map<Operation *, analysis::KernelWork> kernelWork_;
};

FailureOr<plan::Ref> StepBuilder::refTo(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return buffers_.refTo(program_, program_.getArgumentPlace(argument.getArgNumber()));
  auto result = cast<OpResult>(value);
  auto places = result.getOwner()->getAttrOfType<ArrayAttr>(tape::atAttrName);
  if (!places || places.size() != result.getOwner()->getNumResults())
    return result.getOwner()->emitOpError("has no place; run oriel-assign-buffers first");
  return buffers_.refTo(program_, cast<tape::PlaceAttr>(places[result.getResultNumber()]));
}

LogicalResult StepBuilder::setRef(plan::Ref *target, Value value) {
  FailureOr<plan::Ref> ref = refTo(value);
  if (failed(ref))
    return failure();
  *target = *ref;
  return success();
}

plan::Step *StepBuilder::addStep(Operation *op, double flops) {
  plan::Step *step = entry_.add_steps();
  step->set_layer(layerOf(op->getLoc()));
  step->set_flops(flops);
  step->set_bytes_moved(static_cast<double>(bytesOf(op->getOperands()) + bytesOf(op->getResults())));
  step->set_saved_bytes(savedBytes(op));
  return step;
}

const analysis::KernelWork &StepBuilder::workOf(tile::KernelOp kernel) {
  auto [known, isNew] = kernelWork_.try_emplace(kernel);
  if (isNew)
    known->second = analysis::workOf(kernel);
  return known->second;
}

/// What predictions of a GPU's time count.
static void setWork(plan::Launch &launch, const LaunchFacts &facts, const analysis::KernelWork &work) {
  launch.set_stages(facts.stages);
  launch.set_warpgroup_share(facts.warpgroupShare);
  launch.set_product_flops(work.dotFlops);
  launch.set_cell_bytes(work.bytesRead + work.bytesWritten);
  launch.set_rounds(work.rounds);
}

LogicalResult StepBuilder::addCall(tape::CallOp op) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(op, op.getCalleeAttr());
  if (!kernel)
    return op.emitOpError() << "calls @" << op.getCallee() << ", which is not in the module any more";
  const analysis::KernelWork &work = workOf(kernel);
  plan::Launch *launch =
      addStep(op, op.getFlops() ? op.getFlops()->convertToDouble() : work.flops())->mutable_launch();
  launch->set_symbol(op.getCallee().str());
  for (int64_t size : kernel.getGrid())
    launch->add_grid(size);
  LaunchFacts facts = options_.launchFacts ? options_.launchFacts(op.getCallee()) : LaunchFacts();
  launch->set_scratch_bytes(facts.scratchBytes);
  launch->set_threads(facts.threads);
  launch->set_shared_bytes(facts.sharedBytes);
  launch->set_registers(facts.registers);
  launch->set_spill_bytes(facts.spillBytes);
  launch->set_tensor_instructions(facts.tensorInstructions);
  if (facts.threads > 0)
    setWork(*launch, facts, work);
  for (const plan::TensorMap &map : facts.tensorMaps)
    *launch->add_tensor_maps() = map;
  for (ValueRange values : {ValueRange(op.getInputs()), ValueRange(op.getOutputs())})
    for (Value value : values) {
      if (failed(setRef(launch->add_args(), value)))
        return failure();
      launch->mutable_args(launch->args_size() - 1)->set_bytes(tape::sizeInBytes(value.getType()));
    }
  return success();
}

LogicalResult StepBuilder::addMatmul(tape::MatmulOp op) {
  auto [m, n, k] = op.getSizes();
  plan::Gemm *gemm =
      addStep(op, 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k))->mutable_gemm();
  gemm->set_m(m);
  gemm->set_n(n);
  gemm->set_k(k);
  gemm->set_transpose_a(op.getTransposeA());
  gemm->set_transpose_b(op.getTransposeB());
  gemm->set_lda(op.getTransposeA() ? m : k);
  gemm->set_ldb(op.getTransposeB() ? k : n);
  gemm->set_ldc(n);
  gemm->set_beta(op.getInit() ? 1.0f : 0.0f);
  gemm->set_dtype(dtypeOf(cast<ShapedType>(op.getA().getType()).getElementType()));
  gemm->set_c_dtype(dtypeOf(cast<ShapedType>(op.getType()).getElementType()));
  return success(succeeded(setRef(gemm->mutable_a(), op.getA())) && succeeded(setRef(gemm->mutable_b(), op.getB())) &&
                 succeeded(setRef(gemm->mutable_c(), op.getResult())));
}

LogicalResult StepBuilder::addGather(tape::AllGatherOp op) {
  plan::Collective *collective = addStep(op, 0)->mutable_collective();
  collective->set_kind(plan::Collective::ALL_GATHER);
  collective->set_axis(op.getAxis().str());
  collective->set_count(tape::elementCount(op.getSlice().getType()));
  collective->set_dtype(dtypeOf(cast<ShapedType>(op.getSlice().getType()).getElementType()));
  return setRef(collective->mutable_data(), op.getWhole());
}

LogicalResult StepBuilder::addScatter(tape::ReduceScatterOp op) {
  plan::Collective *collective = addStep(op, 0)->mutable_collective();
  collective->set_kind(plan::Collective::REDUCE_SCATTER_TREE);
  collective->set_axis(op.getAxis().str());
  collective->set_count(tape::elementCount(op.getSlice().getType()));
  collective->set_dtype(dtypeOf(cast<ShapedType>(op.getSlice().getType()).getElementType()));
  return success(succeeded(setRef(collective->mutable_data(), op.getWhole())) &&
                 succeeded(setRef(collective->mutable_scratch(), op.getScratch())));
}

LogicalResult StepBuilder::addZero(tape::ZeroOp op) {
  plan::Fill *fill = addStep(op, 0)->mutable_fill();
  fill->set_bytes(tape::sizeInBytes(op.getType()));
  return setRef(fill->mutable_target(), op.getResult());
}

LogicalResult StepBuilder::addCopy(tape::CopyOp op) {
  plan::Copy *copy = addStep(op, 0)->mutable_copy();
  copy->set_bytes(tape::sizeInBytes(op.getType()));
  return success(succeeded(setRef(copy->mutable_source(), op.getSource())) &&
                 succeeded(setRef(copy->mutable_target(), op.getResult())));
}

LogicalResult StepBuilder::add(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](tape::CallOp call) { return addCall(call); })
      .Case([&](tape::MatmulOp matmul) { return addMatmul(matmul); })
      .Case([&](tape::AllGatherOp gather) { return addGather(gather); })
      .Case([&](tape::ReduceScatterOp scatter) { return addScatter(scatter); })
      .Case([&](tape::ZeroOp zero) { return addZero(zero); })
      .Case([&](tape::CopyOp copy) { return addCopy(copy); })
      .Case<tape::ViewOp, tape::ConcatOp, tape::ShardOp, tape::ConstantOp, tape::SaveOp>(
          [](Operation *) { return success(); })
      .Default([](Operation *other) { return other->emitOpError("cannot be said in a plan"); });
}

} // namespace

LogicalResult buildSteps(tape::ProgramOp program, const PlanBuffers &buffers, const PlanOptions &options,
                         plan::EntryPoint &entry) {
  StepBuilder builder(program, buffers, options, entry);
  std::vector<int64_t> alive = analysis::arenaTimeline(program);
  for (auto [i, op] : llvm::enumerate(program.getBody().front().without_terminator())) {
    int steps = entry.steps_size();
    if (failed(builder.add(&op)))
      return failure();
    if (entry.steps_size() > steps)
      entry.mutable_steps(steps)->set_alive_bytes(alive[i]);
  }
  return success();
}

} // namespace oriel::conversion
