// Tests that a kernel prints what it parses, loops and branches over tiles included.
// RUN: oriel-opt "%s" | oriel-opt | FileCheck "%s"

// CHECK-LABEL: tile.kernel @scores(%{{.*}}: memref<64x32xf32>, %{{.*}}: memref<64x32xf32>, %{{.*}}: memref<64x64xf32>)
// CHECK-SAME: grid(%{{.*}}, %{{.*}}, %{{.*}}) in [4, 1, 1] outputs 1 summary "exp of q kT by blocks"
tile.kernel @scores(%q: memref<64x32xf32>, %k: memref<64x32xf32>, %out: memref<64x64xf32>) grid(%x, %y, %z) in [4, 1, 1] outputs 1 summary "exp of q kT by blocks" {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f32
  %row = arith.muli %x, %c16 : index
  // CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}] rows 0 cols 1 : memref<64x32xf32> -> tensor<16x32xf32>
  %a = tile.load %q[%row, %c0] rows 0 cols 1 : memref<64x32xf32> -> tensor<16x32xf32>
  scf.for %col = %c0 to %c64 step %c16 {
    // CHECK: tile.load {{.*}} rows 0 cols 1 to %{{.*}} limit 30 : memref<64x32xf32>
    %b = tile.load %k[%col, %c0] rows 0 cols 1 to %c64 limit 30 : memref<64x32xf32> -> tensor<16x32xf32>
    %acc = tile.fill %zero : f32 -> tensor<16x16xf32>
    // CHECK: tile.dot %{{.*}}, %{{.*}}, %{{.*}} transpose_b precise : tensor<16x32xf32>, tensor<16x32xf32>, tensor<16x16xf32>
    %s = tile.dot %a, %b, %acc transpose_b precise : tensor<16x32xf32>, tensor<16x32xf32>, tensor<16x16xf32>
    // CHECK: tile.map ins(%{{.*}} : tensor<16x16xf32>) -> tensor<16x16xf32>
    %e = tile.map ins(%s : tensor<16x16xf32>) -> tensor<16x16xf32> {
    ^bb0(%v: f32):
      %w = math.exp %v : f32
      tile.yield %w : f32
    }
    // CHECK: tile.store accumulate %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] rows 0 cols 1 : tensor<16x16xf32>, memref<64x64xf32>
    tile.store accumulate %e, %out[%row, %col] rows 0 cols 1 : tensor<16x16xf32>, memref<64x64xf32>
  }
  tile.return
}
