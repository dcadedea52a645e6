#include "compiler/transforms/StepCosts.h"

#include "compiler/analysis/ArenaPacking.h"
#include "compiler/analysis/KernelWork.h"
#include "compiler/analysis/Storage.h"
#include "dialects/tile/TileOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace oriel::transforms {
namespace {

double bytesOf(ValueRange values) {
  double bytes = 0;
  for (Value value : values)
    bytes += static_cast<double>(tape::sizeInBytes(value.getType()));
  return bytes;
}

schedule::Work productWork(tape::MatmulOp op) {
  auto [m, n, k] = op.getSizes();
  schedule::Work work;
  work.m = m;
  work.n = n;
  work.k = k;
  work.dtype = cast<ShapedType>(op.getA().getType()).getElementType().isBF16() ? "bf16" : "f32";
  work.action = llvm::formatv("gemm {0}x{1}x{2} {3}{4}{5}", m, n, k, op.getTransposeA() ? "T" : "N",
                              op.getTransposeB() ? "T" : "N", work.dtype == "bf16" ? " bf16" : "");
  work.flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  return work;
}

void addKernelWork(schedule::Work &work, tile::KernelOp kernel) {
  analysis::KernelWork counted = analysis::workOf(kernel);
  work.cells = llvm::product_of(kernel.getGrid());
  work.flops = counted.flops();
  work.productFlops = counted.dotFlops;
  work.cellBytes = counted.bytesRead + counted.bytesWritten;
  work.rounds = counted.rounds;
}

/// Ops that move no bytes.
bool isFree(Operation *op) {
  return isa<tape::ViewOp, tape::ConcatOp, tape::ShardOp, tape::ConstantOp, tape::SaveOp, tape::ReturnOp>(op);
}

} // namespace

schedule::Work workOf(Operation *op) {
  schedule::Work work;
  if (isFree(op))
    return work;
  if (auto product = dyn_cast<tape::MatmulOp>(op)) {
    work = productWork(product);
  } else if (auto call = dyn_cast<tape::CallOp>(op)) {
    work.action = call.getCallee().str();
    auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(call, call.getCalleeAttr());
    if (kernel)
      addKernelWork(work, kernel);
    if (call.getFlops())
      work.flops = call.getFlops()->convertToDouble();
  } else {
    work.action = isa<tape::ZeroOp>(op) ? "fill" : op->getName().stripDialect().str();
  }
  work.bytes = bytesOf(op->getOperands()) + bytesOf(op->getResults());
  return work;
}

FailureOr<OwningOpRef<ModuleOp>> TrialLowering::run(ModuleOp module) const {
  OwningOpRef<ModuleOp> copy = module.clone();
  Builder builder(module.getContext());
  for (auto function : copy->getOps<func::FuncOp>()) {
    int64_t number = 0;
    for (Operation &op : function.getBody().front())
      op.setLoc(FusedLoc::get({op.getLoc()}, builder.getI64IntegerAttr(number++), builder.getContext()));
  }
  PassManager pm(module.getContext());
  pm.enableVerifier(false);
  if (failed(parsePassPipeline(pipeline_, pm)) || failed(pm.run(*copy)))
    return failure();
  return copy;
}

void markCores(ModuleOp module, const schedule::CostModel &model) {
  module->setAttr("tape.cores", Builder(module.getContext()).getI64IntegerAttr(model.device.cores));
}

int64_t numberOf(Operation *step) {
  auto fused = dyn_cast<FusedLoc>(step->getLoc());
  auto number = fused ? dyn_cast_or_null<IntegerAttr>(fused.getMetadata()) : IntegerAttr();
  return number ? number.getInt() : -1;
}

StepCosts::StepCosts(func::FuncOp function, tape::ProgramOp program, const schedule::CostModel &model) {
  SmallVector<Operation *> numbered;
  for (Operation &op : function.getBody().front())
    numbered.push_back(&op);
  llvm::StringMap<schedule::Estimate> ofKernel; // counting a kernel's work walks its loops: once per kernel
  auto estimate = [&](Operation *step) -> schedule::Estimate {
    auto call = dyn_cast<tape::CallOp>(step);
    if (!call)
      return isFree(step) ? schedule::Estimate() : model.estimate(workOf(step));
    auto [known, isNew] = ofKernel.try_emplace(call.getCallee());
    if (isNew)
      known->second = model.estimate(workOf(step));
    return known->second;
  };
  for (Operation &step : program.getBody().front()) {
    schedule::Estimate known = estimate(&step);
    totalSeconds_ += known.seconds;
    if (int64_t number = numberOf(&step); number >= 0 && !isa<tape::ConstantOp, tape::SaveOp>(step)) {
      Cost &cost = costs_[numbered[number]];
      cost.steps = cost.steps.with({stepCount_, stepCount_});
      cost.seconds += known.seconds;
      cost.measured &= isFree(&step) || known.bound == schedule::Bound::Measured;
    }
    ++stepCount_;
  }
  addPieces(program, numbered);
}

StepCosts::Piece StepCosts::newPiece(Operation *step, int64_t at, int64_t bytes, ArrayRef<Operation *> numbered) const {
  Piece piece;
  int64_t number = numberOf(step);
  piece.maker = number >= 0 ? numbered[number] : nullptr;
  if (auto name = piece.maker ? dyn_cast<NameLoc>(piece.maker->getLoc()) : NameLoc())
    piece.layer = name.getName().str();
  piece.bytes = llvm::alignTo(bytes, analysis::arenaAlignment);
  piece.life = {at, at};
  return piece;
}

void StepCosts::addPieces(tape::ProgramOp program, ArrayRef<Operation *> numbered) {
  analysis::StorageMap map = analysis::StorageMap::build(program);
  std::vector<std::optional<size_t>> pieceOf(map.storages().size()); // which piece a storage holds by now
  auto touch = [&](Value value, Operation &step, int64_t at) -> Piece * {
    unsigned number = map.placeOf(value).storage;
    const analysis::Storage &storage = map.storages()[number];
    if (storage.pinned || storage.merged)
      return nullptr;
    if (!pieceOf[number] || (value.getDefiningOp() == &step && map.isWrittenOver(value))) {
      if (pieceOf[number])
        pieces_[*pieceOf[number]].isWrittenOver = true;
      pieceOf[number] = pieces_.size();
      pieces_.push_back(newPiece(&step, at, storage.bytes, numbered));
    }
    Piece &piece = pieces_[*pieceOf[number]];
    piece.life.last = at;
    return &piece;
  };
  for (auto [at, step] : llvm::enumerate(program.getBody().front())) {
    int64_t number = numberOf(&step);
    for (Value operand : step.getOperands())
      if (Piece *piece = touch(operand, step, at); piece && number >= 0 && !isa<tape::SaveOp>(step))
        if (!llvm::is_contained(piece->readers, numbered[number]))
          piece->readers.push_back(numbered[number]);
    for (Value result : step.getResults())
      touch(result, step, at);
  }
}

schedule::Interval StepCosts::stepsOf(Operation *op) const { return costs_.lookup(op).steps; }

double StepCosts::secondsOf(Operation *op) const { return costs_.lookup(op).seconds; }

bool StepCosts::wasMeasured(Operation *op) const { return costs_.lookup(op).measured; }

} // namespace oriel::transforms
