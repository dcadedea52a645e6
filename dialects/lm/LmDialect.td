// The lm dialect: the model as written. See the description below for its place in the stack.
#ifndef ORIEL_DIALECTS_LM_LMDIALECT_TD
#define ORIEL_DIALECTS_LM_LMDIALECT_TD

include "mlir/IR/OpBase.td"

def Lm_Dialect : Dialect {
  let name = "lm";
  let cppNamespace = "::oriel::lm";
  let summary = "Language models as written: the field's operations on whole tensors";
  let description = [{
    ```
      model.oriel ──frontend──▶ [ lm ] ──decompose──▶ lm ──differentiate──▶ lm ──lmToTape──▶ tape
    ```
    Ops are the field's words on ranked, static tensors. There is no device, no memory and no order beyond data flow.
    A model is one `func.func` with ops of this dialect in its body; each trainable argument carries the
    attribute `lm.param`.

    Three levels of ops share the dialect:
    * **composite**: what a person writes (`lm.rattention`, `lm.gated_mlp`); removed by `--oriel-decompose`;
    * **primitive**: what is differentiated and run (`lm.linear`, `lm.attention`, `lm.residual_linear_attention` …);
    * **gradient**: made by `--oriel-differentiate` only (`lm.attention_grad` …).

    Shape letters, used in every description: B rows of a batch, T tokens of a row, M model width, N query heads,
    KV key/value heads (N = G·KV), D query/key head size, E value head size, V vocabulary, F feed-forward width.
    Activations are `[B,T,M]`; heads are `[B,T,N,D]`.

    **Documents.** `doc_start : tensor<BxTxi32>` gives, for each token, the position in its row of the first token of
    its document. Masks, recurrent states and rotary positions all derive from this one tensor: token t may see
    token i only if `i >= doc_start[t]`. A row with one document is all zeros.
  }];
  let useDefaultAttributePrinterParser = 1;
}

#endif
