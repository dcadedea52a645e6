// The passes of compiler/conversion: from one dialect to the next.
#ifndef ORIEL_COMPILER_CONVERSION_PASSES_TD
#define ORIEL_COMPILER_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def LmToTapePass : Pass<"oriel-lm-to-tape", "::mlir::ModuleOp"> {
  let summary = "Turn lm functions into tape programs that call tile kernels";
  let description = [{
    `@micro`, `@loss` (⇒ `@eval`), `@logits` and `@vjp` become `tape.program`s; the lm functions are erased. Every kernel that a program
    calls is built (kernels/) as a `tile.kernel` of the module, once per spec. For a model (a module with `@micro`) the programs
    `@accumulate` and `@update` are added.

    ```mlir
    func.func @loss(%tokens {lm.role = "tokens"}, …, %w {lm.param = {name = "head", …}}) -> tensor<1xf32> {
      %h = lm.linear %x, %w : …
      …
    }
    ```
    ⇒
    ```mlir
    tape.program @eval(%tokens {tape.place = #tape.place<tokens + 0>}, %w {tape.place = #tape.place<params + 0>}) -> (…) {
      %h = tape.matmul %x, %w transpose_b : …
      …
    }
    ```
    Module attributes written: `tape.world`, `tape.grad_slots`, `tape.parameters` (name, shape, offset in elements, init, std, decay),
    `tape.parameter_elements`, `tape.bucket_starts` (elements; of several buckets of gradients), `tape.flops_per_token`.

    Preconditions: primitive and gradient lm ops only (`oriel-decompose`, `oriel-differentiate` came before), float32.
    Reads the attributes `tape.chunk`, `tape.save_every`, `tape.two_pass`, `tape.key_tile`, `tape.site` that `oriel-schedule-states` left on recurrent mixers,
    and the module's `tape.cores`, which decides how the gradient of attention is cut.
  }];
  let options = [
    Option<"world", "world", "int64_t", "1", "Ranks of the fsdp mesh axis">,
    Option<"gradSlots", "grad-slots", "int64_t", "2", "Slots of the gradient buffer: depth of the micro-batch tree + 1">,
    Option<"bucketBytes", "bucket-bytes", "int64_t", "26214400", "Bytes of gradients that ranks sum in one collective; 0: all in one">,
    Option<"tiles", "tiles", "std::string", "\"cpu\"", "What tiles are sized for: cpu, nvidia, nvidia-large, nvidia-bf16 or nvidia-warpgroup">,
  ];
  let dependentDialects = ["::oriel::tape::TapeDialect", "::oriel::tile::TileDialect", "::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::math::MathDialect"];
}

#endif
