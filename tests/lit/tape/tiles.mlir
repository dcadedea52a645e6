// Tests that kernels are made for the machine: a GPU splits the columns of a state and the gradient of attention among cells, and takes
// short chunks.
// RUN: oriel-opt "%s" --oriel-compile="tiles=nvidia" | FileCheck "%s" --check-prefix=GPU
// RUN: oriel-opt "%s" --oriel-compile | FileCheck "%s" --check-prefix=CPU
// RUN: not oriel-opt "%s" --oriel-differentiate --oriel-lm-to-tape="tiles=abacus" 2>&1 | FileCheck "%s" --check-prefix=ERROR

// GPU: tape.schedule @vjp.residual_linear_attention chunk 32
// GPU-DAG: tape.call @attn_dq_{{[a-z0-9_]*}}q64_k64
// GPU-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}q64_k64
// GPU-DAG: tape.call @rla_fwd_{{[a-z0-9_]*}}c32_{{[a-z0-9_]*}}eb32
// GPU-DAG: tape.call @rla_bwd_{{[a-z0-9_]*}}c32_{{[a-z0-9_]*}}eb32

// CPU-DAG: tape.call @attn_grad_
// CPU-DAG: tape.call @rla_fwd_{{[a-z0-9_]*}}eb64

// ERROR: error: oriel-lm-to-tape: tiles are sized for 'cpu' or 'nvidia', not for 'abacus'

func.func @f(%q: tensor<2x300x2x64xf32>, %k: tensor<2x300x1x64xf32>, %v: tensor<2x300x1x64xf32>)
    -> (tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>)
    attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true, true]}} {
  %o, %s = lm.residual_linear_attention %q, %k, %v {window = 3 : i64, feature_map = #lm.feature_map<softmax>,
      operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x128x64xf32>)
  %a, %lse = lm.attention %q, %k, %v {window = -1 : i64, scale = 0.125 : f64, soft_cap = 0.0 : f64}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x300xf32>)
  return %o, %a : tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>
}
