// Tests that the last micro-batch adds and sums each bucket of gradients behind the last step that touches it.
// RUN: oriel-opt "%s" --oriel-reduce-gradients | FileCheck "%s"
// RUN: oriel-opt "%s" --oriel-reduce-gradients --oriel-assign-buffers | FileCheck "%s" --check-prefix=PLACES

module attributes {tape.world = 2 : i64, tape.grad_slots = 3 : i64, tape.parameter_elements = 16384 : i64,
                   tape.bucket_starts = array<i64: 0, 8192>} {
  // Tests that micro stays as it is.
  // CHECK-LABEL: tape.program @micro
  // CHECK-NOT: tape.reduce_scatter
  tape.program @micro(%x: tensor<64x64xf32> {tape.place = #tape.place<tokens + 0>})
      -> (tensor<64x64xf32> {tape.place = #tape.place<grads + 0>}, tensor<64x128xf32> {tape.place = #tape.place<grads + 16384>},
          tensor<64x64xf32> {tape.place = #tape.place<grads + 49152>}) {
    %c = tape.matmul %x, %x : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
    %w = tape.zero : tensor<64x128xf32>
    %b = tape.matmul %x, %w : (tensor<64x64xf32>, tensor<64x128xf32>) -> tensor<64x128xf32>
    %a = tape.matmul %c, %x : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
    tape.return %a, %b, %c : tensor<64x64xf32>, tensor<64x128xf32>, tensor<64x64xf32>
  }
  // CHECK-LABEL: tape.program @last_micro
  // Tests that gradients lie in the last slot, and each bucket in all of them.
  // CHECK-SAME: %[[B2:[^:]*]]: tensor<8192xf32> {tape.place = #tape.place<grads + 131072>}
  // CHECK-SAME: %[[B1:[^:]*]]: tensor<8192xf32> {tape.place = #tape.place<grads + 65536>}
  // CHECK-SAME: %[[B0:[^:]*]]: tensor<8192xf32> {tape.place = #tape.place<grads + 0>}
  // CHECK-SAME: %[[E2:[^:]*]]: tensor<8192xf32> {tape.place = #tape.place<grads + 163840>}
  // CHECK-SAME: -> (tensor<64x64xf32> {tape.place = #tape.place<grads + 131072>}
  // CHECK: %[[C:.*]] = tape.matmul
  // CHECK: %[[B:.*]] = tape.matmul
  // Tests that a gradient which two buckets share keeps back both, and that its last read counts: %c is read by the step of %a.
  // CHECK: tape.matmul %[[C]]
  // CHECK: %[[F1:.*]] = tape.call @accumulate_e8192(%[[E2]]) into(%{{.*}}) ties [0]
  // CHECK: %[[F0:.*]] = tape.call @accumulate_e8192(%[[F1]]) into(%{{.*}}) ties [0]
  // CHECK: tape.reduce_scatter %[[F0]] over "fsdp" world 2 : tensor<8192xf32> -> tensor<4096xf32>, tensor<4096xf32>
  // CHECK: tape.call @accumulate_e8192(%[[B2]]) into(%[[B1]])
  // CHECK: tape.reduce_scatter
  // CHECK-NEXT: tape.return
  // CHECK: tile.kernel @accumulate_e8192
  // PLACES-LABEL: tape.program @last_micro
  // PLACES: tape.reduce_scatter {{.*}}at = [#tape.place<grads + 32768 + rank * 16384>, #tape.place<arena + {{.*}}>]
  // PLACES: tape.reduce_scatter {{.*}}at = [#tape.place<grads + 0 + rank * 16384>, #tape.place<arena + {{.*}}>]
}

