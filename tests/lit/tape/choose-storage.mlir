// Tests which values become bf16, and what the kernels that take them look like.
// RUN: oriel-opt "%s" --split-input-file --oriel-choose-storage | FileCheck "%s"

// Two rows of a step: a product, a norm whose result is the operand of a gradient of the weight.
tape.program @micro(%x: tensor<64x32xf32> {tape.place = #tape.place<x + 0>},
                    %w: tensor<48x32xf32> {tape.place = #tape.place<params + 0>},
                    %g: tensor<48xf32> {tape.place = #tape.place<params + 6144>})
    -> (tensor<48x48xf32> {tape.place = #tape.place<grads + 0>}) {
  %y = tape.matmul %x, %w transpose_b : (tensor<64x32xf32>, tensor<48x32xf32>) -> tensor<64x48xf32>
  %n, %s = tape.call @scale(%y, %g) : (tensor<64x48xf32>, tensor<48xf32>) -> (tensor<64x48xf32>, tensor<48xf32>)
  tape.save @layer %n, %s bytes 12480 : tensor<64x48xf32>, tensor<48xf32>
  %d = tape.matmul %n, %y transpose_a : (tensor<64x48xf32>, tensor<64x48xf32>) -> tensor<48x48xf32>
  tape.return %d : tensor<48x48xf32>
}

tile.kernel @scale(%x: memref<64x48xf32> {tile.storage}, %g: memref<48xf32>, %y: memref<64x48xf32> {tile.storage},
                   %s: memref<48xf32>) grid(%i, %j, %k) in [1, 1, 1] outputs 2 {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %t = tile.load %x[%c0, %c0] rows 0 cols 1 : memref<64x48xf32> -> tensor<64x48xf32>
  %f = tile.load %g[%c0] rows -1 cols 0 : memref<48xf32> -> tensor<1x48xf32>
  %m = tile.map ins(%t, %f : tensor<64x48xf32>, tensor<1x48xf32>) -> tensor<64x48xf32> {
  ^bb0(%a: f32, %b: f32):
    %p = arith.mulf %a, %b : f32
    tile.yield %p : f32
  }
  tile.store %m, %y[%c0, %c0] rows 0 cols 1 : tensor<64x48xf32>, memref<64x48xf32>
  tile.store %f, %s[%c0] rows -1 cols 0 : tensor<1x48xf32>, memref<48xf32>
  tile.return
}

// Tests that arguments stay f32 and that products take a rounded copy.
// CHECK-LABEL: tape.program @micro(
// CHECK-SAME: %[[X:.*]]: tensor<64x32xf32>
// CHECK-SAME: %[[W:.*]]: tensor<48x32xf32>
// CHECK: %[[XR:.*]] = tape.call @round_e2048_bf16(%[[X]]) : (tensor<64x32xf32>) -> tensor<64x32xbf16>
// CHECK: %[[WR:.*]] = tape.call @round_e1536_bf16(%[[W]]) : (tensor<48x32xf32>) -> tensor<48x32xbf16>
// CHECK: %[[Y:.*]] = tape.matmul %[[XR]], %[[WR]] transpose_b : {{.*}} -> tensor<64x48xbf16>
// Tests that a buffer without tile.storage keeps its value in f32, and that the bytes that wait are counted again.
// CHECK: %[[N:.*]]:2 = tape.call @scale_bf16(%[[Y]], %{{.*}}) : (tensor<64x48xbf16>, tensor<48xf32>) -> (tensor<64x48xbf16>, tensor<48xf32>)
// CHECK: tape.save @layer %[[N]]#0, %[[N]]#1 bytes 6336
// Tests that a gradient, which the caller gets, is f32.
// CHECK: tape.matmul %[[N]]#0, %[[Y]] transpose_a : (tensor<64x48xbf16>, tensor<64x48xbf16>) -> tensor<48x48xf32>
// Tests that loads extend and stores round; the f32 form is gone.
// CHECK-NOT: tile.kernel @scale(
// CHECK-LABEL: tile.kernel @scale_bf16(
// CHECK: tile.load %{{.*}} : memref<64x48xbf16> -> tensor<64x48xf32>
// CHECK: tile.store %{{.*}} : tensor<64x48xf32>, memref<64x48xbf16>

// -----

// Tests that a value that a kernel sums into stays f32, with the value whose memory it takes over.
tape.program @micro(%x: tensor<16x32xf32> {tape.place = #tape.place<x + 0>}) -> (tensor<16x32xf32> {tape.place = #tape.place<y + 0>}) {
  %z = tape.zero : tensor<16x32xf32>
  %a = tape.call @sum(%x) into (%z) ties [0] : (tensor<16x32xf32>, tensor<16x32xf32>) -> tensor<16x32xf32>
  %b = tape.call @copy(%a) : (tensor<16x32xf32>) -> tensor<16x32xf32>
  %c = tape.call @copy(%b) : (tensor<16x32xf32>) -> tensor<16x32xf32>
  tape.return %c : tensor<16x32xf32>
}

tile.kernel @sum(%x: memref<16x32xf32> {tile.storage}, %y: memref<16x32xf32> {tile.storage}) grid(%i, %j, %k) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] rows 0 cols 1 : memref<16x32xf32> -> tensor<16x32xf32>
  tile.store accumulate %t, %y[%c0, %c0] rows 0 cols 1 : tensor<16x32xf32>, memref<16x32xf32>
  tile.return
}
tile.kernel @copy(%x: memref<16x32xf32> {tile.storage}, %y: memref<16x32xf32> {tile.storage}) grid(%i, %j, %k) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] rows 0 cols 1 : memref<16x32xf32> -> tensor<16x32xf32>
  tile.store %t, %y[%c0, %c0] rows 0 cols 1 : tensor<16x32xf32>, memref<16x32xf32>
  tile.return
}

// CHECK-LABEL: tape.program @micro(
// CHECK: %[[Z:.*]] = tape.zero : tensor<16x32xf32>
// CHECK: %[[R:.*]] = tape.call @round_e512_bf16
// CHECK: %[[A:.*]] = tape.call @sum_bf16(%[[R]]) into(%[[Z]]) ties [0] : (tensor<16x32xbf16>, tensor<16x32xf32>) -> tensor<16x32xf32>
// Tests that one kernel may take its buffers in different types.
// CHECK: %[[B:.*]] = tape.call @copy_bf16_01(%[[A]]) : (tensor<16x32xf32>) -> tensor<16x32xbf16>
// CHECK: tape.call @copy_bf16_10(%[[B]]) : (tensor<16x32xbf16>) -> tensor<16x32xf32>

// -----

// Tests that a sum which only kernels read that prefer f32 is not rounded, nor what it starts from, unless it is saved or
// something else reads it.
tape.program @micro(%x: tensor<16x32xbf16> {tape.place = #tape.place<x + 0>}, %w: tensor<32x32xbf16> {tape.place = #tape.place<w + 0>}) -> (tensor<16x32xf32> {tape.place = #tape.place<y + 0>}) {
  %z = tape.zero : tensor<16x32xf32>
  %a = tape.matmul %x, %w into %z : (tensor<16x32xbf16>, tensor<32x32xbf16>, tensor<16x32xf32>) -> tensor<16x32xf32>
  %v = tape.view %a[0] : tensor<16x32xf32> -> tensor<2x8x32xf32>
  %r = tape.call @turn(%v) : (tensor<2x8x32xf32>) -> tensor<16x32xf32>
  %b = tape.matmul %x, %w : (tensor<16x32xbf16>, tensor<32x32xbf16>) -> tensor<16x32xf32>
  %bv = tape.view %b[0] : tensor<16x32xf32> -> tensor<2x8x32xf32>
  %br = tape.call @turn(%bv) : (tensor<2x8x32xf32>) -> tensor<16x32xf32>
  %bb = tape.call @add(%b, %br) : (tensor<16x32xf32>, tensor<16x32xf32>) -> tensor<16x32xf32>
  %c = tape.matmul %x, %w : (tensor<16x32xbf16>, tensor<32x32xbf16>) -> tensor<16x32xf32>
  %cv = tape.view %c[0] : tensor<16x32xf32> -> tensor<2x8x32xf32>
  tape.save @layer %c bytes 2048 : tensor<16x32xf32>
  %cr = tape.call @turn(%cv) : (tensor<2x8x32xf32>) -> tensor<16x32xf32>
  %s = tape.call @add(%r, %cr) : (tensor<16x32xf32>, tensor<16x32xf32>) -> tensor<16x32xf32>
  %y = tape.call @add(%s, %bb) : (tensor<16x32xf32>, tensor<16x32xf32>) -> tensor<16x32xf32>
  tape.return %y : tensor<16x32xf32>
}

tile.kernel @turn(%x: memref<2x8x32xf32> {tile.prefers_f32, tile.storage}, %y: memref<16x32xf32> {tile.storage}) grid(%i, %j, %k) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0, %c0] rows 1 cols 2 : memref<2x8x32xf32> -> tensor<16x32xf32>
  tile.store %t, %y[%c0, %c0] rows 0 cols 1 : tensor<16x32xf32>, memref<16x32xf32>
  tile.return
}
tile.kernel @add(%x: memref<16x32xf32> {tile.storage}, %w: memref<16x32xf32> {tile.storage}, %y: memref<16x32xf32> {tile.storage}) grid(%i, %j, %k) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] rows 0 cols 1 : memref<16x32xf32> -> tensor<16x32xf32>
  %u = tile.load %w[%c0, %c0] rows 0 cols 1 : memref<16x32xf32> -> tensor<16x32xf32>
  %m = tile.map ins(%t, %u : tensor<16x32xf32>, tensor<16x32xf32>) -> tensor<16x32xf32> {
  ^bb0(%a: f32, %b: f32):
    %p = arith.addf %a, %b : f32
    tile.yield %p : f32
  }
  tile.store %m, %y[%c0, %c0] rows 0 cols 1 : tensor<16x32xf32>, memref<16x32xf32>
  tile.return
}

// CHECK-LABEL: tape.program @micro(
// CHECK: %[[Z:.*]] = tape.zero : tensor<16x32xf32>
// CHECK: %[[A:.*]] = tape.matmul {{.*}} into %[[Z]] : {{.*}} -> tensor<16x32xf32>
// CHECK: %[[V:.*]] = tape.view %[[A]][0] : tensor<16x32xf32> -> tensor<2x8x32xf32>
// CHECK: tape.call @turn_bf16_01(%[[V]]) : (tensor<2x8x32xf32>) -> tensor<16x32xbf16>
// CHECK: tape.matmul {{.*}} -> tensor<16x32xbf16>
// CHECK: tape.call @turn_bf16({{.*}}) : (tensor<2x8x32xbf16>) -> tensor<16x32xbf16>
// CHECK: tape.matmul {{.*}} -> tensor<16x32xbf16>
// CHECK: tape.save {{.*}} bytes 1024
// CHECK: tape.call @turn_bf16({{.*}}) : (tensor<2x8x32xbf16>) -> tensor<16x32xbf16>

// -----

// Tests that the operands of products are rounded where they are made, and that a block which a load brings goes to the
// product as it lies in memory, while a sum reads it in f32.
tape.program @micro(%x: tensor<16x32xf32> {tape.place = #tape.place<x + 0>}) -> (tensor<16x16xf32> {tape.place = #tape.place<y + 0>}) {
  %c = tape.call @scores(%x) : (tensor<16x32xf32>) -> tensor<16x16xf32>
  tape.return %c : tensor<16x16xf32>
}

tile.kernel @scores(%x: memref<16x32xf32> {tile.storage}, %y: memref<16x16xf32>) grid(%i, %j, %k) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %t = tile.load %x[%c0, %c0] rows 0 cols 1 : memref<16x32xf32> -> tensor<16x32xf32>
  %e = tile.map ins(%t : tensor<16x32xf32>) -> tensor<16x32xf32> {
  ^bb0(%v: f32):
    %w = math.exp %v : f32
    tile.yield %w : f32
  }
  %r = tile.reduce sum %e axis 1 : tensor<16x32xf32> -> tensor<16x1xf32>
  %acc = tile.fill %zero : f32 -> tensor<16x16xf32>
  %s = tile.dot %e, %t, %acc transpose_b : tensor<16x32xf32>, tensor<16x32xf32>, tensor<16x16xf32>
  %q = tile.dot %s, %s, %acc : tensor<16x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>
  tile.store %q, %y[%c0, %c0] rows 0 cols 1 : tensor<16x16xf32>, memref<16x16xf32>
  tile.store %r, %y[%c0, %c0] rows 0 cols -1 : tensor<16x1xf32>, memref<16x16xf32>
  tile.return
}

// CHECK-LABEL: tile.kernel @scores_bf16(
// CHECK: %[[T:.*]] = tile.load {{.*}} : memref<16x32xbf16> -> tensor<16x32xf32>
// CHECK: %[[TB:.*]] = tile.load {{.*}} : memref<16x32xbf16> -> tensor<16x32xbf16>
// CHECK: %[[E:.*]]:2 = tile.map ins(%[[T]] : tensor<16x32xf32>) -> tensor<16x32xf32>, tensor<16x32xbf16>
// CHECK: arith.truncf
// CHECK: tile.reduce sum %[[E]]#0
// CHECK: %[[S:.*]] = tile.dot %[[E]]#1, %[[TB]], %{{.*}} transpose_b : tensor<16x32xbf16>, tensor<16x32xbf16>, tensor<16x16xf32>
// CHECK: %[[SB:.*]] = tile.cast %[[S]] : tensor<16x16xf32> -> tensor<16x16xbf16>
// CHECK: tile.dot %[[SB]], %[[SB]], %{{.*}} : tensor<16x16xbf16>, tensor<16x16xbf16>, tensor<16x16xf32>
