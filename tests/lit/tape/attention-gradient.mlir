// Tests which kernels make the gradient of attention: on a CPU with a group for every core one walk, over queries where the window
// is short and over keys where it is not; elsewhere dq, which gives dkdv its delta.
// RUN: oriel-opt "%s" --oriel-compile | FileCheck "%s" --check-prefix=CPU --implicit-check-not=@attn_dq
// RUN: oriel-opt "%s" --oriel-compile="tiles=nvidia" | FileCheck "%s" --check-prefix=GPU --implicit-check-not=@attn_row_grad --implicit-check-not=@attn_grad

// CPU: tape.program @vjp(
// CPU-DAG: %[[DELTA:[0-9]+]] = tape.call @attn_delta_{{[a-z0-9_]*}}_wn1_{{.*}} : ({{.*}}) -> tensor<2x2x300xf32>
// CPU-DAG: tape.call @attn_grad_{{[a-z0-9_]*}}_wn1_{{[a-z0-9_]*}}({{.*}}, %[[DELTA]])
// CPU-DAG: tape.call @attn_row_grad_{{[a-z0-9_]*}}_w40_q32_k80_{{[a-z0-9_]*}}(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) {
// CPU-NOT: @attn_delta_{{[a-z0-9_]*}}_w40_

// GPU: tape.program @vjp(
// GPU-DAG: %[[FULL:[0-9]+]]:2 = tape.call @attn_dq_{{[a-z0-9_]*}}_wn1_
// GPU-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}_wn1_{{[a-z0-9_]*}}({{.*}}, %[[FULL]]#1)
// GPU-DAG: %[[SHORT:[0-9]+]]:2 = tape.call @attn_dq_{{[a-z0-9_]*}}_w40_
// GPU-DAG: tape.call @attn_dkdv_{{[a-z0-9_]*}}_w40_{{[a-z0-9_]*}}({{.*}}, %[[SHORT]]#1)

func.func @f(%q: tensor<2x300x2x64xf32>, %k: tensor<2x300x1x64xf32>, %v: tensor<2x300x1x64xf32>)
    -> (tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>)
    attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true, true]}} {
  %a, %lse_a = lm.attention %q, %k, %v {window = -1 : i64, scale = 0.125 : f64, soft_cap = 0.0 : f64}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x300xf32>)
  %b, %lse_b = lm.attention %q, %k, %v {window = 40 : i64, scale = 0.125 : f64, soft_cap = 0.0 : f64}
    : (tensor<2x300x2x64xf32>, tensor<2x300x1x64xf32>, tensor<2x300x1x64xf32>) -> (tensor<2x300x2x64xf32>, tensor<2x2x300xf32>)
  return %a, %b : tensor<2x300x2x64xf32>, tensor<2x300x2x64xf32>
}
