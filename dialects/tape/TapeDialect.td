// The tape dialect: one training step made explicit. See the description below for its place in the stack.
#ifndef ORIEL_DIALECTS_TAPE_TAPEDIALECT_TD
#define ORIEL_DIALECTS_TAPE_TAPEDIALECT_TD

include "mlir/IR/OpBase.td"

def Tape_Dialect : Dialect {
  let name = "tape";
  let cppNamespace = "::oriel::tape";
  let summary = "One training step made explicit: order, saved values, buffers";
  let description = [{
    ```
      lm ──schedule-states──▶ lm + tape.schedule ──lm-to-tape──▶ [ tape ] ──assign-buffers──▶ tape with places ──▶ plan.pb
                                                                     └─ tape.call @k ─▶ tile.kernel @k (same module)
    ```
    A `tape.program` is a straight line of ops on dense tensors: calls of fused kernels, library products, fills and
    collectives. The order of the text is the order of execution. What the backward half needs from the forward half is
    visible: `tape.save` lists it by layer at the turning point; a re-made value is computed twice.

    Neighbours: above it `lm` says what to compute, on values without memory. Below it the plan (runtime/plan) says the
    same steps with byte addresses. `tile.kernel`s are called by symbol and live in the same module.

    **Three phases of one text**
    1. *scheduled*: `tape.schedule` ops in the module say what every recurrent mixer saves and which values are re-made;
    2. *explicit*: `tape.program`s exist; values have no places, except arguments and results (`tape.place`);
    3. *placed*: `--oriel-assign-buffers` gave every value a place: `at = [#tape.place<arena + 65536>]`.

    **Memory rules**
    * Values are dense, row major, and seen flat by matmul and calls: a shape may differ as long as the elements agree.
    * `tape.view` and `tape.concat` move no bytes: a view lies inside its source, the parts of a concat lie inside it.
    * An `into` operand is updated in place: the result has its memory, and the operand is dead afterwards.
  }];
  let useDefaultAttributePrinterParser = 1;
}

#endif
