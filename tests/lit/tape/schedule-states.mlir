// Tests that schedule-states decides chunks, re-makes values where it is told to, and says so as tape text.
// RUN: split-file "%s" "%t"
// RUN: oriel-opt "%t/step.mlir" --oriel-differentiate --oriel-schedule-states | FileCheck "%s" --check-prefix=OWN
// RUN: cd "%t" && oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=given.mlir | FileCheck "%s" --check-prefix=GIVEN
// RUN: cd "%t" && not oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=unknown.mlir 2>&1 | FileCheck "%s" --check-prefix=UNKNOWN
// RUN: cd "%t" && not oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=wrong.mlir 2>&1 | FileCheck "%s" --check-prefix=WRONG
// RUN: cd "%t" && oriel-opt chain.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=both.mlir | FileCheck "%s" --check-prefix=CHAIN
// RUN: cd "%t" && oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=passes.mlir --oriel-lm-to-tape | FileCheck "%s" --check-prefix=PASSES
// RUN: not oriel-opt "%t/step.mlir" --oriel-differentiate --oriel-schedule-states=memory-budget=64 2>&1 | FileCheck "%s" --check-prefix=BUDGET

// Tests that both halves of the mixer carry the decision, and that without a budget nothing is re-made.
// OWN: tape.schedule @vjp.rms_norm save why
// OWN: tape.schedule @vjp.residual_linear_attention chunk [[C:[0-9]+]] save_every [[M:[0-9]+]] why
// OWN-LABEL: func.func @vjp
// OWN: lm.rms_norm
// OWN: lm.residual_linear_attention {{.*}}tape.chunk = [[C]] : i64, tape.save_every = [[M]] : i64, tape.site = "vjp.residual_linear_attention"
// OWN-NOT: lm.rms_norm %
// OWN: lm.residual_linear_attention_grad {{.*}}tape.chunk = [[C]]

// Tests that a person's schedule is taken, and that the clone stands before its backward use.
// GIVEN: tape.schedule @vjp.rms_norm recompute why "given"
// GIVEN: tape.schedule @vjp.residual_linear_attention chunk 48 save_every 3 why "given"
// GIVEN-LABEL: func.func @vjp
// GIVEN: %[[Q:.*]] = lm.rms_norm
// GIVEN: lm.residual_linear_attention %[[Q]], {{.*}}tape.chunk = 48 : i64, tape.save_every = 3
// GIVEN: %[[AGAIN:.*]] = lm.rms_norm
// GIVEN-NEXT: lm.residual_linear_attention_grad %[[AGAIN]], {{.*}}tape.chunk = 48

// Tests that a chain runs again in order, the views in between with it, and that the gradient reads the last copy.
// CHAIN-LABEL: func.func @vjp(%arg0: tensor<1x32x4x16xf32>
// CHAIN: lm.linear
// CHAIN-NEXT: lm.matmul %arg4, %arg3
// CHAIN-NEXT: %[[A:.*]] = lm.rms_norm %arg0, %arg1
// CHAIN-NEXT: %[[V:.*]] = lm.reshape %[[A]]
// CHAIN-NEXT: %[[B:.*]] = lm.rms_norm %[[V]], %arg2
// CHAIN-NEXT: lm.matmul %arg4, %[[B]] {transpose_a}
// CHAIN: lm.rms_norm_grad %[[V]]
// CHAIN: lm.rms_norm_grad %arg0

// Tests that the segments of a mixer that runs in two passes are cells of their own, forward and backward.
// PASSES: tape.schedule @vjp.residual_linear_attention chunk 16 save_every 1 two_pass why "given"
// PASSES-LABEL: tape.program @vjp
// PASSES: %[[S:.*]] = tape.call @rla_states
// PASSES: tape.call @rla_fwd_{{[a-z0-9_]*}}p2{{.*}}%[[S]]
// PASSES: %[[D:.*]] = tape.call @rla_cotangents
// PASSES: tape.call @rla_bwd_{{[a-z0-9_]*}}p2{{.*}}%[[S]], %[[D]]

// UNKNOWN: unknown.mlir:1:1: error: the schedule file speaks of 'vjp.rms_nrom', which is no op of the step; there is 'vjp.rms_norm'
// WRONG: wrong.mlir:1:1: error: this path is about a recurrent mixer: give 'chunk C save_every m'
// BUDGET: error: no schedule of @vjp fits the memory budget of 64 bytes (0.0 MiB); the least possible is {{[0-9]+}} bytes

//--- given.mlir
tape.schedule @vjp.residual_linear_attention chunk 48 save_every 3
tape.schedule @vjp.rms_norm recompute
//--- passes.mlir
tape.schedule @vjp.residual_linear_attention chunk 16 save_every 1 two_pass
//--- unknown.mlir
tape.schedule @vjp.rms_nrom save
//--- wrong.mlir
tape.schedule @vjp.residual_linear_attention save
//--- both.mlir
tape.schedule @vjp.rms_norm recompute
tape.schedule @vjp.rms_norm_1 recompute
//--- chain.mlir
func.func @f(%x: tensor<1x32x4x16xf32>, %w: tensor<16xf32>, %u: tensor<64xf32>, %p: tensor<32x64xf32>)
    -> tensor<1x32x32xf32> attributes {lm.vjp = {wrt = [0, 1, 2, 3], cotangents = [true]}} {
  %a = lm.rms_norm %x, %w {eps = 1.0e-6 : f64} : (tensor<1x32x4x16xf32>, tensor<16xf32>) -> tensor<1x32x4x16xf32>
  %v = lm.reshape %a : (tensor<1x32x4x16xf32>) -> tensor<1x32x64xf32>
  %b = lm.rms_norm %v, %u {eps = 1.0e-6 : f64} : (tensor<1x32x64xf32>, tensor<64xf32>) -> tensor<1x32x64xf32>
  %o = lm.linear %b, %p : (tensor<1x32x64xf32>, tensor<32x64xf32>) -> tensor<1x32x32xf32>
  return %o : tensor<1x32x32xf32>
}
//--- step.mlir
func.func @f(%x: tensor<1x100x4x16xf32>, %w: tensor<16xf32>, %k: tensor<1x100x2x16xf32>, %v: tensor<1x100x2x16xf32>)
    -> tensor<1x100x4x16xf32> attributes {lm.vjp = {wrt = [0, 1, 2, 3], cotangents = [true]}} {
  %q = lm.rms_norm %x, %w {eps = 1.0e-6 : f64} : (tensor<1x100x4x16xf32>, tensor<16xf32>) -> tensor<1x100x4x16xf32>
  %o, %s = lm.residual_linear_attention %q, %k, %v {window = 3 : i64, feature_map = #lm.feature_map<softmax>,
      operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>}
    : (tensor<1x100x4x16xf32>, tensor<1x100x2x16xf32>, tensor<1x100x2x16xf32>) -> (tensor<1x100x4x16xf32>, tensor<1x4x32x16xf32>)
  return %o : tensor<1x100x4x16xf32>
}
