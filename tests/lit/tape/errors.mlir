// Tests that every law of the tape dialect has its error.
// RUN: oriel-opt "%s" --split-input-file --verify-diagnostics

// expected-error @+1 {{'train' is not an entry point}}
tape.program @train() {
  tape.return
}

// -----

// expected-error @+1 {{argument 0 has no tape.place}}
tape.program @eval(%x: tensor<4xf32>) {
  tape.return
}

// -----

// expected-error @+1 {{result 0 has no tape.place}}
tape.program @eval() -> tensor<4xf32> {
  %z = tape.zero : tensor<4xf32>
  tape.return %z : tensor<4xf32>
}

// -----

tape.program @eval() -> (tensor<4xf32> {tape.place = #tape.place<loss + 0>}) {
  %z = tape.zero : tensor<8xf32>
  // expected-error @+1 {{operand types differ from the results}}
  tape.return %z : tensor<8xf32>
}

// -----

// expected-error @+1 {{states 'chunk C save_every m'}}
tape.schedule @a

// -----

// expected-error @+1 {{chunk 24 is not a positive multiple of 16}}
tape.schedule @a chunk 24 save_every 2

// -----

// expected-error @+1 {{save_every 0 is below 1}}
tape.schedule @a chunk 16 save_every 0

// -----

// expected-error @+1 {{is 'tile' without 'fused'}}
tape.schedule @a chunk 16 save_every 1 tile 32

// -----

// expected-error @+1 {{tile 24 is not a positive multiple of 16}}
tape.schedule @a chunk 16 save_every 1 fused tile 24

// -----

// expected-error @+1 {{states 'rows', 'columns', 'warps' or 'stages', or several of them}}
tape.tiles @a attn_fwd

// -----

// expected-error @+1 {{is 'rows' of rla_bwd, whose blocks have columns of values only}}
tape.tiles @a rla_bwd rows 64

// -----

// expected-error @+1 {{is 'columns' of rla_dkdv, whose blocks hold whole states}}
tape.tiles @a rla_dkdv columns 64

// -----

// expected-error @+1 {{rows 24 is not a positive multiple of 16}}
tape.tiles @a attn_fwd rows 24

// -----

// expected-error @+1 {{columns 0 is not a positive multiple of 16}}
tape.tiles @a rla_bwd columns 0

// -----

// expected-error @+1 {{warps 6 is neither 4 nor 8}}
tape.tiles @a attn_dq warps 6

// -----

// expected-error @+1 {{stages 5 is not from 1 to 4}}
tape.tiles @a attn_dkdv stages 5

// -----

tape.program @eval(%x: tensor<4xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{calls @missing, which is no tile.kernel}}
  %y = tape.call @missing(%x) : (tensor<4xf32>) -> tensor<4xf32>
  tape.return
}

// -----

tile.kernel @k(%in: memref<4xf32>, %out: memref<4xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  tile.return
}
tape.program @eval(%x: tensor<8xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{passes 'tensor<8xf32>' as buffer 0 of @k}}
  %y = tape.call @k(%x) : (tensor<8xf32>) -> tensor<4xf32>
  tape.return
}

// -----

tile.kernel @k(%in: memref<4xf32>, %out: memref<4xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  tile.return
}
tape.program @eval(%x: tensor<4xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{passes 2 inputs and 1 results to @k, which has 2 buffers}}
  %y = tape.call @k(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  tape.return
}

// -----

tape.program @eval(%x: tensor<4xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{is no 'into' operand, or is named twice}}
  %y = tape.call @k(%x) into (%x) ties [1] : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  tape.return
}

// -----

tape.program @eval(%x: tensor<4x8xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{inner sizes differ: 8 and 4}}
  %y = tape.matmul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x4xf32>
  tape.return
}

// -----

tape.program @eval(%x: tensor<4x8xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{the product is 4x4, the result}}
  %y = tape.matmul %x, %x transpose_b : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x5xf32>
  tape.return
}

// -----

tape.program @eval(%x: tensor<4x8xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{elements [30, 34) leave the source of 32}}
  %y = tape.view %x[30] : tensor<4x8xf32> -> tensor<4xf32>
  tape.return
}

// -----

tape.program @eval(%x: tensor<4x8xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{the parts have 64 elements, the result 32}}
  %y = tape.concat %x, %x : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<32xf32>
  tape.return
}

// -----

tape.program @eval(%x: tensor<4x8xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{which is not world (2) times 8}}
  %y = tape.shard %x over "fsdp" world 2 : tensor<4x8xf32> -> tensor<8xf32>
  tape.return
}

// -----

tape.program @eval(%x: tensor<4x8xf32> {tape.place = #tape.place<tokens + 0>}) {
  // expected-error @+1 {{says 64 bytes, its values hold 128}}
  tape.save @layers.0.norm %x bytes 64 : tensor<4x8xf32>
  tape.return
}
