// Gradient ops: made by --oriel-differentiate, never written by people. Included by LmOps.td.
#ifndef ORIEL_DIALECTS_LM_LMGRADIENTOPS_TD
#define ORIEL_DIALECTS_LM_LMGRADIENTOPS_TD

class Lm_Gradient<string mnemonic, list<Trait> traits = []> : Lm_Op<mnemonic, traits>;

def Lm_MatmulOp : Lm_Gradient<"matmul"> {
  let summary = "Multiply two matrices after flattening their leading dimensions";
  let description = [{
    Both operands are seen as matrices `[prod(leading), last]`; `result = op(a)·op(b)` where op transposes on request.
    With `dY` and `X` of a linear layer, `dX = dY·W` and `dW = dYᵀ·X`.

    * (C1) Inner sizes agree, and the result's elements are those of the product (its leading sizes may be unflattened).

    ```mlir
    %dw = lm.matmul %dy, %x {transpose_a} : (tensor<2x8x96xf32>, tensor<2x8x64xf32>) -> tensor<96x64xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$a, Lm_Float:$b, UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let results = (outs Lm_Float:$result);
}

def Lm_SumRowsOp : Lm_Gradient<"sum_rows"> {
  let summary = "Sum over all dimensions but the last";
  let description = [{
    The gradient of a bias: `y[o] = sum_{...} x[...,o]`.

    * (C1) The result is `[O]` where O is the last size of `x`.

    ```mlir
    %db = lm.sum_rows %dy : (tensor<2x8x96xf32>) -> tensor<96xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$x);
  let results = (outs Lm_Float:$result);
}

def Lm_EmbedGradOp : Lm_Gradient<"embed_grad"> {
  let summary = "Add the rows of a cotangent into the table rows that were looked up";
  let description = [{
    `dtable[v,:] = scale * sum over (b,t) with tokens[b,t] = v of dy[b,t,:]`, summed in row-major order of (b,t).

    ```mlir
    %dt = lm.embed_grad %dy, %tokens {scale = 1.0 : f32} : (tensor<2x16x64xf32>, tensor<2x16xi32>) -> tensor<256x64xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$dy, Lm_Index:$tokens, F32Attr:$scale);
  let results = (outs Lm_Float:$dtable);
}

def Lm_ScaleChannelsGradOp : Lm_Gradient<"scale_channels_grad"> {
  let summary = "Gradient of lm.scale_channels";
  let description = [{
    `dx = dy * scale`, `dscale[d] = sum_{...} dy[...,d] x[...,d]`.

    ```mlir
    %dx, %ds = lm.scale_channels_grad %x, %s, %dy : (tensor<2x16x4x8xf32>, tensor<8xf32>, tensor<2x16x4x8xf32>) -> (tensor<2x16x4x8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$scale, Lm_Float:$dy);
  let results = (outs Lm_Float:$dx, Lm_Float:$dscale);
}

def Lm_RmsNormGradOp : Lm_Gradient<"rms_norm_grad"> {
  let summary = "Gradient of lm.rms_norm";
  let description = [{
    With r = 1/sqrt(mean(x²)+eps) and g = w∘dy: `dx = r·g - x·r³·mean_d(g∘x)`, `dweight = sum over vectors of dy∘x·r`.
    r is computed again from x.

    ```mlir
    %dx, %dw = lm.rms_norm_grad %x, %w, %dy {eps = 1.0e-6 : f64} : (tensor<2x16x64xf32>, tensor<64xf32>, tensor<2x16x64xf32>) -> (tensor<2x16x64xf32>, tensor<64xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$weight, Lm_Float:$dy, F64Attr:$eps, UnitAttr:$plus_one);
  let results = (outs Lm_Float:$dx, Lm_Float:$dweight);
}

def Lm_GatedActivationGradOp : Lm_Gradient<"gated_activation_grad"> {
  let summary = "Gradient of lm.gated_activation";
  let description = [{
    `dgate = dy∘up∘act'(gate)`, `dup = dy∘act(gate)`.

    ```mlir
    %dg, %du = lm.gated_activation_grad %g, %u, %dy {activation = #lm.activation<silu>} : (tensor<2x8x96xf32>, tensor<2x8x96xf32>, tensor<2x8x96xf32>) -> (tensor<2x8x96xf32>, tensor<2x8x96xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$gate, Lm_Float:$up, Lm_Float:$dy, Lm_ActivationAttr:$activation);
  let results = (outs Lm_Float:$dgate, Lm_Float:$dup);
}

def Lm_AttentionGradOp : Lm_Gradient<"attention_grad"> {
  let summary = "Gradient of lm.attention";
  let description = [{
    Re-makes the probabilities from q, k and `lse` block by block; `result` is the forward output (for the row sums of
    `do∘o`). dk and dv are summed over the query heads of a group. Attributes as in `lm.attention`.
  }];
  let arguments = (ins Lm_Float:$q, Lm_Float:$k, Lm_Float:$v, Lm_Float:$result, Lm_Float:$lse, Lm_Float:$dresult,
                       Optional<Lm_Index>:$doc_start, I64Attr:$window, F64Attr:$scale, F64Attr:$soft_cap);
  let results = (outs Lm_Float:$dq, Lm_Float:$dk, Lm_Float:$dv);
}

def Lm_ResidualLinearAttentionGradOp : Lm_Gradient<"residual_linear_attention_grad", [AttrSizedOperandSegments]> {
  let summary = "Gradient of lm.residual_linear_attention";
  let description = [{
    dk and dv are summed over the query heads of a group. `dinitial_state` has the shape of `initial_state` (absent without
    one). States are re-made from k and v, or read where the schedule saved them: that choice is made on the tape, not here.
    Attributes as in `lm.residual_linear_attention`.
  }];
  let arguments = (ins Lm_Float:$q, Lm_Float:$k, Lm_Float:$v, Lm_Float:$dresult, Optional<Lm_Float>:$initial_state,
                       Optional<Lm_Float>:$dfinal_state, Optional<Lm_Index>:$doc_start,
                       I64Attr:$window, Lm_FeatureMapAttr:$feature_map);
  let results = (outs Lm_Float:$dq, Lm_Float:$dk, Lm_Float:$dv, Optional<Lm_Float>:$dinitial_state);
}

def Lm_LearnedStateGradOp : Lm_Gradient<"learned_state_grad"> {
  let summary = "Gradient of lm.learned_state";
  let description = [{ Shapes as in `lm.learned_state`; `dstate` is the cotangent of its result. }];
  let arguments = (ins Lm_Float:$k_tokens, Lm_Float:$v_tokens, Lm_Float:$dstate, Lm_FeatureMapAttr:$feature_map);
  let results = (outs Lm_Float:$dk_tokens, Lm_Float:$dv_tokens);
}

def Lm_CrossEntropyGradOp : Lm_Gradient<"cross_entropy_grad"> {
  let summary = "Loss of lm.cross_entropy together with its gradient";
  let description = [{
    One walk over blocks of positions gives the loss and, scaled by `dloss` (`tensor<1xf32>`), the gradients: the logits of a block exist
    once. `--oriel-differentiate` replaces the forward op by this one.

    ```mlir
    %l, %dx, %dw = lm.cross_entropy_grad %x, %w, %t, %dl {soft_cap = 0.0 : f64} : (tensor<2x8x64xf32>, tensor<256x64xf32>, tensor<2x8xi32>, tensor<1xf32>) -> (tensor<1xf32>, tensor<2x8x64xf32>, tensor<256x64xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$weight, Lm_Index:$targets, Lm_Float:$dloss, F64Attr:$soft_cap);
  let results = (outs Lm_Float:$loss, Lm_Float:$dx, Lm_Float:$dweight);
}

#endif
