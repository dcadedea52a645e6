// --oriel-decompose: composite lm ops ⇒ primitives. What an op stands for is written with the op
// (dialects/lm/LmComposites.cpp); this pass only replaces it.
#include "compiler/transforms/Passes.h"
#include "dialects/lm/LmOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace oriel::transforms {
#define GEN_PASS_DEF_DECOMPOSEPASS
#include "compiler/transforms/Passes.h.inc"

namespace {

struct DecomposePass : impl::DecomposePassBase<DecomposePass> {
  void runOnOperation() override {
    // Collected first: a composite may stand for other composites, which the next round finds.
    for (bool changed = true; changed;) {
      llvm::SmallVector<lm::DecomposableOpInterface> composites;
      getOperation().walk([&](lm::DecomposableOpInterface op) { composites.push_back(op); });
      changed = !composites.empty();
      for (lm::DecomposableOpInterface op : composites) {
        mlir::OpBuilder builder(op);
        op->replaceAllUsesWith(op.decompose(builder));
        op->erase();
      }
    }
  }
};

} // namespace
} // namespace oriel::transforms
