// RUN: oriel-opt "%s" --split-input-file --verify-diagnostics --oriel-differentiate

func.func @f(%q: tensor<1x5x3x2xf32>, %k: tensor<1x5x2x2xf32>) -> tensor<1x5x3x2xf32> {
  // expected-error @+1 {{(C2) has 3 query heads, not a multiple of its 2 key/value heads}}
  %o, %lse = lm.attention %q, %k, %k {window = -1 : i64, scale = 1.0 : f64}
    : (tensor<1x5x3x2xf32>, tensor<1x5x2x2xf32>, tensor<1x5x2x2xf32>) -> (tensor<1x5x3x2xf32>, tensor<1x3x5xf32>)
  return %o : tensor<1x5x3x2xf32>
}

// -----

func.func @f(%x: tensor<2x3x4xf32>, %g: tensor<5x4xf32>, %d: tensor<4x5xf32>) -> tensor<2x3x4xf32>
    attributes {lm.vjp = {wrt = [0], cotangents = [true]}} {
  // expected-error @+2 {{has no gradient, but a differentiated result depends on it}}
  // expected-note @+1 {{it is a composite: run --oriel-decompose before --oriel-differentiate}}
  %y = lm.gated_mlp %x, %g, %g, %d {activation = #lm.activation<gelu>}
    : (tensor<2x3x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<4x5xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// -----

// expected-error @+1 {{@loss must return tensor<1xf32>}}
func.func @loss(%x: tensor<2xf32>) -> tensor<2xf32> {
  return %x : tensor<2xf32>
}
