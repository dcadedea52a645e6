// Tests that kernels are made for the machine: a GPU splits the columns of a state and the gradient of attention among cells, and takes
// short chunks; products of warpgroups take 64 rows.
// RUN: oriel-opt "%s" --oriel-compile="tiles=nvidia" | FileCheck "%s" --check-prefix=GPU
// RUN: oriel-opt "%s" --oriel-compile="bf16 tiles=nvidia-warpgroup" | FileCheck "%s" --check-prefix=WARPGROUP
// RUN: rm -rf "%t" && mkdir "%t" && cd "%t" && echo "tape.schedule @vjp.residual_linear_attention chunk 64 save_every 1 two_pass" > given.mlir
// RUN: cd "%t" && oriel-opt "%s" --oriel-compile="bf16 tiles=nvidia-bf16 schedule-file=given.mlir" | FileCheck "%s" --check-prefix=BF16
// RUN: oriel-opt "%s" --oriel-compile | FileCheck "%s" --check-prefix=CPU
// RUN: not oriel-opt "%s" --oriel-differentiate --oriel-lm-to-tape="tiles=abacus" 2>&1 | FileCheck "%s" --check-prefix=ERROR

// GPU: tape.schedule @vjp.residual_linear_attention chunk 32
// GPU-DAG: tape.call @attn_dq_{{[a-z0-9_]*}}q64_k64_s3fc0000000000000_c0(
// GPU-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}q64_k64
// GPU-DAG: tape.call @attn_fwd_{{[a-z0-9_]*}}d128{{[a-z0-9_]*}}q32_k32
// GPU-DAG: tape.call @rla_fwd_{{[a-z0-9_]*}}c32_{{[a-z0-9_]*}}eb32
// GPU-DAG: tape.call @rla_bwd_{{[a-z0-9_]*}}c32_{{[a-z0-9_]*}}eb32
// Tests that tiles which the schedule decided are the kernel's, and those of no other kernel of the op.
// GPU-DAG: tape.call @attn_fwd_{{[a-z0-9_]*}}q32_k128_s3fd0000000000000_c0_wp8_st2(
// GPU-DAG: tile.kernel @attn_fwd_{{.*}}_wp8_st2({{.*}} attributes {tile.stages = 2 : i64, tile.warps = 8 : i64}
// GPU-DAG: tape.call @attn_dq_{{[a-z0-9_]*}}q64_k64_s3fd0000000000000_c0(

// WARPGROUP-DAG: tape.call @attn_fwd_{{[a-z0-9_]*}}d128{{[a-z0-9_]*}}q64_k64
// Tests that with all states at hand the gradient of residual linear attention is one kernel for queries, one for keys and values.
// BF16-DAG: tape.call @rla_dq_{{[a-z0-9_]*}}c64_m1_{{[a-z0-9_]*}}p2
// BF16-DAG: tape.call @rla_dkdv_{{[a-z0-9_]*}}c64_m1_{{[a-z0-9_]*}}p2
// BF16-NOT: @rla_bwd

// CPU-DAG: tape.call @attn_grad_
// CPU-DAG: tape.call @rla_fwd_{{[a-z0-9_]*}}eb64

// ERROR: error: oriel-lm-to-tape: tiles are sized for 'cpu', 'nvidia', 'nvidia-large', 'nvidia-bf16' or 'nvidia-warpgroup', not for 'abacus'

func.func @f(%q: tensor<2x300x2x64xf32>, %k: tensor<2x300x1x64xf32>, %v: tensor<2x300x1x64xf32>, %wide: tensor<1x40x1x128xf32>)
    -> (tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>, tensor<1x40x1x128xf32>, tensor<2x300x2x64xf32>)
    attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true, true, false, true]}} {
  %o, %s = lm.residual_linear_attention %q, %k, %v {window = 3 : i64, feature_map = #lm.feature_map<softmax>,
      operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x128x64xf32>)
  %a, %lse = lm.attention %q, %k, %v {window = -1 : i64, scale = 0.125 : f64, soft_cap = 0.0 : f64}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x300xf32>)
  %b, %lse_b = lm.attention %wide, %wide, %wide {window = -1 : i64, scale = 0.125 : f64, soft_cap = 0.0 : f64}
    : (tensor<1x40x1x128xf32>, tensor<1x40x1x128xf32>, tensor<1x40x1x128xf32>) -> (tensor<1x40x1x128xf32>, tensor<1x1x40xf32>)
  %c, %lse_c = lm.attention %q, %k, %v {window = -1 : i64, scale = 0.25 : f64, soft_cap = 0.0 : f64,
      tape.tiles = {attn_fwd = array<i64: 32, 128, 8, 2>}}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x300xf32>)
  return %o, %a, %b, %c : tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>, tensor<1x40x1x128xf32>, tensor<2x300x2x64xf32>
}
