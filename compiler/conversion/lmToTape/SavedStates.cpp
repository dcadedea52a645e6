#include "compiler/conversion/lmToTape/SavedStates.h"

#include "dialects/lm/LmInterfaces.h"

using namespace mlir;

namespace oriel::conversion {
namespace {

constexpr int64_t defaultChunk = 64, defaultSaveEvery = 4;

int64_t integerAttr(Operation *op, StringRef name, int64_t otherwise) {
  auto attr = op->getAttrOfType<IntegerAttr>(name);
  return attr ? attr.getInt() : otherwise;
}

/// By the site that the schedule gave both halves, or by operands.
bool areHalves(Operation *forward, Operation *gradient) {
  Attribute site = forward->getAttr("tape.site");
  if (site && gradient->getAttr("tape.site"))
    return site == gradient->getAttr("tape.site") && gradient->getName().getStringRef().ends_with("_grad");
  return lm::isGradientOf(gradient, forward);
}

} // namespace

int64_t scheduledChunk(Operation *mixer) { return integerAttr(mixer, "tape.chunk", defaultChunk); }
int64_t scheduledSaveEvery(Operation *mixer) { return integerAttr(mixer, "tape.save_every", defaultSaveEvery); }
int64_t scheduledKeyTile(Operation *mixer) { return integerAttr(mixer, "tape.key_tile", 0); }
bool runsInTwoPasses(Operation *mixer) { return mixer->hasAttr("tape.two_pass"); }

bool hasGradient(Operation *forward) {
  return llvm::any_of(*forward->getBlock(), [&](Operation &op) { return areHalves(forward, &op); });
}

const Lowering::SavedStates *savedStatesFor(const Lowering &lowering, Operation *gradient) {
  for (const Lowering::SavedStates &saved : llvm::reverse(lowering.savedStates))
    if (areHalves(saved.forward, gradient))
      return &saved;
  return nullptr;
}

} // namespace oriel::conversion
