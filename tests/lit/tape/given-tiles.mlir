// Tests that tiles which a person gave are those of the kernels, and that nobody else's change.
// RUN: split-file "%s" "%t"
// RUN: cd "%t" && oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states="schedule-file=given.mlir device=a100" --oriel-lm-to-tape=tiles=nvidia | FileCheck "%s"
// RUN: cd "%t" && oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states="schedule-file=again.mlir device=a100" | FileCheck "%s" --check-prefix=AGAIN
// RUN: cd "%t" && not oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=given.mlir 2>&1 | FileCheck "%s" --check-prefix=CPU
// RUN: cd "%t" && not oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states="schedule-file=other.mlir device=a100" 2>&1 | FileCheck "%s" --check-prefix=OTHER
// RUN: cd "%t" && not oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states="schedule-file=chunk.mlir device=a100" 2>&1 | FileCheck "%s" --check-prefix=CHUNK
// RUN: cd "%t" && not oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states="schedule-file=twice.mlir device=a100" 2>&1 | FileCheck "%s" --check-prefix=TWICE

// CHECK: tape.tiles @vjp.residual_linear_attention rla_bwd columns 16 why "given"
// CHECK: tape.tiles @vjp.attention attn_dkdv rows 32 columns 128 stages 2 why "given"
// CHECK: tape.tiles @vjp.attention attn_fwd rows 32 columns 64 warps 8 why "given"
// CHECK-DAG: tape.call @rla_bwd_{{[a-z0-9_]*}}c32_{{[a-z0-9_]*}}eb16
// CHECK-DAG: tape.call @rla_fwd_{{[a-z0-9_]*}}c32_{{[a-z0-9_]*}}eb32
// CHECK-DAG: tape.call @attn_fwd_{{[a-z0-9_]*}}wn1{{[a-z0-9_]*}}q32_k64_{{[a-z0-9]*}}_c0_wp8(
// CHECK-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}wn1{{[a-z0-9_]*}}q32_k128_{{[a-z0-9]*}}_c0_st2(
// CHECK-DAG: tape.call @attn_dq_{{[a-z0-9_]*}}wn1{{[a-z0-9_]*}}q64_k64_{{[a-z0-9]*}}_c0(
// CHECK-DAG: tape.call @attn_fwd_{{[a-z0-9_]*}}w3{{[a-z0-9_]*}}q64_k64_{{[a-z0-9]*}}_c0(

// Tests that what is printed is read again.
// AGAIN: tape.tiles @vjp.attention attn_dkdv rows 32 columns 128 stages 2 why "given"

// CPU: given.mlir:2:1: error: tiles are given for kernels of GPUs, and this step runs on a CPU
// OTHER: other.mlir:1:1: error: 'vjp.attention' does not become a kernel rla_bwd
// CHUNK: chunk.mlir:1:1: error: tiles of a recurrent mixer are for one chunk of it: say 'tape.schedule @vjp.residual_linear_attention chunk C save_every m', too
// TWICE: twice.mlir:2:1: error: decides the tiles of this kernel twice

//--- given.mlir
tape.schedule @vjp.residual_linear_attention chunk 32 save_every 2
tape.tiles @vjp.attention attn_fwd rows 32 columns 64 warps 8
tape.tiles @vjp.attention attn_dkdv rows 32 columns 128 stages 2
tape.tiles @vjp.residual_linear_attention rla_bwd columns 16
//--- again.mlir
tape.tiles @vjp.attention attn_dkdv rows 32 columns 128 stages 2 why "given"
//--- other.mlir
tape.tiles @vjp.attention rla_bwd columns 32
//--- chunk.mlir
tape.tiles @vjp.residual_linear_attention rla_bwd columns 32
//--- twice.mlir
tape.tiles @vjp.attention attn_fwd rows 32
tape.tiles @vjp.attention attn_fwd columns 32
//--- step.mlir
func.func @f(%q: tensor<2x300x2x64xf32>, %k: tensor<2x300x1x64xf32>, %v: tensor<2x300x1x64xf32>)
    -> (tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>)
    attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true, true, true]}} {
  %o, %s = lm.residual_linear_attention %q, %k, %v {window = 3 : i64, feature_map = #lm.feature_map<softmax>,
      operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x128x64xf32>)
  %a, %lse = lm.attention %q, %k, %v {window = -1 : i64, scale = 0.125 : f64, soft_cap = 0.0 : f64}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x300xf32>)
  %b, %lse_b = lm.attention %q, %k, %v {window = 3 : i64, scale = 0.125 : f64, soft_cap = 0.0 : f64}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x300xf32>)
  return %o, %a, %b : tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>
}
