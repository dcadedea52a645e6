// A kernel whose loop starts its copies three iterations ahead, for tests of that.
#ifndef ORIEL_TESTS_NUMERICS_NVIDIA_BLOCKSUM_H
#define ORIEL_TESTS_NUMERICS_NVIDIA_BLOCKSUM_H

namespace oriel::testing {

// o = a·(sum of the blocks of 32 rows of b below `rows`); the last block ends inside where `rows` is no multiple of 32.
inline constexpr const char *blockSum = R"mlir(
tile.kernel @block_sum(%a: memref<32x32xf32>, %b: memref<224x32xf32>, %n: memref<1xi32>, %o: memref<32x32xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant 0.0 : f32
  %rows = memref.load %n[%c0] : memref<1xi32>
  %end = arith.index_cast %rows : i32 to index
  %ta = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<32x32xf32> -> tensor<32x32xf32>
  %init = tile.fill %zero : f32 -> tensor<32x32xf32>
  %sum = scf.for %j = %c0 to %end step %c32 iter_args(%acc = %init) -> (tensor<32x32xf32>) {
    %tb = tile.load %b[%j, %c0] rows 0 cols 1 to %end : memref<224x32xf32> -> tensor<32x32xf32>
    %next = tile.dot %ta, %tb, %acc : tensor<32x32xf32>, tensor<32x32xf32>, tensor<32x32xf32>
    scf.yield %next : tensor<32x32xf32>
  }
  tile.store %sum, %o[%c0, %c0] rows 0 cols 1 : tensor<32x32xf32>, memref<32x32xf32>
  tile.return
})mlir";

} // namespace oriel::testing

#endif
