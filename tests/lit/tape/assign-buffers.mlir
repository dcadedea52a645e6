// Tests that assign-buffers reuses dead memory, updates in place, and writes results where the program wants them.
// RUN: oriel-opt "%s" --oriel-assign-buffers | FileCheck "%s"

// Tests that a dead value's place is taken again, and that the last product lies in the result's buffer at once.
// CHECK-LABEL: tape.program @eval
// CHECK-SAME: arena_bytes = 128
tape.program @eval(%x: tensor<4x4xf32> {tape.place = #tape.place<tokens + 0>})
    -> (tensor<4x4xf32> {tape.place = #tape.place<loss + 0>}) {
  // CHECK: %[[A:.*]] = tape.matmul {{.*}}at = [#tape.place<arena + 0>]
  %a = tape.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: %[[B:.*]] = tape.matmul %[[A]], %[[A]] {at = [#tape.place<arena + 64>]}
  %b = tape.matmul %a, %a : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: %[[C:.*]] = tape.matmul %[[B]], %[[B]] {at = [#tape.place<arena + 0>]}
  %c = tape.matmul %b, %b : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: tape.matmul %[[C]], %[[C]] {at = [#tape.place<loss + 0>]}
  %d = tape.matmul %c, %c : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  tape.return %d : tensor<4x4xf32>
}

// Tests that a sum into a value lies in the value's memory, and that a value read later is copied first.
// CHECK-LABEL: tape.program @logits
tape.program @logits(%x: tensor<4x4xf32> {tape.place = #tape.place<tokens + 0>})
    -> (tensor<4x4xf32> {tape.place = #tape.place<grads + 1024>}) {
  %a = tape.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: %[[COPY:.*]] = tape.copy %{{.*}} {at = [#tape.place<grads + 1024>]}
  // CHECK: tape.matmul %{{.*}}, %{{.*}} into %[[COPY]] {at = [#tape.place<grads + 1024>]}
  %b = tape.matmul %x, %x into %a : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: tape.matmul %{{.*}}, %{{.*}} into %{{.*}} {at = [#tape.place<grads + 1024>]}
  %c = tape.matmul %a, %x into %b : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  tape.return %c : tensor<4x4xf32>
}

// Tests that this rank's slice stays inside the whole, and that equal tables share a place.
// CHECK-LABEL: tape.program @update
tape.program @update(%p: tensor<64xf32> {tape.place = #tape.place<params + 0>})
    -> (tensor<64xf32> {tape.place = #tape.place<params + 0>}) {
  // CHECK: tape.constant {{.*}}at = [#tape.place<constants + 0>]
  %k = tape.constant dense<1.0> : tensor<1x1xf32>
  // CHECK: tape.constant {{.*}}at = [#tape.place<constants + 0>]
  %l = tape.constant dense<1.0> : tensor<1x1xf32>
  // CHECK: tape.shard {{.*}}at = [#tape.place<params + 0 + rank * 128>]
  %s = tape.shard %p over "fsdp" world 2 : tensor<64xf32> -> tensor<32xf32>
  // CHECK: tape.matmul {{.*}} into {{.*}}at = [#tape.place<params + 0 + rank * 128>]
  %row = tape.constant dense<2.0> : tensor<32xf32>
  %m = tape.matmul %k, %row into %s : (tensor<1x1xf32>, tensor<32xf32>, tensor<32xf32>) -> tensor<32xf32>
  // CHECK: tape.all_gather {{.*}}at = [#tape.place<params + 0>]
  %w = tape.all_gather %m over "fsdp" world 2 : tensor<32xf32> -> tensor<64xf32>
  tape.return %w : tensor<64xf32>
}
