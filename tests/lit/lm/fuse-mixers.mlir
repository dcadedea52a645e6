// Tests that a schedule's word `fused` makes one op of window attention, linear attention, their norms and the sum, and
// one of the gradients of the norms; and that without the word, or without the pattern, nothing is fused.
// RUN: split-file "%s" "%t"
// RUN: cd "%t" && oriel-opt step.mlir --oriel-decompose --oriel-differentiate --cse --oriel-schedule-states=schedule-file=fused.mlir --oriel-fuse-mixers | FileCheck "%s" --check-prefix=FUSED
// RUN: cd "%t" && oriel-opt step.mlir --oriel-decompose --oriel-differentiate --cse --oriel-schedule-states=schedule-file=apart.mlir --oriel-fuse-mixers | FileCheck "%s" --check-prefix=APART
// RUN: cd "%t" && oriel-opt step.mlir --oriel-decompose --oriel-differentiate --cse --oriel-schedule-states=schedule-file=fused.mlir --oriel-fuse-mixers --oriel-lm-to-tape | FileCheck "%s" --check-prefix=TAPE
// RUN: cd "%t" && not oriel-opt alone.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=alone-fused.mlir 2>&1 | FileCheck "%s" --check-prefix=ALONE

// FUSED: tape.schedule @vjp.residual_linear_attention chunk 32 save_every 2 fused tile 64 why "given"
// FUSED-LABEL: func.func @vjp
// FUSED-NOT: lm.attention %
// FUSED-NOT: lm.rms_norm %
// FUSED: %[[Y:.*]], %[[SWA:.*]], %[[LSE:.*]], %[[RLA:.*]] = lm.fused_rattention {{.*}}tape.chunk = 32 : i64, tape.fused
// FUSED: %[[DSWA:.*]], %[[DRLA:.*]], {{.*}}, {{.*}} = lm.head_norms_grad %[[SWA]], %[[RLA]]
// FUSED-NOT: lm.rms_norm_grad
// FUSED-DAG: lm.attention_grad {{.*}}%[[SWA]], %[[LSE]], %[[DSWA]]
// FUSED-DAG: lm.residual_linear_attention_grad {{.*}}%[[DRLA]]

// APART: tape.schedule @vjp.residual_linear_attention chunk 32 save_every 2 why "given"
// APART-LABEL: func.func @vjp
// APART-NOT: lm.fused_rattention
// APART: lm.rms_norm_grad

// The row sums that the gradient of attention needs come from the kernel of the norms: no kernel for them alone.
// TAPE: tape.program @vjp
// TAPE-NOT: attn_delta
// TAPE: tape.call @{{.*}}fused{{.*}}_k64_
// TAPE: tape.call @head_norms_bwd
// TAPE-NOT: attn_delta

// ALONE: alone-fused.mlir:1:1: error: this mixer has no window attention beside it to be fused with

//--- fused.mlir
tape.schedule @vjp.residual_linear_attention chunk 32 save_every 2 fused tile 64
//--- apart.mlir
tape.schedule @vjp.residual_linear_attention chunk 32 save_every 2
//--- alone-fused.mlir
tape.schedule @vjp.residual_linear_attention chunk 32 save_every 2 fused
//--- step.mlir
func.func @f(%q: tensor<1x100x4x16xf32>, %k: tensor<1x100x2x16xf32>, %v: tensor<1x100x2x16xf32>, %a: tensor<4x16xf32>,
             %b: tensor<4x16xf32>, %d: tensor<1x100xi32>) -> tensor<1x100x4x16xf32>
    attributes {lm.vjp = {wrt = [0, 1, 2, 3, 4], cotangents = [true]}} {
  %y = lm.rattention %q, %k, %v, %a swa_scale(%b) doc_start(%d)
      {window = 7 : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64,
       rope_layout = #lm.rope_layout<half>, rotary_dim = 16 : i64}
    : (tensor<1x100x4x16xf32>, tensor<1x100x2x16xf32>, tensor<1x100x2x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>,
       tensor<1x100xi32>) -> tensor<1x100x4x16xf32>
  return %y : tensor<1x100x4x16xf32>
}
//--- alone.mlir
func.func @f(%q: tensor<1x100x4x16xf32>, %k: tensor<1x100x2x16xf32>, %v: tensor<1x100x2x16xf32>)
    -> tensor<1x100x4x16xf32> attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true]}} {
  %o, %s = lm.residual_linear_attention %q, %k, %v {window = 3 : i64, feature_map = #lm.feature_map<softmax>,
      operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>}
    : (tensor<1x100x4x16xf32>, tensor<1x100x2x16xf32>, tensor<1x100x2x16xf32>) -> (tensor<1x100x4x16xf32>, tensor<1x4x32x16xf32>)
  return %o : tensor<1x100x4x16xf32>
}
