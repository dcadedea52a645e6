// Tests that schedule-states decides chunks, re-makes values where it is told to, and says so as tape text.
// RUN: split-file "%s" "%t"
// RUN: oriel-opt "%t/step.mlir" --oriel-differentiate --oriel-schedule-states | FileCheck "%s" --check-prefix=OWN
// RUN: cd "%t" && oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=given.mlir | FileCheck "%s" --check-prefix=GIVEN
// RUN: cd "%t" && not oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=unknown.mlir 2>&1 | FileCheck "%s" --check-prefix=UNKNOWN
// RUN: cd "%t" && not oriel-opt step.mlir --oriel-differentiate --oriel-schedule-states=schedule-file=wrong.mlir 2>&1 | FileCheck "%s" --check-prefix=WRONG
// RUN: not oriel-opt "%t/step.mlir" --oriel-differentiate --oriel-schedule-states=memory-budget=64 2>&1 | FileCheck "%s" --check-prefix=BUDGET

// Tests that both halves of the mixer carry the decision, and that without a budget nothing is re-made.
// OWN: tape.schedule @vjp.residual_linear_attention chunk [[C:[0-9]+]] save_every [[M:[0-9]+]] why
// OWN: tape.schedule @vjp.rms_norm save why
// OWN-LABEL: func.func @vjp
// OWN: lm.rms_norm
// OWN: lm.residual_linear_attention {{.*}}tape.chunk = [[C]] : i64, tape.save_every = [[M]] : i64, tape.site = "vjp.residual_linear_attention"
// OWN-NOT: lm.rms_norm %
// OWN: lm.residual_linear_attention_grad {{.*}}tape.chunk = [[C]]

// Tests that a person's schedule is taken, and that the clone stands before its backward use.
// GIVEN: tape.schedule @vjp.residual_linear_attention chunk 48 save_every 3 why "given"
// GIVEN: tape.schedule @vjp.rms_norm recompute why "given"
// GIVEN-LABEL: func.func @vjp
// GIVEN: %[[Q:.*]] = lm.rms_norm
// GIVEN: lm.residual_linear_attention %[[Q]], {{.*}}tape.chunk = 48 : i64, tape.save_every = 3
// GIVEN: %[[AGAIN:.*]] = lm.rms_norm
// GIVEN-NEXT: lm.residual_linear_attention_grad %[[AGAIN]], {{.*}}tape.chunk = 48

// UNKNOWN: unknown.mlir:1:1: error: the schedule file speaks of 'vjp.norm', which is no mixer or value of the step
// WRONG: wrong.mlir:1:1: error: this path is about a recurrent mixer: give 'chunk C save_every m'
// BUDGET: error: no schedule keeps the saved values within 64 bytes

//--- given.mlir
tape.schedule @vjp.residual_linear_attention chunk 48 save_every 3
tape.schedule @vjp.rms_norm recompute
//--- unknown.mlir
tape.schedule @vjp.norm save
//--- wrong.mlir
tape.schedule @vjp.residual_linear_attention save
//--- step.mlir
func.func @f(%x: tensor<1x100x4x16xf32>, %w: tensor<16xf32>, %k: tensor<1x100x2x16xf32>, %v: tensor<1x100x2x16xf32>)
    -> tensor<1x100x4x16xf32> attributes {lm.vjp = {wrt = [0, 1, 2, 3], cotangents = [true]}} {
  %q = lm.rms_norm %x, %w {eps = 1.0e-6 : f64} : (tensor<1x100x4x16xf32>, tensor<16xf32>) -> tensor<1x100x4x16xf32>
  %o, %s = lm.residual_linear_attention %q, %k, %v {window = 3 : i64, feature_map = #lm.feature_map<softmax>,
      operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>}
    : (tensor<1x100x4x16xf32>, tensor<1x100x2x16xf32>, tensor<1x100x2x16xf32>) -> (tensor<1x100x4x16xf32>, tensor<1x4x32x16xf32>)
  return %o : tensor<1x100x4x16xf32>
}
