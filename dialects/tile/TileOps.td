// Ops of the tile dialect. Laws are numbered (C1), (C2) … here, at the verifier line and in the error tests.
#ifndef ORIEL_DIALECTS_TILE_TILEOPS_TD
#define ORIEL_DIALECTS_TILE_TILEOPS_TD

include "dialects/tile/TileDialect.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tile_ReduceKind : I32EnumAttr<"ReduceKind", "reduction", [
  I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Max", 1, "max">, I32EnumAttrCase<"Min", 2, "min">
]> {
  let cppNamespace = "::oriel::tile";
  let genSpecializedAttr = 0;
}
def Tile_ReduceKindAttr : EnumAttr<Tile_Dialect, Tile_ReduceKind, "reduce_kind"> { let assemblyFormat = "$value"; }

/// A block of values: two static sizes, each 1 or a multiple of 16.
def Tile_Tile : ConfinedType<StaticShapeTensorOf<[F32, BF16, I32]>, [CPred<"::oriel::tile::hasTileShape($_self)">],
                             "tile of two sizes, each 1 or a multiple of 16, of f32, bf16 or i32", "::mlir::RankedTensorType">;
/// Memory of the caller: static shape, row major.
def Tile_Buffer : ConfinedType<StaticShapeMemRefOf<[F32, BF16, I32]>, [CPred<"::oriel::tile::isBuffer($_self)">],
                               "row-major buffer of static shape of f32, bf16 or i32", "::mlir::MemRefType">;

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

def Tile_KernelOp : Tile_Op<"kernel", [IsolatedFromAbove, FunctionOpInterface, SingleBlock]> {
  let summary = "Define one fused kernel over a grid of independent cells";
  let description = [{
    The arguments of the entry block are the buffers of `function_type`, inputs first, the last `num_outputs` of them
    written; then three `index` values x, y, z with 0 <= x < grid[0] and so on. A buffer that is both read and written is an output.
    `tile.replaces = array<i64: …>` on an output names inputs that it may be the same memory as: each cell reads its place of
    such an input before it writes that place, and no other cell reads it.

    * (C1) `grid` has exactly three positive sizes.
    * (C2) The entry block's arguments are the inputs of `function_type` followed by three `index` values; there are no results.
    * (C3) 1 <= num_outputs <= number of buffers.
    * (C4) `tile.replaces` stands on outputs only and names inputs of the output's type.

    ```mlir
    tile.kernel @copy(%in: memref<64x32xf32>, %out: memref<64x32xf32>) grid(%x, %y, %z) in [4, 1, 1] outputs 1 {
      %c0 = arith.constant 0 : index
      %c16 = arith.constant 16 : index
      %r = arith.muli %x, %c16 : index
      %t = tile.load %in[%r, %c0] rows 0 cols 1 : memref<64x32xf32> -> tensor<16x32xf32>
      tile.store %t, %out[%r, %c0] rows 0 cols 1 : tensor<16x32xf32>, memref<64x32xf32>
      tile.return
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type, DenseI64ArrayAttr:$grid,
                       I64Attr:$num_outputs, OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs,
                       OptionalAttr<StrAttr>:$summary);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::TypeRange":$buffers, "::llvm::ArrayRef<int64_t>":$grid,
                                 "int64_t":$numOutputs)>];
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    /// Checks (C2): replaces the rule of plain functions, whose block arguments are their inputs and nothing more.
    ::llvm::LogicalResult verifyBody();
    /// The buffers among the entry block's arguments.
    ::mlir::Block::BlockArgListType getBuffers();
    /// Grid coordinate 0, 1 or 2 (x, y, z).
    ::mlir::Value getGridIndex(unsigned dim);
    /// The inputs whose memory output buffer `number` (counted among all buffers) may take.
    ::llvm::ArrayRef<int64_t> getReplaceable(unsigned number);
  }];
}

def Tile_ReturnOp : Tile_Op<"return", [Pure, Terminator, HasParent<"KernelOp">, ReturnLike]> {
  let summary = "End a kernel";
  let description = [{
    ```mlir
    tile.return
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def Tile_LoadOp : Tile_Op<"load", [AttrSizedOperandSegments, MemoryEffects<[MemRead]>]> {
  let summary = "Read a tile from a buffer";
  let description = [{
    Element (r, c) of the tile is the buffer's element at `indices`, with r added to dimension `row_dim` and
    `c * col_stride` to dimension `col_dim` (-1: no such dimension, the tile's size there is 1).
    An element reads as 0 (no memory is touched) when its row coordinate lies outside `[row_begin, row_end)` (default: the
    buffer's own size; both are intersected with it), when `c >= col_limit`, or when its column coordinate lies outside
    the buffer. Coordinates may be negative. A bf16 buffer may be read as an f32 tile.

    * (C1) `indices` has one value per dimension of the buffer; `row_dim`, `col_dim` are -1 or distinct dimensions.
    * (C2) Tile sizes are 1 or multiples of 16, and 1 where the dimension is -1.
    * (C3) `col_stride` >= 1; the tile's element type is the buffer's, or f32 for bf16.

    ```mlir
    %t = tile.load %buf[%i, %j] rows 0 cols 1 : memref<64x32xf32> -> tensor<16x32xf32>
    ```
  }];
  let arguments = (ins Tile_Buffer:$buffer, Variadic<Index>:$indices, Optional<Index>:$row_begin, Optional<Index>:$row_end,
                       I64Attr:$row_dim, I64Attr:$col_dim, OptionalAttr<I64Attr>:$col_limit,
                       DefaultValuedAttr<I64Attr, "1">:$col_stride);
  let results = (outs Tile_Tile:$tile);
  let assemblyFormat = [{
    $buffer `[` $indices `]` `rows` $row_dim `cols` $col_dim (`from` $row_begin^)? (`to` $row_end^)?
    (`limit` $col_limit^)? (`stride` $col_stride^)? attr-dict `:` type($buffer) `->` type($tile)
  }];
  let hasVerifier = 1;
}

def Tile_StoreOp : Tile_Op<"store", [AttrSizedOperandSegments, MemoryEffects<[MemWrite]>]> {
  let summary = "Write a tile to a buffer";
  let description = [{
    Places as in `tile.load`; elements outside are not written. With `accumulate` the tile is added to what is there
    (no other cell may touch these places). An f32 tile may be rounded to a bf16 buffer.

    * (C1)-(C3) as in `tile.load`.

    ```mlir
    tile.store %t, %buf[%i, %j] rows 0 cols 1 : tensor<16x32xf32>, memref<64x32xf32>
    ```
  }];
  let arguments = (ins Tile_Tile:$tile, Tile_Buffer:$buffer, Variadic<Index>:$indices, Optional<Index>:$row_begin,
                       Optional<Index>:$row_end, I64Attr:$row_dim, I64Attr:$col_dim, OptionalAttr<I64Attr>:$col_limit,
                       DefaultValuedAttr<I64Attr, "1">:$col_stride, UnitAttr:$accumulate);
  let assemblyFormat = [{
    (`accumulate` $accumulate^)? $tile `,` $buffer `[` $indices `]` `rows` $row_dim `cols` $col_dim
    (`from` $row_begin^)? (`to` $row_end^)? (`limit` $col_limit^)? (`stride` $col_stride^)?
    attr-dict `:` type($tile) `,` type($buffer)
  }];
  let hasVerifier = 1;
}

def Tile_GatherOp : Tile_Op<"gather", [MemoryEffects<[MemRead]>]> {
  let summary = "Read rows of a matrix chosen by index";
  let description = [{
    Row r of the tile is `buffer[ids[r], column : column + C]`; a row whose id lies outside the buffer, or columns at or
    beyond `col_limit` or the buffer's end, read as 0.

    * (C1) `buffer` has rank 2, `ids` is `Rx1` of i32, the tile is `RxC`.

    ```mlir
    %t = tile.gather %table[%ids, %c0] : memref<256x64xf32>, tensor<16x1xi32> -> tensor<16x64xf32>
    ```
  }];
  let arguments = (ins Tile_Buffer:$buffer, Tile_Tile:$ids, Index:$column, OptionalAttr<I64Attr>:$col_limit);
  let results = (outs Tile_Tile:$tile);
  let assemblyFormat = [{
    $buffer `[` $ids `,` $column `]` (`limit` $col_limit^)? attr-dict `:` type($buffer) `,` type($ids) `->` type($tile)
  }];
  let hasVerifier = 1;
}

def Tile_ScatterAddOp : Tile_Op<"scatter_add", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Add the rows of a tile into rows of a matrix chosen by index, in row order";
  let description = [{
    For r = 0, 1, … in this order: `buffer[ids[r], column : column + C] += tile[r, :]`. Ids outside the buffer and columns at or
    beyond `col_limit` or the buffer's end are skipped.

    * (C1) `buffer` has rank 2, `ids` is `Rx1` of i32, the tile is `RxC`.

    ```mlir
    tile.scatter_add %t, %table[%ids, %c0] : tensor<16x64xf32>, memref<256x64xf32>, tensor<16x1xi32>
    ```
  }];
  let arguments = (ins Tile_Tile:$tile, Tile_Buffer:$buffer, Tile_Tile:$ids, Index:$column, OptionalAttr<I64Attr>:$col_limit);
  let assemblyFormat = [{
    $tile `,` $buffer `[` $ids `,` $column `]` (`limit` $col_limit^)? attr-dict `:` type($tile) `,` type($buffer) `,` type($ids)
  }];
  let hasVerifier = 1;
}

def Tile_FillOp : Tile_Op<"fill", [Pure]> {
  let summary = "Make a tile with one value everywhere";
  let description = [{
    * (C1) The value's type is the tile's element type.

    ```mlir
    %t = tile.fill %zero : f32 -> tensor<16x32xf32>
    ```
  }];
  let arguments = (ins AnyTypeOf<[F32, BF16, I32]>:$value);
  let results = (outs Tile_Tile:$tile);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($tile)";
  let hasVerifier = 1;
}

def Tile_DotOp : Tile_Op<"dot", [Pure, TypesMatchWith<"result is the accumulator's type", "acc", "result", "$_self">]> {
  let summary = "Multiply two tiles and add to an accumulator";
  let description = [{
    `result = acc + op(a)·op(b)`, op transposes on request. Products and sums are f32; a and b are both f32 or both bf16.
    The order of the sum over K is the target's, the same at every run.
    A target may round f32 operands to tf32 (10 bits of fraction), which costs 3e-4 of the result, unless the product is `precise`: for
    results that are raised to a power of e, or of which little is left when another is subtracted.

    * (C1) op(a) is `MxK`, op(b) is `KxN`, acc is `MxN` of f32.

    ```mlir
    %s = tile.dot %q, %k, %acc transpose_b : tensor<16x32xf32>, tensor<16x32xf32>, tensor<16x16xf32>
    ```
  }];
  let arguments = (ins Tile_Tile:$a, Tile_Tile:$b, Tile_Tile:$acc, UnitAttr:$transpose_a, UnitAttr:$transpose_b,
                       UnitAttr:$precise);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $a `,` $b `,` $acc (`transpose_a` $transpose_a^)? (`transpose_b` $transpose_b^)? (`precise` $precise^)?
    attr-dict `:` type($a) `,` type($b) `,` type($acc)
  }];
  let hasVerifier = 1;
}

def Tile_MapOp : Tile_Op<"map", [Pure, SingleBlock]> {
  let summary = "Compute elementwise over tiles";
  let description = [{
    The body computes one element of each result from one element of each operand. Operands broadcast: a size of 1
    stretches. Inside, `tile.row` and `tile.col` give the element's place, scalars from outside may be used, and the ops
    are `arith` and `math` on scalars.

    * (C1) All results have one shape `RxC`; each operand's sizes are R or 1, and C or 1.
    * (C2) The body takes one scalar per operand and yields one per result, of their element types.

    ```mlir
    %y = tile.map ins(%x, %m : tensor<16x32xf32>, tensor<16x1xf32>) -> tensor<16x32xf32> {
    ^bb0(%a: f32, %b: f32):
      %d = arith.subf %a, %b : f32
      tile.yield %d : f32
    }
    ```
  }];
  let arguments = (ins Variadic<Tile_Tile>:$inputs);
  let results = (outs Variadic<Tile_Tile>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "(`ins` `(` $inputs^ `:` type($inputs) `)`)? `->` type($results) $body attr-dict";
  let hasVerifier = 1;
}

def Tile_YieldOp : Tile_Op<"yield", [Pure, Terminator, HasParent<"MapOp">, ReturnLike]> {
  let summary = "End the body of tile.map";
  let description = [{
    Gives one scalar per result of the enclosing `tile.map`; see there for an example.
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

class Tile_PlaceOp<string mnemonic, string what> : Tile_Op<mnemonic, [Pure]> {
  let summary = "Give the " # what # " of the element inside tile.map";
  let description = [{
    An i32, counted from 0 inside the tile.

    * (C1) It stands inside the body of a `tile.map`.

    ```mlir
    %places = tile.map -> tensor<16x32xi32> {
      %p = tile.}] # mnemonic # [{
      tile.yield %p : i32
    }
    ```
  }];
  let results = (outs I32:$place);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}
def Tile_RowOp : Tile_PlaceOp<"row", "row">;
def Tile_ColOp : Tile_PlaceOp<"col", "column">;

def Tile_ReduceOp : Tile_Op<"reduce", [Pure]> {
  let summary = "Reduce a tile along one axis";
  let description = [{
    `axis` = 1 reduces each row to one value (`Rx1`), `axis` = 0 each column (`1xC`).

    * (C1) The result is `Rx1` or `1xC` of the operand's element type.

    ```mlir
    %m = tile.reduce max %s axis 1 : tensor<16x32xf32> -> tensor<16x1xf32>
    ```
  }];
  let arguments = (ins Tile_ReduceKindAttr:$kind, Tile_Tile:$tile, I64Attr:$axis);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$kind $tile `axis` $axis attr-dict `:` type($tile) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_TransposeOp : Tile_Op<"transpose", [Pure]> {
  let summary = "Swap rows and columns";
  let description = [{
    * (C1) The result is `CxR` of the operand's element type.

    ```mlir
    %t = tile.transpose %k : tensor<16x32xf32> -> tensor<32x16xf32>
    ```
  }];
  let arguments = (ins Tile_Tile:$tile);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$tile attr-dict `:` type($tile) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_CastOp : Tile_Op<"cast", [Pure]> {
  let summary = "Convert the element type of a tile";
  let description = [{
    Rounds f32 to bf16 (nearest even), widens bf16 to f32, or converts i32 to f32.

    * (C1) The shapes are the same and the conversion is one of these three.

    ```mlir
    %b = tile.cast %x : tensor<16x32xf32> -> tensor<16x32xbf16>
    ```
  }];
  let arguments = (ins Tile_Tile:$tile);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$tile attr-dict `:` type($tile) `->` type($result)";
  let hasVerifier = 1;
}

#endif
