// Fused ops: made by --oriel-fuse-mixers and --oriel-fuse-pointwise out of primitives and their gradients, never written
// by people. Included by LmOps.td.
#ifndef ORIEL_DIALECTS_LM_LMFUSEDOPS_TD
#define ORIEL_DIALECTS_LM_LMFUSEDOPS_TD

def Lm_FusedRAttentionOp : Lm_Op<"fused_rattention", [AttrSizedOperandSegments]> {
  let summary = "Compute both parts of RAttention and the sum of their norms together";
  let description = [{
    ```
      swa, lse = attention(rotated_q, rotated_k, v, window, scale, soft_cap)
      rla      = residual_linear_attention(q, k, v, initial_state, window)
      result   = rms_norm(swa, swa_scale) + rms_norm(rla, rla_scale)                  per head, eps
    ```
    `swa`, `lse` and `rla` feed the gradients. `leak_documents` lets the linear part run across documents.

    * (C1) `q`, `rotated_q` are `[B,T,N,D]`, `k`, `rotated_k` are `[B,T,KV,D]`, `v` is `[B,T,KV,E]`, scales are `[N,E]`, `doc_start` is
      `[B,T]`; `result`, `swa`, `rla` are `[B,T,N,E]`, `lse` is `[B,N,T]`.
    * (C2) N is a multiple of KV.
    * (C3) `window` >= 0, `soft_cap` >= 0, `eps` > 0.
    * (C4) `initial_state` is `[N,2D,E]` or `[B,N,2D,E]`.

    ```mlir
    %y, %swa, %lse, %rla = lm.fused_rattention %qr, %kr, %q, %k, %v, %a, %b doc_start(%d)
        {window = 3 : i64, scale = 2.5e-1 : f64, soft_cap = 0.0 : f64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>,
         tensor<4x16xf32>, tensor<4x16xf32>, tensor<2x8xi32>)
      -> (tensor<2x8x4x16xf32>, tensor<2x8x4x16xf32>, tensor<2x4x8xf32>, tensor<2x8x4x16xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$rotated_q, Lm_Float:$rotated_k, Lm_Float:$q, Lm_Float:$k, Lm_Float:$v,
                       Lm_Float:$swa_scale, Lm_Float:$rla_scale, Optional<Lm_Float>:$initial_state,
                       Optional<Lm_Index>:$doc_start, Lm_Int:$window, F64Attr:$scale, F64Attr:$soft_cap,
                       Lm_FeatureMapAttr:$feature_map, F64Attr:$eps, UnitAttr:$leak_documents);
  let results = (outs Lm_Float:$result, Lm_Float:$swa, Lm_Float:$lse, Lm_Float:$rla);
  let assemblyFormat = [{
    $rotated_q `,` $rotated_k `,` $q `,` $k `,` $v `,` $swa_scale `,` $rla_scale (`initial_state` `(` $initial_state^ `)`)?
    (`doc_start` `(` $doc_start^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def Lm_HeadNormsGradOp : Lm_Op<"head_norms_grad"> {
  let summary = "Gradient of the sum of two per-head norms";
  let description = [{
    Of `y = rms_norm(swa, swa_scale) + rms_norm(rla, rla_scale)`, as two `lm.rms_norm_grad` with one cotangent.

    * (C1) `swa`, `rla`, `dresult`, `dswa`, `drla` have one type `[B,T,N,E]`; `swa_scale`, `rla_scale` and their gradients are `[N,E]`.
    * (C2) `eps` > 0.

    ```mlir
    %dswa, %drla, %da, %db = lm.head_norms_grad %swa, %rla, %a, %b, %dy {eps = 1.0e-8 : f64}
      : (tensor<2x8x4x16xf32>, tensor<2x8x4x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>, tensor<2x8x4x16xf32>)
      -> (tensor<2x8x4x16xf32>, tensor<2x8x4x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$swa, Lm_Float:$rla, Lm_Float:$swa_scale, Lm_Float:$rla_scale, Lm_Float:$dresult,
                       F64Attr:$eps);
  let results = (outs Lm_Float:$dswa, Lm_Float:$drla, Lm_Float:$dswa_scale, Lm_Float:$drla_scale);
}

def Lm_AddRmsNormOp : Lm_Op<"add_rms_norm"> {
  let summary = "Add to the residual stream and normalise the sum";
  let description = [{
    `sum = lhs + rhs`, `result = rms_norm(sum)` as in `lm.rms_norm`: the sum is normalised while it is at hand.

    * (C1) `weight` is `[D]` or `[N,D]` and matches the last sizes of `lhs`; `rhs`, `sum` and the result have lhs's type.
    * (C2) `eps` > 0.

    ```mlir
    %s, %y = lm.add_rms_norm %a, %b, %w {eps = 1.0e-6 : f64} : (tensor<2x16x64xf32>, tensor<2x16x64xf32>, tensor<64xf32>) -> (tensor<2x16x64xf32>, tensor<2x16x64xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$lhs, Lm_Float:$rhs, Lm_Float:$weight, F64Attr:$eps, UnitAttr:$plus_one);
  let results = (outs Lm_Float:$sum, Lm_Float:$result);
}

#endif
