// Ops of the lm dialect. Laws are numbered (C1), (C2) … here, at the verifier line and in the error tests.
#ifndef ORIEL_DIALECTS_LM_LMOPS_TD
#define ORIEL_DIALECTS_LM_LMOPS_TD

include "dialects/lm/LmDialect.td"
include "dialects/lm/LmInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// ---------------------------------------------------------------------------------------------------------------------
// Attributes
// ---------------------------------------------------------------------------------------------------------------------

class Lm_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::oriel::lm";
  let genSpecializedAttr = 0;
}
class Lm_EnumAttr<I32EnumAttr e, string mnemonic> : EnumAttr<Lm_Dialect, e, mnemonic> { let assemblyFormat = "`<` $value `>`"; }

def Lm_FeatureMap : Lm_Enum<"FeatureMap", "feature map of linear attention", [
  I32EnumAttrCase<"Softmax", 0, "softmax">,   // phi(x) = [softmax(x), softmax(-x)]
  I32EnumAttrCase<"Relu", 1, "relu">          // phi(x) = [max(x,0), max(-x,0)]
]>;
def Lm_FeatureMapAttr : Lm_EnumAttr<Lm_FeatureMap, "feature_map">;

def Lm_RopeLayout : Lm_Enum<"RopeLayout", "which pairs of channels rotate together", [
  I32EnumAttrCase<"Half", 0, "half">,                 // pairs (j, j + D/2), as Hugging Face
  I32EnumAttrCase<"Interleaved", 1, "interleaved">    // pairs (2j, 2j + 1), as axlearn
]>;
def Lm_RopeLayoutAttr : Lm_EnumAttr<Lm_RopeLayout, "rope_layout">;

def Lm_Activation : Lm_Enum<"Activation", "gate activation", [
  I32EnumAttrCase<"Silu", 0, "silu">,                 // x * sigmoid(x)
  I32EnumAttrCase<"Gelu", 1, "gelu">                  // tanh approximation
]>;
def Lm_ActivationAttr : Lm_EnumAttr<Lm_Activation, "activation">;

// ---------------------------------------------------------------------------------------------------------------------
// Types and base classes
// ---------------------------------------------------------------------------------------------------------------------

def Lm_Float : StaticShapeTensorOf<[F32, BF16, F64]>;
def Lm_Index : StaticShapeTensorOf<[I32]>;

/// Like I64Attr, but its C++ getter is signed: a window may be -1.
def Lm_Int : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit signed integer">;

class Lm_Op<string mnemonic, list<Trait> traits = []> : Op<Lm_Dialect, mnemonic, !listconcat([Pure], traits)> {
  let hasVerifier = 1;
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

/// Has a gradient: `--oriel-differentiate` asks it for one.
class Lm_Primitive<string mnemonic, list<Trait> traits = []> : Lm_Op<mnemonic, !listconcat(traits, [DeclareOpInterfaceMethods<Lm_Differentiable>])>;

/// Stands for several primitives: `--oriel-decompose` asks it for them.
class Lm_Composite<string mnemonic, list<Trait> traits = []> : Lm_Op<mnemonic, !listconcat(traits, [DeclareOpInterfaceMethods<Lm_Decomposable>])>;

// ---------------------------------------------------------------------------------------------------------------------
// Embedding and projections
// ---------------------------------------------------------------------------------------------------------------------

def Lm_EmbedOp : Lm_Primitive<"embed"> {
  let summary = "Look up one row of a table per token";
  let description = [{
    `y[b,t,:] = scale * table[tokens[b,t],:]`.

    * (C1) `table` is `[V,M]`, `tokens` is `[B,T]` of i32, the result is `[B,T,M]`.

    ```mlir
    %y = lm.embed %table, %tokens {scale = 1.0 : f32} : (tensor<256x64xf32>, tensor<2x16xi32>) -> tensor<2x16x64xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$table, Lm_Index:$tokens, DefaultValuedAttr<F32Attr, "1.0f">:$scale);
  let results = (outs Lm_Float:$result);
}

def Lm_LinearOp : Lm_Primitive<"linear"> {
  let summary = "Project the last dimension with a weight matrix";
  let description = [{
    `y[...,o] = sum_i x[...,i] * weight[o,i] (+ bias[o])`. The weight is stored `[out, in]`, as Hugging Face does.

    * (C1) `x` is `[...,I]`, `weight` is `[O,I]`, `bias` is `[O]`; the result is `[...,O]` with x's leading sizes.

    ```mlir
    %y = lm.linear %x, %w : (tensor<2x16x64xf32>, tensor<128x64xf32>) -> tensor<2x16x128xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$weight, Optional<Lm_Float>:$bias);
  let results = (outs Lm_Float:$result);
}

def Lm_ReshapeOp : Lm_Primitive<"reshape"> {
  let summary = "View the same elements, in row-major order, under another shape";
  let description = [{
    * (C1) Operand and result have the same number of elements and the same element type.

    ```mlir
    %h = lm.reshape %x : (tensor<2x16x64xf32>) -> tensor<2x16x4x16xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$x);
  let results = (outs Lm_Float:$result);
}

def Lm_AddOp : Lm_Primitive<"add"> {
  let summary = "Add two tensors of one shape";
  let description = [{
    The residual connection; gradients of a value with several uses are summed with it too.

    * (C1) Both operands and the result have one type.

    ```mlir
    %z = lm.add %x, %y : (tensor<2x16x64xf32>, tensor<2x16x64xf32>) -> tensor<2x16x64xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$lhs, Lm_Float:$rhs);
  let results = (outs Lm_Float:$result);
}

def Lm_ScaleChannelsOp : Lm_Primitive<"scale_channels"> {
  let summary = "Multiply the last dimension by a vector";
  let description = [{
    `y[...,d] = x[...,d] * scale[d]`. Used for the q/k scales of residual linear attention.

    * (C1) `scale` is `[D]` where D is the last size of `x`; the result has x's type.

    ```mlir
    %y = lm.scale_channels %x, %s : (tensor<2x16x4x8xf32>, tensor<8xf32>) -> tensor<2x16x4x8xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$scale);
  let results = (outs Lm_Float:$result);
}

// ---------------------------------------------------------------------------------------------------------------------
// Norms, positions, gates
// ---------------------------------------------------------------------------------------------------------------------

def Lm_RmsNormOp : Lm_Primitive<"rms_norm"> {
  let summary = "Normalise the last dimension by its root mean square";
  let description = [{
    `y = x / sqrt(mean_d(x^2) + eps) * w`, where `w` is `weight`, or `1 + weight` with `plus_one`; one norm per vector of
    the last dimension, in float32. A weight of rank 2, `[N,D]`, gives every head of `[...,N,D]` its own scale.

    * (C1) `weight` is `[D]` or `[N,D]` and matches the last sizes of `x`; the result has x's type.
    * (C2) `eps` > 0.

    ```mlir
    %y = lm.rms_norm %x, %w {eps = 1.0e-6 : f64} : (tensor<2x16x64xf32>, tensor<64xf32>) -> tensor<2x16x64xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$weight, F64Attr:$eps, UnitAttr:$plus_one);
  let results = (outs Lm_Float:$result);
}

def Lm_RopeOp : Lm_Primitive<"rope"> {
  let summary = "Rotate pairs of channels by an angle that grows with position";
  let description = [{
    Pair j of the first `rotary_dim` channels turns by `p * theta^(-2j/rotary_dim)`; the other channels pass through.
    The position p of token t is `t - doc_start[t]` (each document starts at 0); without `doc_start` it is t.
    `inverse` turns the other way (the transpose of the rotation: its gradient).

    * (C1) `x` is `[B,T,N,D]`, `doc_start` is `[B,T]`; the result has x's type.
    * (C2) `rotary_dim` is even and 2 <= rotary_dim <= D; `theta` > 0.

    ```mlir
    %y = lm.rope %x {theta = 5.0e5 : f64, layout = #lm.rope_layout<half>, rotary_dim = 16 : i64}
      : (tensor<2x8x4x16xf32>) -> tensor<2x8x4x16xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$x, Optional<Lm_Index>:$doc_start, F64Attr:$theta, Lm_RopeLayoutAttr:$layout,
                       Lm_Int:$rotary_dim, UnitAttr:$inverse);
  let results = (outs Lm_Float:$result);
}

def Lm_GatedActivationOp : Lm_Primitive<"gated_activation"> {
  let summary = "Multiply a value by an activated gate";
  let description = [{
    `y = act(gate) * up`, elementwise.

    * (C1) Both operands and the result have one type.

    ```mlir
    %y = lm.gated_activation %g, %u {activation = #lm.activation<silu>}
      : (tensor<2x8x96xf32>, tensor<2x8x96xf32>) -> tensor<2x8x96xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$gate, Lm_Float:$up, Lm_ActivationAttr:$activation);
  let results = (outs Lm_Float:$result);
}

// ---------------------------------------------------------------------------------------------------------------------
// Mixers
// ---------------------------------------------------------------------------------------------------------------------

def Lm_AttentionOp : Lm_Primitive<"attention"> {
  let summary = "Softmax attention, full or over a sliding window";
  let description = [{
    `s[t,i] = scale * q[t]·k[i]`; with `soft_cap` c > 0, `s = c * tanh(s / c)`; token t sees
    `max(doc_start[t], t - window) <= i <= t` (`window` = -1: no limit on the left; the window counts window+1 tokens);
    `o[t] = sum_i softmax_i(s[t,i]) v[i]`. `lse[t]` is the natural logarithm of the sum of `exp(s[t,i])`.
    Query head n uses key/value head floor(n / G). `lse` feeds the gradient; its own cotangent is zero.

    * (C1) `q` is `[B,T,N,D]`, `k` is `[B,T,KV,D]`, `v` is `[B,T,KV,E]`, `result` is `[B,T,N,E]`, `lse` is `[B,N,T]`,
      `doc_start` is `[B,T]`.
    * (C2) N is a multiple of KV.
    * (C3) `window` >= -1, `soft_cap` >= 0.

    ```mlir
    %o, %lse = lm.attention %q, %k, %v {window = 7 : i64, scale = 2.5e-1 : f64, soft_cap = 0.0 : f64}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>) -> (tensor<2x8x4x16xf32>, tensor<2x4x8xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$q, Lm_Float:$k, Lm_Float:$v, Optional<Lm_Index>:$doc_start,
                       Lm_Int:$window, F64Attr:$scale, DefaultValuedAttr<F64Attr, "0.0">:$soft_cap);
  let results = (outs Lm_Float:$result, Lm_Float:$lse);
}

def Lm_ResidualLinearAttentionOp
    : Lm_Primitive<"residual_linear_attention",
                   [AttrSizedOperandSegments, DeclareOpInterfaceMethods<Lm_RecurrentMixer, ["hasStatePasses"]>]> {
  let summary = "Linear attention over every token before the window";
  let description = [{
    `S_t = h0 + sum_i phi(k[i])ᵀ v[i]` over `doc_start[t] <= i <= t - window - 1`; `o[t] = phi(q[t]) S_t`. No rotation, no
    1/sqrt(D), no denominator (arXiv 2506.15545). phi doubles the head size: states are `[2D,E]`.
    `window` = -1 is plain causal linear attention that includes the token itself.
    `initial_state` is `[N,2D,E]` or `[B,N,2D,E]`, one per query head; every document starts from it.
    With `lengths`, keys at positions `i > lengths[b] - window - 2` are left out (the state of a prefilled row stops growing).
    `final_state` is S at the last token, `[B,N,2D,E]`, per query head.

    The states without h0 are the same for all query heads of a group: kernels keep one per key/value head.

    * (C1) `q` is `[B,T,N,D]`, `k` is `[B,T,KV,D]`, `v` is `[B,T,KV,E]`, `result` is `[B,T,N,E]`, `final_state` is `[B,N,2D,E]`,
      `doc_start` is `[B,T]`, `lengths` is `[B]`.
    * (C2) N is a multiple of KV.
    * (C3) `window` >= -1.
    * (C4) `initial_state` is `[N,2D,E]` or `[B,N,2D,E]`.

    ```mlir
    %o, %s = lm.residual_linear_attention %q, %k, %v {window = 3 : i64, feature_map = #lm.feature_map<softmax>}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>) -> (tensor<2x8x4x16xf32>, tensor<2x4x32x16xf32>)
    ```

    ```mlir
    %o, %s = lm.residual_linear_attention %q, %k, %v initial_state(%h) doc_start(%d)
        {window = 3 : i64, feature_map = #lm.feature_map<relu>}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>, tensor<4x32x16xf32>, tensor<2x8xi32>)
      -> (tensor<2x8x4x16xf32>, tensor<2x4x32x16xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$q, Lm_Float:$k, Lm_Float:$v, Optional<Lm_Float>:$initial_state,
                       Optional<Lm_Index>:$doc_start, Optional<Lm_Index>:$lengths,
                       Lm_Int:$window, Lm_FeatureMapAttr:$feature_map);
  let results = (outs Lm_Float:$result, Lm_Float:$final_state);
  let assemblyFormat = [{
    $q `,` $k `,` $v (`initial_state` `(` $initial_state^ `)`)? (`doc_start` `(` $doc_start^ `)`)?
    (`lengths` `(` $lengths^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def Lm_LearnedStateOp : Lm_Primitive<"learned_state"> {
  let summary = "Sum learned tokens into an initial state";
  let description = [{
    `h0[n] = sum_j phi(k_tokens[n,j])ᵀ v_tokens[n,j]`: the initial state that J learned tokens would leave.

    * (C1) `k_tokens` is `[N,J,D]`, `v_tokens` is `[N,J,E]`, the result is `[N,2D,E]`.

    ```mlir
    %h = lm.learned_state %k, %v {feature_map = #lm.feature_map<relu>} : (tensor<4x128x16xf32>, tensor<4x128x8xf32>) -> tensor<4x32x8xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$k_tokens, Lm_Float:$v_tokens, Lm_FeatureMapAttr:$feature_map);
  let results = (outs Lm_Float:$result);
}

def Lm_RAttentionOp : Lm_Composite<"rattention", [AttrSizedOperandSegments]> {
  let summary = "Window attention plus residual linear attention over what came before";
  let description = [{
    ```
      swa    = attention(norm?(rope(q)), norm?(rope(k)), v, window)            scale D^-0.5
      rla    = residual_linear_attention(q * q_scale, k * k_scale, v, learned_state(k_tokens, v_tokens), window)
      result = rms_norm(swa, swa_scale) + rms_norm(rla, rla_scale)             per head, eps
    ```
    `window` = -1 has no window part: `result = rms_norm(rla, rla_scale)` and `swa_scale` is absent. `q_norm`, `k_norm` (`[D]`) are
    the weights of qk-norm, applied on the window branch only, before the rotation. `theta` = 0 means no rotation.
    `leak_documents` lets the linear part and the rotary positions run across documents, as the reference implementation does.

    * (C1) `q` is `[B,T,N,D]`, `k` is `[B,T,KV,D]`, `v` is `[B,T,KV,E]`, scales are `[N,E]`, `doc_start` is `[B,T]`, the result is
      `[B,T,N,E]`.
    * (C2) `swa_scale` is present exactly when window >= 0.
    * (C3) `q_scale`/`k_scale` (`[D]`), `k_tokens`/`v_tokens` (`[N,J,D]`, `[N,J,E]`), `q_norm`/`k_norm` (`[D]`) come in pairs.
    * (C4) N is a multiple of KV; `window` >= -1.
    * (C5) `eps` > 0, `theta` >= 0, `soft_cap` >= 0; with `theta` > 0, `rotary_dim` is even and 2 <= rotary_dim <= D.

    ```mlir
    %y = lm.rattention %q, %k, %v, %g swa_scale(%s) qk_scale(%a, %b) tokens(%kt, %vt) doc_start(%d)
        {window = 3 : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 5.0e5 : f64,
         rope_layout = #lm.rope_layout<half>, rotary_dim = 16 : i64}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>,
         tensor<16xf32>, tensor<16xf32>, tensor<4x128x16xf32>, tensor<4x128x16xf32>, tensor<2x8xi32>) -> tensor<2x8x4x16xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$q, Lm_Float:$k, Lm_Float:$v, Lm_Float:$rla_scale, Optional<Lm_Float>:$swa_scale,
                       Optional<Lm_Float>:$q_scale, Optional<Lm_Float>:$k_scale,
                       Optional<Lm_Float>:$k_tokens, Optional<Lm_Float>:$v_tokens,
                       Optional<Lm_Float>:$q_norm, Optional<Lm_Float>:$k_norm, Optional<Lm_Index>:$doc_start,
                       Lm_Int:$window, Lm_FeatureMapAttr:$feature_map, F64Attr:$eps, F64Attr:$theta,
                       Lm_RopeLayoutAttr:$rope_layout, Lm_Int:$rotary_dim,
                       DefaultValuedAttr<F64Attr, "0.0">:$soft_cap, UnitAttr:$leak_documents);
  let results = (outs Lm_Float:$result);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $rla_scale (`swa_scale` `(` $swa_scale^ `)`)? (`qk_scale` `(` $q_scale^ `,` $k_scale `)`)?
    (`tokens` `(` $k_tokens^ `,` $v_tokens `)`)? (`qk_norm` `(` $q_norm^ `,` $k_norm `)`)?
    (`doc_start` `(` $doc_start^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def Lm_GatedMlpOp : Lm_Composite<"gated_mlp"> {
  let summary = "Gated feed-forward network";
  let description = [{
    `y = (act(x·gateᵀ) ∘ x·upᵀ)·downᵀ`.

    * (C1) `gate`, `up` are `[F,M]`, `down` is `[M,F]`; the result has x's type `[...,M]`.

    ```mlir
    %y = lm.gated_mlp %x, %g, %u, %d {activation = #lm.activation<silu>}
      : (tensor<2x8x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>, tensor<64x96xf32>) -> tensor<2x8x64xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$gate, Lm_Float:$up, Lm_Float:$down, Lm_ActivationAttr:$activation);
  let results = (outs Lm_Float:$result);
}

// ---------------------------------------------------------------------------------------------------------------------
// Loss
// ---------------------------------------------------------------------------------------------------------------------

def Lm_CrossEntropyOp : Lm_Primitive<"cross_entropy"> {
  let summary = "Unembed and sum the negative log-likelihood of the targets";
  let description = [{
    `logits = x·weightᵀ`, soft-capped by `c * tanh(logits / c)` when `soft_cap` c > 0; `loss = sum over positions of
    (logsumexp(logits) - logits[target])`, in nats. Positions whose target is negative do not count. The T x V logits
    are never whole in memory: kernels walk over blocks of positions.

    * (C1) `x` is `[B,T,M]`, `weight` is `[V,M]`, `targets` is `[B,T]` of i32, the result is `[1]`.
    * (C2) `soft_cap` >= 0.

    ```mlir
    %l = lm.cross_entropy %x, %w, %t {soft_cap = 0.0 : f64} : (tensor<2x8x64xf32>, tensor<256x64xf32>, tensor<2x8xi32>) -> tensor<1xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$weight, Lm_Index:$targets, DefaultValuedAttr<F64Attr, "0.0">:$soft_cap);
  let results = (outs Lm_Float:$loss);
}

def Lm_LogitsOp : Lm_Op<"logits"> {
  let summary = "Unembed one position of each row";
  let description = [{
    `y[b,:] = x[b,position[b],:]·weightᵀ`, soft-capped like `lm.cross_entropy`. For generation; has no gradient.

    * (C1) `x` is `[B,T,M]`, `weight` is `[V,M]`, `position` is `[B]` of i32, the result is `[B,V]`.
    * (C2) `soft_cap` >= 0.

    ```mlir
    %y = lm.logits %x, %w, %p {soft_cap = 0.0 : f64} : (tensor<2x8x64xf32>, tensor<256x64xf32>, tensor<2xi32>) -> tensor<2x256xf32>
    ```
  }];
  let arguments = (ins Lm_Float:$x, Lm_Float:$weight, Lm_Index:$position, DefaultValuedAttr<F64Attr, "0.0">:$soft_cap);
  let results = (outs Lm_Float:$result);
}

include "dialects/lm/LmGradientOps.td"
include "dialects/lm/LmLinearAttention.td"
include "dialects/lm/LmFusedOps.td"

#endif
