// Tests that every tape op prints what it parses.
// RUN: oriel-opt "%s" | oriel-opt | FileCheck "%s"

// CHECK: tape.schedule @layers.0.mixer.rla chunk 64 save_every 4 why "2.0 MiB saved"
tape.schedule @layers.0.mixer.rla chunk 64 save_every 4 why "2.0 MiB saved"
// CHECK: tape.schedule @layers.2.mixer.rla chunk 64 save_every 4 two_pass fused save
tape.schedule @layers.2.mixer.rla chunk 64 save_every 4 two_pass fused save
// CHECK: tape.schedule @layers.1.mixer.rla chunk 64 save_every 4 fused tile 32 why "no traffic between"
tape.schedule @layers.1.mixer.rla chunk 64 save_every 4 fused tile 32 why "no traffic between"
// CHECK: tape.tiles @layers.3.mixer.attention attn_dq rows 64 columns 128 warps 8 stages 2 why "by hand"
tape.tiles @layers.3.mixer.attention attn_dq rows 64 columns 128 warps 8 stages 2 why "by hand"
// CHECK: tape.tiles @layers.0.mixer.rla rla_cotangents columns 32
tape.tiles @layers.0.mixer.rla rla_cotangents columns 32
// CHECK: tape.schedule @layers.0.norm recompute
tape.schedule @layers.0.norm recompute
// CHECK: tape.schedule @layers.1.norm save
tape.schedule @layers.1.norm save

tile.kernel @twice(%in: memref<64xf32>, %out: memref<64xf32>) grid(%x, %y, %z) in [4, 1, 1] outputs 1 {
  %c16 = arith.constant 16 : index
  %r = arith.muli %x, %c16 : index
  %t = tile.load %in[%r] rows 0 cols -1 : memref<64xf32> -> tensor<16x1xf32>
  tile.store accumulate %t, %out[%r] rows 0 cols -1 : tensor<16x1xf32>, memref<64xf32>
  tile.return
}

// CHECK-LABEL: tape.program @update
// CHECK-SAME: tape.place = #tape.place<params + 0>
// CHECK-SAME: tape.place = #tape.place<grads + 256 + rank * 128>
tape.program @update(%p: tensor<8x8xf32> {tape.place = #tape.place<params + 0>},
                     %g: tensor<64xf32> {tape.place = #tape.place<grads + 256 + rank * 128>})
    -> (tensor<64xf32> {tape.place = #tape.place<params + 0>}) {
  // CHECK: tape.matmul %{{.*}}, %{{.*}} transpose_b :
  %m = tape.matmul %p, %p transpose_b : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  // CHECK: tape.matmul %{{.*}}, %{{.*}} into %{{.*}} transpose_a :
  %n = tape.matmul %p, %p into %m transpose_a : (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  // CHECK: tape.view %{{.*}}[32] : tensor<8x8xf32> -> tensor<32xf32>
  %v = tape.view %n[32] : tensor<8x8xf32> -> tensor<32xf32>
  // CHECK: tape.save @layers.0.mixer %{{.*}}, %{{.*}} bytes 384 : tensor<32xf32>, tensor<8x8xf32>
  tape.save @layers.0.mixer %v, %n bytes 384 : tensor<32xf32>, tensor<8x8xf32>
  // CHECK: tape.zero
  %z = tape.zero : tensor<32xf32>
  // CHECK: tape.copy
  %c = tape.copy %v : tensor<32xf32>
  // CHECK: tape.concat
  %w = tape.concat %z, %c : tensor<32xf32>, tensor<32xf32> -> tensor<64xf32>
  // CHECK: tape.constant dense<1.000000e+00> : tensor<64xf32>
  %k = tape.constant dense<1.0> : tensor<64xf32>
  // CHECK: tape.call @twice(%{{.*}}) : (tensor<64xf32>) -> tensor<64xf32>
  %a = tape.call @twice(%k) : (tensor<64xf32>) -> tensor<64xf32>
  // CHECK: tape.call @twice(%{{.*}}) into(%{{.*}}) ties [0] {at = [#tape.place<arena + 64>]}
  %b = tape.call @twice(%w) into (%a) ties [0] {at = [#tape.place<arena + 64>]} : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  // CHECK: tape.shard %{{.*}} over "fsdp" world 2 : tensor<64xf32> -> tensor<32xf32>
  %s = tape.shard %b over "fsdp" world 2 : tensor<64xf32> -> tensor<32xf32>
  // CHECK: tape.reduce_scatter %{{.*}} over "fsdp" world 2
  %r, %scratch = tape.reduce_scatter %g over "fsdp" world 2 : tensor<64xf32> -> tensor<32xf32>, tensor<32xf32>
  // CHECK: tape.all_gather %{{.*}} over "fsdp" world 2 : tensor<32xf32> -> tensor<64xf32>
  %q = tape.all_gather %s over "fsdp" world 2 : tensor<32xf32> -> tensor<64xf32>
  tape.return %q : tensor<64xf32>
}
