// --oriel-fuse-mixers: applies the schedule's decision `fused`. What can be fused is said in MixerFusion.h.
#include "compiler/transforms/MixerFusion.h"
#include "compiler/transforms/Passes.h"
#include "mlir/IR/BuiltinOps.h"

namespace oriel::transforms {
#define GEN_PASS_DEF_FUSEMIXERSPASS
#include "compiler/transforms/Passes.h.inc"

namespace {

struct FuseMixersPass : impl::FuseMixersPassBase<FuseMixersPass> {
  void runOnOperation() override {
    llvm::SmallVector<lm::ResidualLinearAttentionOp> marked;
    getOperation().walk([&](lm::ResidualLinearAttentionOp op) {
      if (op->hasAttr("tape.fused"))
        marked.push_back(op);
    });
    for (lm::ResidualLinearAttentionOp op : marked) {
      std::optional<MixerFusion> fusion = findFusion(op);
      if (!fusion) {
        op.emitError(
            "is scheduled to be fused with window attention, but is no part of an lm.rattention with a window");
        return signalPassFailure();
      }
      fuse(*fusion);
    }
  }
};

} // namespace
} // namespace oriel::transforms
