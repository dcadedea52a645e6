// Tests that lm functions become programs: places of arguments and results, products, blocks of the loss, sums in place.
// RUN: oriel-opt "%s" --oriel-differentiate --oriel-lm-to-tape=grad-slots=2 | FileCheck "%s"
// RUN: oriel-opt "%s" --oriel-differentiate --oriel-lm-to-tape="world=4 grad-slots=1" | FileCheck "%s" --check-prefix=RANKS

module attributes {lm.model = "tied", lm.batch = 2 : i64, lm.tokens = 300 : i64, lm.vocab = 256 : i64} {
  // CHECK: tape.flops_per_token = 6.144000e+03
  // CHECK-SAME: tape.parameter_elements = 4096
  // Tests that every parameter starts at a block of 256 elements.
  // CHECK-SAME: name = "table", offset = 0
  // CHECK-SAME: name = "head", offset = 1024
  func.func @loss(%tokens: tensor<2x300xi32> {lm.role = "tokens"}, %targets: tensor<2x300xi32> {lm.role = "targets"},
                  %starts: tensor<2x300xi32> {lm.role = "doc_start"},
                  %table: tensor<250x4xf32> {lm.param = {name = "table", init = "normal", std = 0.02 : f64, decay = true}},
                  %head: tensor<256x4xf32> {lm.param = {name = "head", init = "normal", std = 0.02 : f64, decay = true}})
      -> tensor<1xf32> {
    %x = lm.embed %table, %tokens {scale = 1.0 : f32} : (tensor<250x4xf32>, tensor<2x300xi32>) -> tensor<2x300x4xf32>
    %l = lm.cross_entropy %x, %head, %targets {soft_cap = 0.0 : f64} : (tensor<2x300x4xf32>, tensor<256x4xf32>, tensor<2x300xi32>) -> tensor<1xf32>
    return %l : tensor<1xf32>
  }
}

// CHECK-LABEL: tape.program @eval
// CHECK-SAME: tape.place = #tape.place<tokens + 0>
// CHECK-SAME: tape.place = #tape.place<params + 0>
// CHECK-SAME: tape.place = #tape.place<params + 4096>
// CHECK-SAME: -> (tensor<1xf32> {tape.place = #tape.place<loss + 0>})
// CHECK: tape.call @sum_losses

// Tests that gradients lie in the flat gradient buffer, and that the embedding's lookup is no product.
// CHECK-LABEL: tape.program @micro
// CHECK-SAME: tape.place = #tape.place<loss_scale + 0>
// CHECK-SAME: tape.place = #tape.place<grads + 0>
// CHECK-SAME: tape.place = #tape.place<grads + 4096>
// CHECK: %[[X:.*]] = tape.call @embed_fwd
// Tests that what the backward needs is named at the turning point.
// CHECK: tape.save @{{.*}} %[[X]] bytes 9600 : tensor<2x300x4xf32>
// CHECK: tape.matmul %{{.*}} transpose_b : (tensor<600x4xf32>, tensor<256x4xf32>) -> tensor<600x256xf32>
// CHECK: tape.call @cross_entropy_grad{{.*}} into(%{{.*}}) ties [0, -1]
// CHECK: tape.call @embed_bwd

// CHECK-LABEL: tape.program @accumulate
// CHECK-SAME: #tape.place<grads + 0>
// CHECK-SAME: #tape.place<grads + 16384>

// CHECK-LABEL: tape.program @update
// CHECK-NOT: tape.all_gather
// CHECK: tape.call @adamw

// Tests that one slot needs no accumulation, and that the flat space is padded for four ranks.
// RANKS: tape.parameter_elements = 16384
// RANKS-NOT: tape.program @accumulate
// RANKS-LABEL: tape.program @update
// RANKS-SAME: tensor<4096xf32> {tape.place = #tape.place<grads + 0 + rank * 16384>}
// RANKS: tape.call @sum_squares
// RANKS: tape.all_gather %{{.*}} over "fsdp" world 4
// RANKS: tape.call @total_norm_e16384_r4_b16384
// RANKS: tape.shard %{{.*}} over "fsdp" world 4
// RANKS: tape.call @adamw
// RANKS: tape.all_gather %{{.*}} over "fsdp" world 4
