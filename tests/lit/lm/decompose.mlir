// RUN: oriel-opt "%s" --oriel-decompose | FileCheck "%s"

// Tests that a gated feed-forward network becomes three projections and a gate.
// CHECK-LABEL: func.func @mlp
// CHECK-SAME:    (%[[X:.*]]: tensor<2x8x64xf32>, %[[G:.*]]: tensor<96x64xf32>, %[[U:.*]]: tensor<96x64xf32>, %[[D:.*]]: tensor<64x96xf32>)
// CHECK-NEXT:  %[[GATE:.*]] = lm.linear %[[X]], %[[G]]
// CHECK-NEXT:  %[[UP:.*]] = lm.linear %[[X]], %[[U]]
// CHECK-NEXT:  %[[H:.*]] = lm.gated_activation %[[GATE]], %[[UP]] {activation = #lm.activation<silu>}
// CHECK-NEXT:  %[[Y:.*]] = lm.linear %[[H]], %[[D]]
// CHECK-NEXT:  return %[[Y]]
func.func @mlp(%x: tensor<2x8x64xf32>, %g: tensor<96x64xf32>, %u: tensor<96x64xf32>, %d: tensor<64x96xf32>) -> tensor<2x8x64xf32> {
  %y = lm.gated_mlp %x, %g, %u, %d {activation = #lm.activation<silu>}
    : (tensor<2x8x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>, tensor<64x96xf32>) -> tensor<2x8x64xf32>
  return %y : tensor<2x8x64xf32>
}

!q = tensor<2x8x4x16xf32>
!k = tensor<2x8x2x16xf32>

// Tests that the window branch is rotated and the linear branch is not, and that documents reach all three.
// CHECK-LABEL: func.func @documents
// CHECK-SAME:    (%[[Q:.*]]: tensor<2x8x4x16xf32>, %[[K:.*]]: tensor<2x8x2x16xf32>, %[[V:.*]]: tensor<2x8x2x16xf32>, %[[G:.*]]: tensor<4x16xf32>, %[[S:.*]]: tensor<4x16xf32>, %[[DOCS:.*]]: tensor<2x8xi32>)
// CHECK-DAG:   %[[RQ:.*]] = lm.rope %[[Q]], %[[DOCS]]
// CHECK-DAG:   %[[RK:.*]] = lm.rope %[[K]], %[[DOCS]]
// CHECK:       %[[O:.*]], %{{.*}} = lm.attention %[[RQ]], %[[RK]], %[[V]], %[[DOCS]]
// CHECK-SAME:    scale = 2.500000e-01 : f64
// CHECK-SAME:    window = 3 : i64
// CHECK:       %[[WINDOW:.*]] = lm.rms_norm %[[O]], %[[S]]
// CHECK:       %[[R:.*]], %{{.*}} = lm.residual_linear_attention %[[Q]], %[[K]], %[[V]] doc_start(%[[DOCS]])
// CHECK:       %[[LINEAR:.*]] = lm.rms_norm %[[R]], %[[G]]
// CHECK:       lm.add %[[WINDOW]], %[[LINEAR]]
func.func @documents(%q: !q, %k: !k, %v: !k, %g: tensor<4x16xf32>, %s: tensor<4x16xf32>, %d: tensor<2x8xi32>) -> !q {
  %y = lm.rattention %q, %k, %v, %g swa_scale(%s) doc_start(%d)
      {window = 3 : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 5.0e5 : f64,
       rope_layout = #lm.rope_layout<half>, rotary_dim = 16 : i64}
    : (!q, !k, !k, tensor<4x16xf32>, tensor<4x16xf32>, tensor<2x8xi32>) -> !q
  return %y : !q
}

// Tests that with leak_documents only the window part keeps the documents apart.
// CHECK-LABEL: func.func @leak
// CHECK:       lm.rope %{{[^,]*}} {
// CHECK:       lm.rope %{{[^,]*}} {
// CHECK:       lm.attention %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {
// CHECK:       lm.residual_linear_attention
// CHECK-NOT:     doc_start(
// CHECK:       lm.add
func.func @leak(%q: !q, %k: !k, %v: !k, %g: tensor<4x16xf32>, %s: tensor<4x16xf32>, %d: tensor<2x8xi32>) -> !q {
  %y = lm.rattention %q, %k, %v, %g swa_scale(%s) doc_start(%d)
      {window = 3 : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 5.0e5 : f64,
       rope_layout = #lm.rope_layout<half>, rotary_dim = 16 : i64, leak_documents}
    : (!q, !k, !k, tensor<4x16xf32>, tensor<4x16xf32>, tensor<2x8xi32>) -> !q
  return %y : !q
}

// Tests that window = -1 leaves the linear part alone: no attention, no rotation, no sum.
// CHECK-LABEL: func.func @linear_only
// CHECK-NEXT:  %[[R:.*]], %{{.*}} = lm.residual_linear_attention
// CHECK-NEXT:  %[[Y:.*]] = lm.rms_norm %[[R]]
// CHECK-NEXT:  return %[[Y]]
func.func @linear_only(%q: !q, %k: !k, %v: !k, %g: tensor<4x16xf32>) -> !q {
  %y = lm.rattention %q, %k, %v, %g
      {window = -1 : i64, feature_map = #lm.feature_map<relu>, eps = 1.0e-8 : f64, theta = 5.0e5 : f64,
       rope_layout = #lm.rope_layout<half>, rotary_dim = 16 : i64} : (!q, !k, !k, tensor<4x16xf32>) -> !q
  return %y : !q
}

// Tests qk-norm (before the rotation, window branch only), qk-scale and learned tokens (linear branch only).
// CHECK-LABEL: func.func @everything
// CHECK-SAME:    (%[[Q:[^:]*]]: {{[^,]*}}, %[[K:[^:]*]]: {{[^,]*}}, %[[V:[^:]*]]:
// CHECK:       %[[NQ:.*]] = lm.rms_norm %[[Q]]
// CHECK:       lm.rope %[[NQ]]
// CHECK:       %[[NK:.*]] = lm.rms_norm %[[K]]
// CHECK:       lm.rope %[[NK]]
// CHECK:       lm.attention
// CHECK:       %[[H:.*]] = lm.learned_state
// CHECK-DAG:   %[[SQ:.*]] = lm.scale_channels %[[Q]]
// CHECK-DAG:   %[[SK:.*]] = lm.scale_channels %[[K]]
// CHECK:       lm.residual_linear_attention %[[SQ]], %[[SK]], %[[V]] initial_state(%[[H]])
func.func @everything(%q: !q, %k: !k, %v: !k, %g: tensor<4x16xf32>, %s: tensor<4x16xf32>, %a: tensor<16xf32>, %b: tensor<16xf32>,
                      %kt: tensor<4x128x16xf32>, %vt: tensor<4x128x16xf32>) -> !q {
  %y = lm.rattention %q, %k, %v, %g swa_scale(%s) qk_scale(%a, %b) tokens(%kt, %vt) qk_norm(%b, %a)
      {window = 3 : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 5.0e5 : f64,
       rope_layout = #lm.rope_layout<half>, rotary_dim = 16 : i64}
    : (!q, !k, !k, tensor<4x16xf32>, tensor<4x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<4x128x16xf32>,
       tensor<4x128x16xf32>, tensor<16xf32>, tensor<16xf32>) -> !q
  return %y : !q
}
