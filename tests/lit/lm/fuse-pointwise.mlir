// RUN: oriel-opt "%s" --oriel-fuse-pointwise --split-input-file | FileCheck "%s"

!x = tensor<2x16x64xf32>
!h = tensor<2x16x96xf32>
!w = tensor<64xf32>

// Tests that a residual sum is normalised where it is made, and stays there for its other readers.
// CHECK-LABEL: func.func @residual_sum
// CHECK-NEXT:  %[[S:.*]], %[[Y:.*]] = lm.add_rms_norm %arg0, %arg1, %arg2 {eps = 9.9999999999999995E-7 : f64}
// CHECK-NEXT:  return %[[Y]], %[[S]]
func.func @residual_sum(%a: !x, %b: !x, %w: !w) -> (!x, !x) {
  %s = lm.add %a, %b : (!x, !x) -> !x
  %y = lm.rms_norm %s, %w {eps = 1.0e-6 : f64} : (!x, !w) -> !x
  return %y, %s : !x, !x
}

// Tests that a sum of norms (not a norm of a sum) is left alone.
// CHECK-LABEL: func.func @sum_of_norms
// CHECK-NOT:   lm.add_rms_norm
func.func @sum_of_norms(%a: !x, %b: !x, %w: !w) -> !x {
  %0 = lm.rms_norm %a, %w {eps = 1.0e-6 : f64} : (!x, !w) -> !x
  %1 = lm.rms_norm %b, %w {eps = 1.0e-6 : f64} : (!x, !w) -> !x
  %s = lm.add %0, %1 : (!x, !x) -> !x
  return %s : !x
}

// Tests that the cotangent that flows past a norm is added by the gradient of the norm.
// CHECK-LABEL: func.func @past_the_norm
// CHECK-NEXT:  %[[DX:.*]], %[[DW:.*]] = lm.rms_norm_grad %arg0, %arg1, %arg2, %arg3 {eps
// CHECK-NEXT:  return %[[DX]], %[[DW]]
func.func @past_the_norm(%x: !x, %w: !w, %dy: !x, %past: !x) -> (!x, !w) {
  %dx, %dw = lm.rms_norm_grad %x, %w, %dy {eps = 1.0e-6 : f64} : (!x, !w, !x) -> (!x, !w)
  %sum = lm.add %past, %dx : (!x, !x) -> !x
  return %sum, %dw : !x, !w
}

// Tests that a cotangent that is made later than the gradient is added by itself.
// CHECK-LABEL: func.func @made_too_late
// CHECK:       lm.rms_norm_grad %arg0, %arg1, %arg2 {eps
// CHECK:       lm.add
func.func @made_too_late(%x: !x, %w: !w, %dy: !x) -> (!x, !w) {
  %dx, %dw = lm.rms_norm_grad %x, %w, %dy {eps = 1.0e-6 : f64} : (!x, !w, !x) -> (!x, !w)
  %late = lm.reshape %dy : (!x) -> !x
  %sum = lm.add %late, %dx : (!x, !x) -> !x
  return %sum, %dw : !x, !w
}

// Tests that a gradient with another reader is not changed.
// CHECK-LABEL: func.func @read_twice
// CHECK:       lm.rms_norm_grad %arg0, %arg1, %arg2 {eps
// CHECK:       lm.add
func.func @read_twice(%x: !x, %w: !w, %dy: !x, %past: !x) -> (!x, !x, !w) {
  %dx, %dw = lm.rms_norm_grad %x, %w, %dy {eps = 1.0e-6 : f64} : (!x, !w, !x) -> (!x, !w)
  %sum = lm.add %past, %dx : (!x, !x) -> !x
  return %sum, %dx, %dw : !x, !x, !w
}

// Tests that what only a weight gradient reads in the backward is made beside the gradient of the gate, and the product
// waits for it.
// CHECK-LABEL: func.func @gate
// CHECK:       %[[DH:.*]] = lm.matmul %arg3, %arg2
// CHECK-NEXT:  %[[DG:.*]], %[[DU:.*]], %[[AGAIN:.*]] = lm.gated_activation_grad %arg0, %arg1, %[[DH]]
// CHECK-NEXT:  %[[DW:.*]] = lm.matmul %arg3, %[[AGAIN]] {transpose_a}
// CHECK-NEXT:  return %{{.*}}, %[[DG]], %[[DU]], %[[DW]]
func.func @gate(%g: !h, %u: !h, %down: tensor<64x96xf32>, %dy: !x) -> (!x, !h, !h, tensor<64x96xf32>) {
  %y = lm.gated_activation %g, %u {activation = #lm.activation<silu>} : (!h, !h) -> !h
  %o = lm.linear %y, %down : (!h, tensor<64x96xf32>) -> !x
  %w0 = arith.constant dense<1.0> : !w
  %first, %dw0 = lm.rms_norm_grad %o, %w0, %dy {eps = 1.0e-6 : f64} : (!x, !w, !x) -> (!x, !w)
  %dh = lm.matmul %dy, %down : (!x, tensor<64x96xf32>) -> !h
  %dw = lm.matmul %dy, %y {transpose_a} : (!x, !h) -> tensor<64x96xf32>
  %dg, %du = lm.gated_activation_grad %g, %u, %dh {activation = #lm.activation<silu>} : (!h, !h, !h) -> (!h, !h)
  return %first, %dg, %du, %dw : !x, !h, !h, tensor<64x96xf32>
}

// Tests that a value stays saved when something but a product reads it in the backward.
// CHECK-LABEL: func.func @read_otherwise
// CHECK:       lm.gated_activation_grad
// CHECK-SAME:  -> (tensor<2x16x96xf32>, tensor<2x16x96xf32>)
func.func @read_otherwise(%g: !h, %u: !h, %dy: !h) -> (!h, !h, !h) {
  %y = lm.gated_activation %g, %u {activation = #lm.activation<silu>} : (!h, !h) -> !h
  %a, %b = lm.gated_activation_grad %g, %u, %dy {activation = #lm.activation<silu>} : (!h, !h, !h) -> (!h, !h)
  %dg, %du = lm.gated_activation_grad %y, %u, %dy {activation = #lm.activation<silu>} : (!h, !h, !h) -> (!h, !h)
  return %b, %dg, %du : !h, !h, !h
}
