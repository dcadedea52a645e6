// Tests that broken kernels are refused with the number of the law they break; the unit tests go through all laws.
// RUN: oriel-opt "%s" --split-input-file --verify-diagnostics

// expected-error @+1 {{(C3) outputs is 3, expected 1 to 1}}
tile.kernel @outputs(%o: memref<16x16xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 3 {
  tile.return
}

// -----

tile.kernel @shapes(%o: memref<16x16xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %t = tile.load %o[%c0, %c0] rows 0 cols 1 : memref<16x16xf32> -> tensor<16x16xf32>
  %u = tile.load %o[%c0, %c0] rows 0 cols 1 : memref<16x16xf32> -> tensor<16x32xf32>
  // expected-error @+1 {{(C1) 16x32 times 16x16 does not add to 'tensor<16x16xf32>'}}
  %d = tile.dot %u, %t, %t : tensor<16x32xf32>, tensor<16x16xf32>, tensor<16x16xf32>
  tile.return
}

// -----

tile.kernel @tile_size(%o: memref<16x16xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{must be tile of two sizes, each 1 or a multiple of 16}}
  %t = tile.load %o[%c0, %c0] rows 0 cols 1 : memref<16x16xf32> -> tensor<8x16xf32>
  tile.return
}
