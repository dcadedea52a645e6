// Tests that of wide heads a block of a GPU holds 64 queries (keys in dkdv) where products are of bf16, and fewer tokens pass by; in f32 it
// holds 64 keys, and where blocks are small what passes by takes turns in one place, unless the tiles were given.
// RUN: oriel-opt "%s" --oriel-compile="tiles=nvidia" | FileCheck "%s" --check-prefix=F32
// RUN: oriel-opt "%s" --oriel-compile="tiles=nvidia-large" | FileCheck "%s" --check-prefix=LARGE
// RUN: oriel-opt "%s" --oriel-compile="bf16 tiles=nvidia-bf16" | FileCheck "%s" --check-prefix=BF16
// RUN: oriel-opt "%s" --oriel-compile="bf16 tiles=nvidia-warpgroup" | FileCheck "%s" --check-prefix=WARPGROUP
// RUN: rm -rf "%t" && mkdir "%t" && echo "tape.tiles @vjp.attention attn_dkdv rows 32 columns 32" > "%t/given.mlir"
// RUN: cd "%t" && oriel-opt "%s" --oriel-differentiate --oriel-schedule-states="schedule-file=given.mlir device=a100" --oriel-lm-to-tape=tiles=nvidia | FileCheck "%s" --check-prefix=GIVEN

// F32-DAG: tape.call @attn_fwd_{{[a-z0-9_]*}}q32_k32
// F32-DAG: tape.call @attn_dq_{{[a-z0-9_]*}}q32_k32
// F32-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}shared_turns_q16_k64

// LARGE-DAG: tape.call @attn_fwd_{{[a-z0-9_]*}}q32_k32
// LARGE-DAG: tape.call @attn_dq_{{[a-z0-9_]*}}q32_k32
// LARGE-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}shared_q16_k64

// GIVEN-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}shared_q32_k32

// BF16-DAG: tape.call @attn_fwd_{{[a-z0-9_]*}}q64_k32
// BF16-DAG: tape.call @attn_dq_{{[a-z0-9_]*}}q64_k32
// BF16-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}q32_k64

// WARPGROUP-DAG: tape.call @attn_fwd_{{[a-z0-9_]*}}q64_k32
// WARPGROUP-DAG: tape.call @attn_dq_{{[a-z0-9_]*}}q64_k32
// WARPGROUP-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}q16_k64

func.func @f(%q: tensor<1x300x2x256xf32>, %k: tensor<1x300x1x256xf32>) -> tensor<1x300x2x256xf32>
    attributes {lm.vjp = {wrt = [0, 1], cotangents = [true]}} {
  %o, %lse = lm.attention %q, %k, %k {window = -1 : i64, scale = 0.0625 : f64, soft_cap = 0.0 : f64}
    : (tensor<1x300x2x256xf32>, tensor<1x300x1x256xf32>, tensor<1x300x1x256xf32>) -> (tensor<1x300x2x256xf32>, tensor<1x2x300xf32>)
  return %o : tensor<1x300x2x256xf32>
}
