// Linear attention without a feature map, and its gradient. Included by LmOps.td.
#ifndef ORIEL_DIALECTS_LM_LMLINEARATTENTION_TD
#define ORIEL_DIALECTS_LM_LMLINEARATTENTION_TD

def Lm_LinearAttentionOp
    : Lm_Primitive<"linear_attention", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<Lm_RecurrentMixer>]> {
  let summary = "Attend linearly to every token up to this one";
  let description = [{
    `S_t = h0 + sum_i k[i]ᵀ v[i]` over `doc_start[t] <= i <= t`; `o[t] = scale * q[t] S_t`. With `normalize`, also
    `z_t = z0 + sum_i k[i]` and `o[t] /= scale * q[t]·z_t + 1e-10`. No feature map, no rotation.
    `initial_state` h0 and `initial_sum` z0 are what the row goes on from: a document that begins inside the row begins with
    zeros. `final_state` and `final_sum` are S and z at the last token, unscaled. States are one per key/value head.

    * (C1) `q` is `[B,T,N,D]`, `k` is `[B,T,KV,D]`, `v` is `[B,T,KV,E]`, `result` is `[B,T,N,E]`, `initial_state` and `final_state` are
      `[B,KV,D,E]`, `initial_sum` and `final_sum` are `[B,KV,D]`, `doc_start` is `[B,T]`.
    * (C2) N is a multiple of KV.
    * (C3) `final_sum` is present exactly with `normalize`; `initial_sum` exactly with `normalize` and `initial_state`.

    ```mlir
    %o, %s = lm.linear_attention %q, %k, %v doc_start(%d) {scale = 2.5e-1 : f64}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x8xf32>, tensor<2x8xi32>) -> (tensor<2x8x4x8xf32>, tensor<2x2x16x8xf32>)
    ```

    ```mlir
    %o, %s, %z = lm.linear_attention %q, %k, %v initial(%h, %z0) {scale = 1.0 : f64, normalize}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x8xf32>, tensor<2x2x16x8xf32>, tensor<2x2x16xf32>)
      -> (tensor<2x8x4x8xf32>, tensor<2x2x16x8xf32>, tensor<2x2x16xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$q, Lm_Float:$k, Lm_Float:$v, Variadic<Lm_Float>:$initial, Optional<Lm_Index>:$doc_start,
                       F64Attr:$scale, UnitAttr:$normalize);
  let results = (outs Lm_Float:$result, Lm_Float:$final_state, Optional<Lm_Float>:$final_sum);
  let assemblyFormat = [{
    $q `,` $k `,` $v (`initial` `(` $initial^ `)`)? (`doc_start` `(` $doc_start^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
}

def Lm_LinearAttentionGradOp : Lm_Gradient<"linear_attention_grad", [AttrSizedOperandSegments]> {
  let summary = "Gradient of lm.linear_attention";
  let description = [{
    dk and dv are summed over the query heads of a group. `dinitial` are the gradients of `initial`; `dfinal` are the cotangents of
    `final_state` and, with `normalize`, `final_sum`, or nothing where both are zero. States are re-made from k and v, or read
    where the schedule saved them: that choice is made on the tape, not here.

    * (C1) Operands have the shapes they have in `lm.linear_attention`; dresult is `[B,T,N,E]`, dq, dk, dv have the shapes of q, k,
      v, `dfinal` those of the final state.
    * (C2) N is a multiple of KV.
    * (C3) `initial` is empty or holds a state and, exactly with `normalize`, a sum; so does `dfinal`; `dinitial` has the types of
      `initial`.

    ```mlir
    %dq, %dk, %dv, %dh = lm.linear_attention_grad %q, %k, %v, %do initial(%h) {scale = 2.5e-1 : f64}
      : (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x8xf32>, tensor<2x8x4x8xf32>, tensor<2x2x16x8xf32>)
      -> (tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x8xf32>, tensor<2x2x16x8xf32>)
    ```
  }];
  let arguments = (ins Lm_Float:$q, Lm_Float:$k, Lm_Float:$v, Lm_Float:$dresult, Variadic<Lm_Float>:$initial,
                       Variadic<Lm_Float>:$dfinal, Optional<Lm_Index>:$doc_start, F64Attr:$scale, UnitAttr:$normalize);
  let results = (outs Lm_Float:$dq, Lm_Float:$dk, Lm_Float:$dv, Variadic<Lm_Float>:$dinitial);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $dresult (`initial` `(` $initial^ `)`)? (`dfinal` `(` $dfinal^ `)`)?
    (`doc_start` `(` $doc_start^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

#endif
