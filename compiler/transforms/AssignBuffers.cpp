// --oriel-assign-buffers: values of tape programs ⇒ places. Who shares memory is decided by analysis/Storage, offsets
// by analysis/ArenaPacking; this pass applies both and lays out the constants of the whole module.
#include "compiler/analysis/ArenaPacking.h"
#include "compiler/analysis/Storage.h"
#include "compiler/transforms/Passes.h"
#include "dialects/tape/TapeOps.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace oriel::transforms {
#define GEN_PASS_DEF_ASSIGNBUFFERSPASS
#include "compiler/transforms/Passes.h.inc"

namespace {

/// Offsets of equal tables in constants.bin: one per distinct attribute, in order of first use.
class ConstantLayout {
public:
  int64_t offsetOf(tape::ConstantOp op) {
    auto [it, isNew] = offsets_.try_emplace(op.getValue(), end_);
    if (isNew) {
      int64_t bytes = tape::sizeInBytes(op.getType());
      end_ += (bytes + analysis::arenaAlignment - 1) / analysis::arenaAlignment * analysis::arenaAlignment;
    }
    return it->second;
  }

private:
  llvm::DenseMap<Attribute, int64_t> offsets_;
  int64_t end_ = 0;
};

struct ProgramLayout {
  llvm::SmallVector<int64_t> arenaOffsets; // per storage; meaningful for storages in the arena
  int64_t highWater = 0;
};

ProgramLayout layoutProgram(const analysis::StorageMap &map) {
  std::vector<analysis::ArenaBlock> blocks;
  llvm::SmallVector<unsigned> owners;
  for (auto [i, storage] : llvm::enumerate(map.storages())) {
    if (storage.pinned || storage.merged || storage.lastStep < 0)
      continue;
    blocks.push_back({storage.bytes, storage.firstStep, storage.lastStep});
    owners.push_back(i);
  }
  analysis::ArenaLayout arena = analysis::packArena(blocks);
  ProgramLayout layout;
  layout.arenaOffsets.resize(map.storages().size(), 0);
  for (auto [owner, offset] : llvm::zip(owners, arena.offsets))
    layout.arenaOffsets[owner] = offset;
  layout.highWater = arena.highWater;
  return layout;
}

void placeProgram(tape::ProgramOp program, ConstantLayout &constants) {
  Builder builder(program.getContext());
  for (auto constant : program.getBody().front().getOps<tape::ConstantOp>())
    constant.setAtAttr(builder.getArrayAttr(
        tape::PlaceAttr::get(program.getContext(), tape::constantsBuffer, constants.offsetOf(constant), 0)));
  analysis::StorageMap map = analysis::StorageMap::build(program);
  ProgramLayout layout = layoutProgram(map);
  auto placeOf = [&](Value value) -> Attribute {
    analysis::StoragePlace place = map.placeOf(value);
    tape::PlaceAttr pinned = map.storages()[place.storage].pinned;
    StringRef buffer = pinned ? pinned.getBuffer() : StringRef(tape::arenaBuffer);
    int64_t base = pinned ? pinned.getOffset() : layout.arenaOffsets[place.storage];
    int64_t stride = place.rankStride + (pinned ? pinned.getRankStride() : 0);
    return tape::PlaceAttr::get(program.getContext(), buffer, base + place.offset, stride);
  };
  for (Operation &op : program.getBody().front().without_terminator()) {
    SmallVector<Attribute> places(llvm::map_range(op.getResults(), placeOf));
    if (!places.empty())
      op.setAttr(tape::atAttrName, builder.getArrayAttr(places));
  }
  program.setArenaBytes(layout.highWater);
}

struct AssignBuffersPass : impl::AssignBuffersPassBase<AssignBuffersPass> {
  void runOnOperation() override {
    ConstantLayout constants;
    for (auto program : getOperation().getOps<tape::ProgramOp>())
      placeProgram(program, constants);
  }
};

} // namespace
} // namespace oriel::transforms
