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

    * (C1) `dy` is `[B,T,M]`, `tokens` is `[B,T]`, `dtable` is `[V,M]`.

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

    * (C1) `scale`, `dscale` are `[D]` where D is the last size of `x`; `dy`, `dx` have x's type.

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
    `residual`, the cotangent that reaches x past the norm, is added to dx; `normed` is the result of the norm, made again:
    both are put there by `--oriel-fuse-pointwise`.

    * (C1) `weight` is `[D]` or `[N,D]` and matches the last sizes of `x`; `dweight` has its type; `dy`, `residual`, `dx`
      and `normed` have x's type.
    * (C2) `eps` > 0.

    ```mlir
    %dx, %dw, %y = lm.rms_norm_grad %x, %w, %dy, %dres {eps = 1.0e-6 : f64} : (tensor<2x16x64xf32>, tensor<64xf32>, tensor<2x16x64xf32>, tensor<2x16x64xf32>) -> (tensor<2x16x64xf32>, tensor<64xf32>, tensor<2x16x64xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$weight, Lm_Float:$dy, Optional<Lm_Float>:$residual, F64Attr:$eps,
                       UnitAttr:$plus_one);
  let results = (outs Lm_Float:$dx, Lm_Float:$dweight, Optional<Lm_Float>:$normed);
}

def Lm_GatedActivationGradOp : Lm_Gradient<"gated_activation_grad"> {
  let summary = "Gradient of lm.gated_activation";
  let description = [{
    `dgate = dy∘up∘act'(gate)`, `dup = dy∘act(gate)`. `gated` is `act(gate)∘up`, made again; `--oriel-fuse-pointwise` asks
    for it.

    * (C1) All operands and results have one type.

    ```mlir
    %dg, %du = lm.gated_activation_grad %g, %u, %dy {activation = #lm.activation<silu>} : (tensor<2x8x96xf32>, tensor<2x8x96xf32>, tensor<2x8x96xf32>) -> (tensor<2x8x96xf32>, tensor<2x8x96xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$gate, Lm_Float:$up, Lm_Float:$dy, Lm_ActivationAttr:$activation);
  let results = (outs Lm_Float:$dgate, Lm_Float:$dup, Optional<Lm_Float>:$gated);
}

def Lm_AttentionGradOp : Lm_Gradient<"attention_grad"> {
  let summary = "Gradient of lm.attention";
  let description = [{
    Re-makes the probabilities from q, k and `lse` block by block; `result` is the forward output (for the row sums of
    `do∘o`). dk and dv are summed over the query heads of a group. Attributes as in `lm.attention`.

    * (C1) Operands have the shapes they have in `lm.attention`; dresult has result's, dq, dk, dv have those of q, k, v.
    * (C2) N is a multiple of KV.
    * (C3) `window` >= -1, `soft_cap` >= 0.

    ```mlir
    %dq, %dk, %dv = lm.attention_grad %q, %k, %v, %o, %lse, %do {window = 7 : i64, scale = 2.5e-1 : f64, soft_cap = 0.0 : f64}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x4x16xf32>, tensor<2x4x8xf32>,
         tensor<2x8x4x16xf32>) -> (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$q, Lm_Float:$k, Lm_Float:$v, Lm_Float:$result, Lm_Float:$lse, Lm_Float:$dresult,
                       Optional<Lm_Index>:$doc_start, Lm_Int:$window, F64Attr:$scale, F64Attr:$soft_cap);
  let results = (outs Lm_Float:$dq, Lm_Float:$dk, Lm_Float:$dv);
}

def Lm_ResidualLinearAttentionGradOp : Lm_Gradient<"residual_linear_attention_grad", [AttrSizedOperandSegments]> {
  let summary = "Gradient of lm.residual_linear_attention";
  let description = [{
    dk and dv are summed over the query heads of a group. `dinitial_state` has the shape of `initial_state` (absent without
    one). States are re-made from k and v, or read where the schedule saved them: that choice is made on the tape, not here.
    Attributes as in `lm.residual_linear_attention`.

    * (C1) Operands have the shapes they have in `lm.residual_linear_attention`; dresult is `[B,T,N,E]`, dfinal_state is
      `[B,N,2D,E]`, dq, dk, dv have the shapes of q, k, v.
    * (C2) N is a multiple of KV.
    * (C3) `window` >= -1.
    * (C4) `dinitial_state` is present exactly when `initial_state` is, with its shape.

    ```mlir
    %dq, %dk, %dv, %dh = lm.residual_linear_attention_grad %q, %k, %v, %do initial_state(%h)
        {window = 3 : i64, feature_map = #lm.feature_map<softmax>}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x4x16xf32>, tensor<4x32x16xf32>)
      -> (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>, tensor<4x32x16xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$q, Lm_Float:$k, Lm_Float:$v, Lm_Float:$dresult, Optional<Lm_Float>:$initial_state,
                       Optional<Lm_Float>:$dfinal_state, Optional<Lm_Index>:$doc_start,
                       Lm_Int:$window, Lm_FeatureMapAttr:$feature_map);
  let results = (outs Lm_Float:$dq, Lm_Float:$dk, Lm_Float:$dv, Optional<Lm_Float>:$dinitial_state);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $dresult (`initial_state` `(` $initial_state^ `)`)? (`dfinal_state` `(` $dfinal_state^ `)`)?
    (`doc_start` `(` $doc_start^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def Lm_LearnedStateGradOp : Lm_Gradient<"learned_state_grad"> {
  let summary = "Gradient of lm.learned_state";
  let description = [{
    `dv[n,j] = phi(k_tokens[n,j]) dstate[n]`, `dk[n,j] = phi'(k_tokens[n,j])ᵀ (dstate[n] v_tokens[n,j])`; `dstate` is the
    cotangent of the result of `lm.learned_state`.

    * (C1) `k_tokens`, `dk_tokens` are `[N,J,D]`, `v_tokens`, `dv_tokens` are `[N,J,E]`, `dstate` is `[N,2D,E]`.

    ```mlir
    %dk, %dv = lm.learned_state_grad %k, %v, %dh {feature_map = #lm.feature_map<relu>}
      : (tensor<4x128x16xf32>, tensor<4x128x8xf32>, tensor<4x32x8xf32>) -> (tensor<4x128x16xf32>, tensor<4x128x8xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$k_tokens, Lm_Float:$v_tokens, Lm_Float:$dstate, Lm_FeatureMapAttr:$feature_map);
  let results = (outs Lm_Float:$dk_tokens, Lm_Float:$dv_tokens);
}

def Lm_CrossEntropyGradOp : Lm_Gradient<"cross_entropy_grad"> {
  let summary = "Loss of lm.cross_entropy together with its gradient";
  let description = [{
    One walk over blocks of positions gives the loss and, scaled by `dloss` (`tensor<1xf32>`), the gradients: the logits of a block exist
    once. `--oriel-differentiate` replaces the forward op by this one.

    * (C1) `x`, `dx` are `[B,T,M]`, `weight`, `dweight` are `[V,M]`, `targets` is `[B,T]`, `dloss` and `loss` are `[1]`.
    * (C2) `soft_cap` >= 0.

    ```mlir
    %l, %dx, %dw = lm.cross_entropy_grad %x, %w, %t, %dl {soft_cap = 0.0 : f64} : (tensor<2x8x64xf32>, tensor<256x64xf32>, tensor<2x8xi32>, tensor<1xf32>) -> (tensor<1xf32>, tensor<2x8x64xf32>, tensor<256x64xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$weight, Lm_Index:$targets, Lm_Float:$dloss, F64Attr:$soft_cap);
  let results = (outs Lm_Float:$loss, Lm_Float:$dx, Lm_Float:$dweight);
}

#endif
