// The passes of compiler/transforms. One pass per file; a description shows the IR before ⇒ after.
#ifndef ORIEL_COMPILER_TRANSFORMS_PASSES_TD
#define ORIEL_COMPILER_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def DecomposePass : Pass<"oriel-decompose", "::mlir::ModuleOp"> {
  let summary = "Replace composite lm ops by primitives";
  let description = [{
    Asks every op with `DecomposableOpInterface` for its primitives. They carry the location of the composite, and with it
    its layer path.

    ```mlir
    %y = lm.gated_mlp %x, %g, %u, %d {activation = #lm.activation<silu>} : …
    ```
    ⇒
    ```mlir
    %0 = lm.linear %x, %g : …
    %1 = lm.linear %x, %u : …
    %2 = lm.gated_activation %0, %1 {activation = #lm.activation<silu>} : …
    %y = lm.linear %2, %d : …
    ```
  }];
  let dependentDialects = ["::oriel::lm::LmDialect"];
}

def DifferentiatePass : Pass<"oriel-differentiate", "::mlir::ModuleOp"> {
  let summary = "Add functions that compute gradients (reverse mode)";
  let description = [{
    From `@loss(roles…, params…) -> tensor<1xf32>` makes `@micro`: the loss and, scaled by the new argument `loss_scale`, one
    gradient per argument with `lm.param`, in argument order. From a function with `lm.vjp` makes `@vjp`: its results, then
    the gradients of the arguments `wrt`, for cotangents given as arguments (`cotangents` tells which results have one).

    ```mlir
    func.func @loss(%tokens, %targets, %doc_start, %w {lm.param = …}) -> tensor<1xf32> {
      …
      %l = lm.cross_entropy %x, %w, %targets : …
      return %l
    }
    ```
    ⇒ (beside it)
    ```mlir
    func.func @micro(%tokens, %targets, %doc_start, %loss_scale, %w {lm.param = …}) -> (tensor<1xf32>, tensor<…>) {
      …
      %l, %dx, %dw = lm.cross_entropy_grad %x, %w, %targets, %loss_scale : …
      …
      return %l, %total
    }
    ```

    Preconditions: the functions have one block of ops that have `DifferentiableOpInterface` wherever a gradient flows
    (run `oriel-decompose` first). Cotangents of a value with several uses are summed by `lm.add`, last use first. A
    parameter that the result does not depend on gets zeros. `lm.cross_entropy_grad` gives the loss too, so that the logits
    are computed once. Ops whose results nobody uses are dropped.
  }];
  let dependentDialects = ["::oriel::lm::LmDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

def FusePointwisePass : Pass<"oriel-fuse-pointwise", "::mlir::ModuleOp"> {
  let summary = "Join memory-bound ops with their neighbours";
  let description = [{
    Fewer walks over memory, and less of it. Three rewrites, each only where the value in between has no other reader that
    would need it earlier:

    A residual sum is normalised while it is at hand:
    ```mlir
    %s = lm.add %x, %h : …
    %y = lm.rms_norm %s, %w {eps = …} : …
    ```
    ⇒
    ```mlir
    %s, %y = lm.add_rms_norm %x, %h, %w {eps = …} : …
    ```
    The cotangent that flows past a norm is added where the norm's gradient is written:
    ```mlir
    %dx, %dw = lm.rms_norm_grad %x, %w, %dy {eps = …} : …
    %sum = lm.add %past, %dx : …
    ```
    ⇒
    ```mlir
    %sum, %dw = lm.rms_norm_grad %x, %w, %dy, %past {eps = …} : …
    ```
    What only weight gradients read in the backward (the result of a norm or gate) is made again beside the gradient, which
    has all that it takes at hand, instead of being kept since the forward; the weight gradients move behind it:
    ```mlir
    %y = lm.gated_activation %g, %u : …
    …                                                    // the rest of the forward
    %dwd = lm.matmul %do, %y {transpose_a} : …
    %dg, %du = lm.gated_activation_grad %g, %u, %dy : …
    ```
    ⇒
    ```mlir
    %dg, %du, %y2 = lm.gated_activation_grad %g, %u, %dy : …
    %dwd = lm.matmul %do, %y2 {transpose_a} : …
    ```
    Precondition: `oriel-differentiate` ran (functions without gradients only have the first rewrite).
  }];
  let dependentDialects = ["::oriel::lm::LmDialect"];
}

def ScheduleStatesPass : Pass<"oriel-schedule-states", "::mlir::ModuleOp"> {
  let summary = "Decide what recurrent mixers save and what runs again in the backward";
  let description = [{
    For every recurrent mixer of `@micro` and `@vjp` (`RecurrentMixerOpInterface`): the chunk, the save interval, and
    whether it is fused with the window attention of its layer (`oriel-fuse-mixers` does it). For every op of the
    forward half whose results the backward needs: save them, or recompute: a clone of the op stands before its first use in
    the backward, and what the clone reads is needed there. The decisions solve the schedule problem (compiler/schedule)
    within `memory-budget`; `schedule-file`, a text of `tape.schedule` ops, decides some of them by hand. They are written to
    the module as `tape.schedule` ops. Any legal schedule gives the same gradients.

    ```mlir
    %o, %s = lm.residual_linear_attention %q, %k, %v …
    ```
    ⇒
    ```mlir
    tape.schedule @layers.0.mixer.residual_linear_attention chunk 64 save_every 4 fused why "…"
    %o, %s = lm.residual_linear_attention %q, %k, %v {tape.chunk = 64, tape.fused, tape.save_every = 4, tape.site = "layers.0.mixer.residual_linear_attention"} …
    ```
    The problem is posed by lowering copies of the module on `trial`; a budget is met by the plan of such a copy, which is what
    the runtime will allocate. Precondition: `oriel-differentiate` ran.
  }];
  let options = [
    Option<"scheduleFile", "schedule-file", "std::string", "\"\"", "Text of tape.schedule ops that decide some things by hand">,
    Option<"memoryBudget", "memory-budget", "int64_t", "0", "Bytes that the whole plan may take; 0: no limit; -1: as few as possible; -2: as few as the time of the fastest schedule allows, within half a percent">,
    Option<"device", "device", "std::string", "\"\"", "Device descriptor of the cost model, a file or the name of a shipped one (a100, b200, h100, h200); empty: a shipped CPU">,
    Option<"cores", "cores", "int64_t", "0", "Cores of the CPU to schedule for, to which the descriptor is scaled; 0: the descriptor's">,
    Option<"tuning", "tuning", "std::string", "\"\"", "Tuning record of the cost model; empty: none">,
    Option<"problem", "problem", "std::string", "\"\"", "File to write the schedule problem to, as text; empty: none">,
    Option<"trial", "trial", "std::string", "\"oriel-fuse-mixers,oriel-lm-to-tape,oriel-assign-buffers\"",
           "Passes that lower a copy to placed tape programs, to see what a schedule costs">,
    Option<"mostChunkTokens", "most-chunk-tokens", "int64_t", "256", "Longest chunk that is tried">,
    Option<"tryFused", "try-fused", "bool", "true", "Whether fused mixers are tried">,
  ];
  let dependentDialects = ["::oriel::lm::LmDialect", "::oriel::tape::TapeDialect", "::mlir::func::FuncDialect"];
}

def ChooseStoragePass : Pass<"oriel-choose-storage", "::mlir::ModuleOp"> {
  let summary = "Let activations lie in bf16 memory";
  let description = [{
    Decides the element type of every f32 value of the tape programs. A value becomes bf16 unless something holds it to f32:

    * the program gives it to its caller (losses, gradients of parameters), or a collective moves it;
    * a kernel's buffer for it is not marked `tile.storage` (statistics, partial sums, recurrent states), or the kernel
      sums into that buffer;
    * it shares memory (a view, a concat, an update in place) with a value that is held;
    * it is not saved, and all buffers that kernels read it through are marked `tile.prefers_f32`.

    Arguments stay f32 (parameters are the optimizer's master copies); steps that want bf16 get one rounded copy, made before
    the first of them. Both operands of every product are bf16; sums are f32. Kernels are replaced by their bf16 forms
    (symbol `…_bf16`): loads extend, stores round, operands of `tile.dot` are bf16, accumulators and the rest f32.

    ```mlir
    %y = tape.matmul %x, %w transpose_b : (tensor<64x32xf32>, tensor<48x32xf32>) -> tensor<64x48xf32>
    %n = tape.call @rms_norm_fwd(%y, %g) : (tensor<64x48xf32>, tensor<48xf32>) -> tensor<64x48xf32>
    ```
    ⇒ (with `%w`, `%g` arguments of the program)
    ```mlir
    %wr = tape.call @round_e1536_bf16(%w) : (tensor<48x32xf32>) -> tensor<48x32xbf16>
    %y = tape.matmul %x, %wr transpose_b : (tensor<64x32xbf16>, tensor<48x32xbf16>) -> tensor<64x48xbf16>
    %n = tape.call @rms_norm_fwd_bf16(%y, %g) : (tensor<64x48xbf16>, tensor<48xf32>) -> tensor<64x48xbf16>
    ```
    Precondition: `oriel-lm-to-tape` ran, `oriel-assign-buffers` did not.
  }];
  let options = [
    Option<"insideBranches", "inside-branches", "bool", "true", "Round what a branch gives inside its sides (CPUs)">,
  ];
  let dependentDialects = ["::oriel::tape::TapeDialect", "::oriel::tile::TileDialect", "::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def FuseMixersPass : Pass<"oriel-fuse-mixers", "::mlir::ModuleOp"> {
  let summary = "Fuse window attention, residual linear attention and their norms where the schedule says so";
  let description = [{
    Where a residual linear attention carries `tape.fused`, it, the window attention beside it, the two norms and the sum become
    one op, and the gradients of the two norms another. The gradients of the two mixers stay as they are.

    ```mlir
    %s, %lse = lm.attention %qr, %kr, %v …
    %n = lm.rms_norm %s, %a …
    %r, %h = lm.residual_linear_attention %q, %k, %v {tape.fused, …} …
    %m = lm.rms_norm %r, %b …
    %y = lm.add %n, %m …
    …
    %ds, %da = lm.rms_norm_grad %s, %a, %dy …
    %dr, %db = lm.rms_norm_grad %r, %b, %dy …
    ```
    ⇒
    ```mlir
    %y, %s, %lse, %r = lm.fused_rattention %qr, %kr, %q, %k, %v, %a, %b {tape.fused, …} …
    …
    %ds, %dr, %da, %db = lm.head_norms_grad %s, %r, %a, %b, %dy …
    ```
    Precondition: `oriel-schedule-states` ran.
  }];
  let dependentDialects = ["::oriel::lm::LmDialect"];
}

def ReduceGradientsPass : Pass<"oriel-reduce-gradients", "::mlir::ModuleOp"> {
  let summary = "Sum gradients over ranks bucket by bucket, as soon as the backward has made them";
  let description = [{
    Of several ranks: adds the program `@last_micro`, a copy of `@micro` for the last micro-batch of a step. Its gradients go to
    the last slot of `grads`. Behind the last step that touches a bucket of them (`tape.bucket_starts`), that slot is added down to
    slot 0, which holds the sum over all micro-batches of the rank then, and `tape.reduce_scatter` makes the rank's share
    of the bucket the sum over ranks. What comes after it in the text does not touch the bucket any more, so that a runtime may
    let both run side by side.

    A bucket is an argument of the program that lies where gradients are written; it counts from where it is used.

    ```mlir
    tape.program @micro(…) -> (…, tensor<64x32xf32> {tape.place = #tape.place<grads + 0>}) {
      …
      %dw = tape.matmul %dy, %x transpose_a : …
      …
    }
    ```
    ⇒ (with two slots of 8192 bytes)
    ```mlir
    tape.program @last_micro(…, %b1: tensor<2048xf32> {tape.place = #tape.place<grads + 8192>},
                             %b0: tensor<2048xf32> {tape.place = #tape.place<grads + 0>})
        -> (…, tensor<64x32xf32> {tape.place = #tape.place<grads + 8192>}) {
      …
      %dw = tape.matmul %dy, %x transpose_a : …
      %sum = tape.call @accumulate_e2048(%b1) into(%b0) ties [0] : …
      %slice, %scratch = tape.reduce_scatter %sum over "fsdp" world 2 : …
      …
    }
    ```
    Preconditions: `oriel-lm-to-tape` ran, `oriel-assign-buffers` did not; nothing afterwards moves steps.
  }];
  let dependentDialects = ["::oriel::tape::TapeDialect", "::oriel::tile::TileDialect", "::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def AssignBuffersPass : Pass<"oriel-assign-buffers", "::mlir::ModuleOp"> {
  let summary = "Give every value of the tape programs a place";
  let description = [{
    Places values by liveness in one arena per program, 64-byte aligned; views, concats and updates in place share memory;
    results lie where the program says. `tape.copy` is inserted where the memory rules of the dialect need one.

    ```mlir
    %y = tape.matmul %x, %w : …
    ```
    ⇒
    ```mlir
    %y = tape.matmul %x, %w {at = [#tape.place<arena + 65536>]} : …
    ```
    The program gets `arena_bytes`, its high-water mark.
  }];
  let dependentDialects = ["::oriel::tape::TapeDialect"];
}

#endif
