// How products run, which tiles they read from shared memory, and where those lie.
#include "compiler/codegen/nvidia/HoistCopies.h"
#include "compiler/codegen/nvidia/Pipelining.h"
#include "compiler/codegen/nvidia/TensorCopies.h"
#include "compiler/codegen/nvidia/TilePlacement.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

// ---- Products -------------------------------------------------------------------------------------------------------

/// Whether the registers of `operand` are fragments of the first operand of a product with result layout `result`: 16
/// rows along the same warps, and all of K in each warp.
static bool isFragment(const Layout &operand, const Layout &result) {
  return isMmaMajor(operand.rows) && operand.rows == result.rows && isMmaMinor(operand.cols) && operand.cols.warps == 1;
}

/// Whether an operand of f32 has too many registers to stay in them: it is there before the loop that the product
/// stands in and would hold them throughout, or K is so long that the loads of the other operand, unrolled with it,
/// hold too many (ProductLowering.cpp).
static bool isTooLargeForRegisters(Value operand, int64_t depth, tile::DotOp dot) {
  if (!tileType(operand).getElementType().isF32())
    return false;
  auto loop = dot->getParentOfType<scf::ForOp>();
  return depth > 32 || (loop && !loop->isAncestor(viewOf(operand).base.getParentBlock()->getParentOp()));
}

void TilePlacement::planProducts() {
  kernel_.walk([&](tile::LoadOp load) {
    if (isReadByProductsOnly(load))
      onlyAtHome_.insert(load.getTile());
  });
  kernel_.walk([&](tile::DotOp dot) {
    if (!isMatrixProduct(dot))
      return;
    Layout result = layoutOf(dot.getResult());
    ProductPlan plan;
    plan.swapped = isMmaMajor(result.cols);
    Value first = plan.swapped ? dot.getB() : dot.getA();
    bool isTransposed = plan.swapped ? !dot.getTransposeB() : dot.getTransposeA();
    Value base = viewOf(first).base;
    if (!isFill(base) && !isOnlyAtHome(base)) {
      Layout operand = isTransposed ? layoutOf(first).transposed() : layoutOf(first);
      int64_t depth = tileType(dot.getA()).getDimSize(dot.getTransposeA() ? 0 : 1);
      plan.firstInRegisters = isFragment(operand, plan.swapped ? result.transposed() : result) &&
                              !isTooLargeForRegisters(first, depth, dot);
    }
    plan.isOfWarpgroups = hasWgmma_ && fitsWarpgroups(dot, plan);
    usesWarpgroups_ |= plan.isOfWarpgroups;
    products_[dot] = plan;
  });
}

double TilePlacement::warpgroupShare() const {
  double all = 0, ofWarpgroups = 0;
  for (const auto &[op, plan] : products_) {
    auto dot = cast<tile::DotOp>(op);
    int64_t depth = tileType(dot.getA()).getDimSize(dot.getTransposeA() ? 0 : 1);
    double work = static_cast<double>(tileType(dot.getResult()).getNumElements() * depth);
    all += work;
    ofWarpgroups += plan.isOfWarpgroups ? work : 0;
  }
  return all > 0 ? ofWarpgroups / all : 0;
}

// ---- Homes ----------------------------------------------------------------------------------------------------------

void TilePlacement::requireHome(Value tile, Operation *reader) {
  Value base = viewOf(tile).base;
  homeReaders_[base].push_back(reader);
  if (homes_.contains(base))
    return;
  homes_[base] = plannedHome(base);
}

/// What the home of `base` is like if it needs one; the place is not known yet.
Home TilePlacement::plannedHome(Value base) const {
  RankedTensorType type = tileType(base);
  Home home;
  // Neighbours in memory are what one thread holds side by side.
  home.isTransposed = !isFill(base) && !isOnlyAtHome(base) && layoutOf(base).rows.vector > layoutOf(base).cols.vector;
  home.rows = type.getDimSize(home.isTransposed ? 1 : 0);
  home.cols = type.getDimSize(home.isTransposed ? 0 : 1);
  home.rowBytes = home.cols * (type.getElementTypeBitWidth() / 8);
  if (home.rows > 1 && home.cols > 1) {
    home.swapsUnits = type.getElementTypeBitWidth() == 32 && home.rowBytes % 64 == 0;
    int64_t unit = home.swapsUnits ? 32 : 16;
    home.rowBytes = (llvm::divideCeil(home.rowBytes, unit) | 1) * unit;
  }
  return home;
}

void TilePlacement::requireIfMoved(Value tile, const Layout &reader, Operation *op) {
  Value base = viewOf(tile).base;
  if (isFill(base))
    return;
  RankedTensorType type = tileType(tile);
  if (!isReadableIn(layoutOf(tile), type.getDimSize(0), type.getDimSize(1), reader))
    requireHome(tile, op);
}

void TilePlacement::requireHomes() {
  kernel_.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto dot = dyn_cast<tile::DotOp>(op)) {
      ProductPlan plan = planOf(dot);
      bool isMatrix = isMatrixProduct(dot);
      if (!isMatrix || plan.swapped || !plan.firstInRegisters)
        requireHome(dot.getA(), dot);
      if (!isMatrix || !plan.swapped || !plan.firstInRegisters)
        requireHome(dot.getB(), dot);
    } else if (auto map = dyn_cast<tile::MapOp>(op)) {
      for (Value input : map.getInputs())
        requireIfMoved(input, layoutOf(map.getResult(0)), map);
    } else if (auto gather = dyn_cast<tile::GatherOp>(op)) {
      requireIfMoved(gather.getIds(), layoutOf(gather.getTile()), gather);
    } else if (auto reduce = dyn_cast<tile::ReduceOp>(op)) {
      ArrayRef<int64_t> shape = tileType(reduce.getResult()).getShape();
      if (!isReadableIn(layoutOf(reduce.getTile()), shape[0], shape[1], layoutOf(reduce.getResult())))
        requireHome(reduce.getResult(), reduce);
    } else if (auto scatter = dyn_cast<tile::ScatterAddOp>(op)) {
      requireHome(scatter.getTile(), scatter);
      requireHome(scatter.getIds(), scatter);
    }
  });
  swizzleHomes();
}

/// The homes of loads that are started ahead have a place for each of the iterations that are under way.
void TilePlacement::planPipelines(int64_t stages) {
  if (stages == 1)
    return;
  kernel_.walk([&](scf::ForOp loop) {
    SmallVector<tile::LoadOp> loads = loadsToStartAhead(loop, kernel_);
    if (loads.empty())
      return;
    for (tile::LoadOp load : loads) {
      homes_[load.getTile()].stages = stages;
      pipelineLoops_[load.getTile()] = loop;
    }
    pipelines_[loop] = {std::move(loads), stages};
  });
}

// ---- TMA ------------------------------------------------------------------------------------------------------------

int64_t TilePlacement::mapNumber(const NvidiaTensorMap &map) {
  auto found = llvm::find(tensorMaps_, map);
  int64_t number = found - tensorMaps_.begin();
  if (found == tensorMaps_.end())
    tensorMaps_.push_back(map);
  return number;
}

/// An mbarrier for each load, and for each stage of a pipeline.
void TilePlacement::planTensorCopies() {
  kernel_.walk([&](tile::LoadOp load) {
    if (!isOnlyAtHome(load.getTile()))
      return;
    const Home *home = homeOf(load.getTile());
    if (std::optional<NvidiaTensorMap> map = home ? tensorMapOf(load, *home, kernel_) : std::nullopt)
      tensorCopies_[load.getTile()] = {mapNumber(*map)};
  });
  kernel_.walk<WalkOrder::PreOrder>([&](Operation *op) {
    auto pipeline = pipelines_.find(op);
    bool hasCopies = pipeline != pipelines_.end() && llvm::any_of(pipeline->second.loads, [&](tile::LoadOp load) {
                       return tensorCopyOf(load.getTile());
                     });
    if (hasCopies) {
      pipeline->second.firstMbarrier = mbarriers_;
      mbarriers_ += pipeline->second.stages;
    }
    auto load = dyn_cast<tile::LoadOp>(op);
    auto copy = load ? tensorCopies_.find(load.getTile()) : tensorCopies_.end();
    if (copy == tensorCopies_.end())
      return;
    Operation *loop = pipelineLoops_.lookup(load.getTile());
    copy->second.mbarrier = loop ? pipelines_[loop].firstMbarrier : mbarriers_++;
  });
}

// ---- Shared memory --------------------------------------------------------------------------------------------------

namespace {
/// Numbers of the ops of a kernel in program order.
struct ProgramOrder {
  explicit ProgramOrder(tile::KernelOp kernel) {
    int64_t next = 0;
    number(kernel, next);
  }
  void number(Operation *op, int64_t &next) {
    first[op] = next++;
    if (!isa<tile::MapOp>(op))
      for (Region &region : op->getRegions())
        for (Operation &inner : region.getOps())
          number(&inner, next);
    last[op] = next - 1;
  }
  /// From where `value` is made to its last reader; a reader in a loop around which `value` stays counts to the loop's
  /// end.
  std::pair<int64_t, int64_t> interval(Value value, ArrayRef<Operation *> readers) const {
    Block *block = value.getParentBlock();
    Operation *maker = value.getDefiningOp();
    // A loop's results are made at its end.
    int64_t begin = maker ? last.lookup(maker) : first.lookup(&block->front());
    int64_t end = begin;
    for (Operation *reader : readers)
      end = std::max(end, last.lookup(block->findAncestorOpInBlock(*reader)));
    return {begin, end};
  }
  llvm::DenseMap<Operation *, int64_t> first, last;
};
} // namespace

/// First fit, in the order of the kernel.
void TilePlacement::placeHomes() {
  ProgramOrder order(kernel_);
  struct Placed {
    int64_t begin, end; // in program order
    Home *home;
    int64_t bytes;
  };
  SmallVector<Placed> all, placed;
  for (auto &[value, home] : homes_) {
    auto [begin, end] = order.interval(value, homeReaders_.lookup(value));
    if (Operation *loop = pipelineLoops_.lookup(value))
      begin = order.first.lookup(loop), end = order.last.lookup(loop);
    all.push_back({begin, end, &home, (home.bytes() + 15) / 16 * 16});
  }
  llvm::stable_sort(all, [](const Placed &a, const Placed &b) {
    return std::tuple(a.begin, -a.bytes, a.end) < std::tuple(b.begin, -b.bytes, b.end);
  });
  for (Placed &next : all) {
    SmallVector<std::pair<int64_t, int64_t>> taken;
    for (const Placed &other : placed)
      if (other.begin <= next.end && next.begin <= other.end)
        taken.push_back({other.home->offset, other.home->offset + other.bytes});
    llvm::sort(taken);
    int64_t offset = 0;
    for (auto [begin, end] : taken) {
      if (begin >= offset + next.bytes)
        break;
      offset = llvm::alignTo(std::max(offset, end), next.home->alignment());
    }
    next.home->offset = offset;
    sharedBytes_ = std::max(sharedBytes_, offset + next.bytes);
    placed.push_back(next);
  }
  exchangeOffset_ = sharedBytes_;
  int64_t exchangeBytes = 0;
  kernel_.walk([&](tile::ReduceOp reduce) {
    Layout layout = layoutOf(reduce.getTile());
    int64_t others = tileType(reduce.getTile()).getDimSize(1 - reduce.getAxis());
    int64_t warps = (reduce.getAxis() == 0 ? layout.rows : layout.cols).warps;
    if (warps > 1)
      exchangeBytes = std::max(exchangeBytes, warps * others * 4);
  });
  mbarrierOffset_ = exchangeOffset_ + (exchangeBytes + 15) / 16 * 16;
  sharedBytes_ = mbarrierOffset_ + (mbarriers_ * mbarrierBytes + 15) / 16 * 16;
}

void TilePlacement::countRegisters() {
  ProgramOrder order(kernel_);
  llvm::DenseMap<int64_t, int64_t> change;
  int64_t steps = 0;
  for (Value value : values_) {
    if (isOnlyAtHome(value))
      continue;
    SmallVector<Operation *> readers(value.getUsers());
    for (size_t i = 0; i < readers.size(); ++i)
      if (auto transpose = dyn_cast<tile::TransposeOp>(readers[i]))
        llvm::append_range(readers, transpose->getUsers());
    auto [begin, end] = order.interval(value, {});
    for (Operation *reader : readers) {
      // A loop takes over what it starts from.
      Operation *here = value.getParentBlock()->findAncestorOpInBlock(*reader);
      end =
          std::max(end, here == reader && isa<scf::ForOp>(reader) ? order.first.lookup(here) : order.last.lookup(here));
    }
    RankedTensorType type = tileType(value);
    int64_t slots = layoutOf(value).slots(type.getDimSize(0), type.getDimSize(1));
    int64_t registers = (slots * type.getElementTypeBitWidth() + 31) / 32;
    change[begin] += registers;
    change[end + 1] -= registers;
    steps = std::max(steps, end + 1);
  }
  int64_t live = 0;
  for (int64_t step = 0; step <= steps; ++step) {
    live += change.lookup(step);
    peakRegisters_ = std::max(peakRegisters_, live);
  }
}

} // namespace oriel::codegen::nvidia
