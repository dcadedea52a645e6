#include "compiler/analysis/PlannedMemory.h"

#include "compiler/analysis/ArenaPacking.h"
#include "compiler/analysis/Storage.h"
#include "dialects/tape/TapeOps.h"
#include "llvm/ADT/StringSet.h"
#include <numeric>

using namespace mlir;

namespace oriel::analysis {
namespace {

int64_t alignUp(int64_t bytes) { return (bytes + arenaAlignment - 1) / arenaAlignment * arenaAlignment; }

/// Parameters and gradients whole, the moments of this rank's slice.
int64_t stateBytes(ModuleOp module) {
  auto integer = [&](StringRef name) {
    auto attr = module->getAttrOfType<IntegerAttr>(name);
    return attr ? attr.getInt() : 0;
  };
  int64_t flat = integer("tape.parameter_elements") * static_cast<int64_t>(sizeof(float));
  int64_t world = std::max<int64_t>(integer("tape.world"), 1), slots = std::max<int64_t>(integer("tape.grad_slots"), 1);
  return alignUp(flat) + alignUp(flat * slots) + 2 * alignUp(flat / world);
}

/// The buffers that only the caller and the programs know, each once.
int64_t callerBytes(ModuleOp module) {
  llvm::StringSet<> known = {"params", "grads", "adam_m", "adam_v", tape::arenaBuffer, tape::constantsBuffer};
  if (!module->hasAttr("tape.parameter_elements"))
    known = {tape::arenaBuffer, tape::constantsBuffer};
  int64_t bytes = 0;
  auto add = [&](tape::PlaceAttr place, Type type) {
    if (known.insert(place.getBuffer()).second)
      bytes += alignUp(tape::sizeInBytes(type));
  };
  for (auto program : module.getOps<tape::ProgramOp>()) {
    for (auto [i, type] : llvm::enumerate(program.getArgumentTypes()))
      add(program.getArgumentPlace(i), type);
    for (auto [i, type] : llvm::enumerate(program.getResultTypes()))
      add(program.getResultPlace(i), type);
  }
  return bytes;
}

int64_t constantBytes(ModuleOp module) {
  int64_t end = 0;
  module.walk([&](tape::ConstantOp constant) {
    auto place = cast<tape::PlaceAttr>((*constant.getAt())[0]);
    end = std::max(end, place.getOffset() + tape::sizeInBytes(constant.getType()));
  });
  return alignUp(end);
}

} // namespace

PlannedMemory plannedMemory(ModuleOp module) {
  PlannedMemory memory;
  for (auto program : module.getOps<tape::ProgramOp>())
    memory.arenaBytes = std::max<int64_t>(memory.arenaBytes, alignUp(program.getArenaBytes().value_or(0)));
  memory.stateBytes = stateBytes(module);
  memory.ioBytes = callerBytes(module);
  memory.constantBytes = constantBytes(module);
  return memory;
}

std::vector<int64_t> arenaTimeline(tape::ProgramOp program) {
  std::vector<int64_t> change(program.getBody().front().getOperations().size() + 1, 0);
  StorageMap map = StorageMap::build(program);
  for (const Storage &storage : map.storages()) {
    if (storage.pinned || storage.merged || storage.lastStep < 0)
      continue;
    change[storage.firstStep] += alignUp(storage.bytes);
    change[storage.lastStep + 1] -= alignUp(storage.bytes);
  }
  change.pop_back();
  std::partial_sum(change.begin(), change.end(), change.begin());
  return change;
}

} // namespace oriel::analysis
