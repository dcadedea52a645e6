// RUN: oriel-opt "%s" --split-input-file --oriel-differentiate | FileCheck "%s"

!x = tensor<2x6x4xf32>
!i = tensor<2x6xi32>

// Tests the signature of @micro, that the loss comes out of the gradient op, that the two uses of the table are summed, and
// that a parameter without influence gets zeros.
// CHECK-LABEL: func.func @micro
// CHECK-SAME:    (%[[TOKENS:[^:]*]]: tensor<2x6xi32> {lm.role = "tokens"}, %[[TARGETS:[^:]*]]: tensor<2x6xi32> {lm.role = "targets"}
// CHECK-SAME:    %[[SCALE:[^:]*]]: tensor<1xf32> {lm.role = "loss_scale"}, %[[TABLE:[^:]*]]: tensor<5x4xf32> {lm.param
// CHECK-SAME:    -> (tensor<1xf32>, tensor<5x4xf32>, tensor<3xf32>)
// CHECK-NEXT:  %[[X:.*]] = lm.embed %[[TABLE]], %[[TOKENS]]
// CHECK-NEXT:  %[[LOSS:.*]], %[[DX:.*]], %[[DW:.*]] = lm.cross_entropy_grad %[[X]], %[[TABLE]], %[[TARGETS]], %[[SCALE]]
// CHECK-NEXT:  %[[DT:.*]] = lm.embed_grad %[[DX]], %[[TOKENS]]
// CHECK-NEXT:  %[[SUM:.*]] = lm.add %[[DW]], %[[DT]]
// CHECK-NEXT:  %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : tensor<3xf32>
// CHECK-NEXT:  return %[[LOSS]], %[[SUM]], %[[ZERO]]
func.func @loss(%tokens: !i {lm.role = "tokens"}, %targets: !i {lm.role = "targets"}, %docs: !i {lm.role = "doc_start"},
                %table: tensor<5x4xf32> {lm.param = {name = "embed"}}, %idle: tensor<3xf32> {lm.param = {name = "idle"}})
    -> tensor<1xf32> {
  %x = lm.embed %table, %tokens : (tensor<5x4xf32>, !i) -> !x
  %l = lm.cross_entropy %x, %table, %targets : (!x, tensor<5x4xf32>, !i) -> tensor<1xf32>
  return %l : tensor<1xf32>
}

// -----

// Tests that @vjp takes a cotangent for the marked result only, and that gradients nobody asked for are not computed.
// CHECK-LABEL: func.func @vjp
// CHECK-SAME:    (%[[X:[^:]*]]: tensor<3x4xf32>, %[[W:[^:]*]]: tensor<2x4xf32>, %[[DY:[^:]*]]: tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3x4xf32>, tensor<2x4xf32>)
// CHECK-NEXT:  %[[Y:.*]] = lm.linear %[[X]], %[[W]]
// CHECK-NEXT:  %[[Z:.*]] = lm.add %[[X]], %[[X]]
// CHECK-NEXT:  %[[DW:.*]] = lm.matmul %[[DY]], %[[X]] {transpose_a}
// CHECK-NEXT:  return %[[Y]], %[[Z]], %[[DW]]
func.func @f(%x: tensor<3x4xf32>, %w: tensor<2x4xf32>) -> (tensor<3x2xf32>, tensor<3x4xf32>)
    attributes {lm.vjp = {wrt = [1], cotangents = [true, false]}} {
  %y = lm.linear %x, %w : (tensor<3x4xf32>, tensor<2x4xf32>) -> tensor<3x2xf32>
  %z = lm.add %x, %x : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y, %z : tensor<3x2xf32>, tensor<3x4xf32>
}

// -----

// Tests that a rotation is differentiated by turning back.
// CHECK-LABEL: func.func @vjp
// CHECK:       lm.rope %{{.*}} {inverse, layout = #lm.rope_layout<half>
func.func @f(%x: tensor<1x5x2x6xf32>) -> tensor<1x5x2x6xf32> attributes {lm.vjp = {wrt = [0], cotangents = [true]}} {
  %y = lm.rope %x {theta = 100.0 : f64, layout = #lm.rope_layout<half>, rotary_dim = 6 : i64}
    : (tensor<1x5x2x6xf32>) -> tensor<1x5x2x6xf32>
  return %y : tensor<1x5x2x6xf32>
}
