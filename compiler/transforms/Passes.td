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

#endif
