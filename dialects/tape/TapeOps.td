// Ops of the tape dialect. Laws are numbered (C1), (C2) … here, at the verifier line and in the error tests.
#ifndef ORIEL_DIALECTS_TAPE_TAPEOPS_TD
#define ORIEL_DIALECTS_TAPE_TAPEOPS_TD

include "dialects/tape/TapeDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// ---------------------------------------------------------------------------------------------------------------------
// Attributes and types
// ---------------------------------------------------------------------------------------------------------------------

def Tape_Place : AttrDef<Tape_Dialect, "Place"> {
  let mnemonic = "place";
  let summary = "Where a value lies: a buffer and a byte offset in it";
  let description = [{
    `#tape.place<arena + 4096>`. Buffers: `arena` (scratch of the program), `constants`, `params`, `grads`, `adam_m`, `adam_v`
    (flat state), or the name of a buffer that the caller fills or reads (`tokens`, `loss`, …). A rank's slice of a flat
    buffer is `#tape.place<params + 0 + rank * 65536>`.
  }];
  let parameters = (ins StringRefParameter<"buffer name">:$buffer, "int64_t":$offset,
                        DefaultValuedParameter<"int64_t", "0">:$rank_stride);
  let assemblyFormat = "`<` custom<BufferName>($buffer) `+` $offset (`+` `rank` `*` $rank_stride^)? `>`";
}
def Tape_PlaceArray : TypedArrayAttrBase<Tape_Place, "one place per result">;

def Tape_Action : I32EnumAttr<"Action", "what happens to a value between its forward and its backward use", [
  I32EnumAttrCase<"Save", 0, "save">,             // kept in memory
  I32EnumAttrCase<"Recompute", 1, "recompute">    // made again beside its first backward use
]> {
  let cppNamespace = "::oriel::tape";
}

def Tape_TiledKernel : I32EnumAttr<"TiledKernel", "a kernel of attention or of residual linear attention on GPUs", [
  I32EnumAttrCase<"AttnFwd", 0, "attn_fwd">, I32EnumAttrCase<"AttnDq", 1, "attn_dq">,
  I32EnumAttrCase<"AttnDkDv", 2, "attn_dkdv">, I32EnumAttrCase<"RlaFwd", 3, "rla_fwd">,
  I32EnumAttrCase<"RlaStates", 4, "rla_states">, I32EnumAttrCase<"RlaBwd", 5, "rla_bwd">,
  I32EnumAttrCase<"RlaCotangents", 6, "rla_cotangents">, I32EnumAttrCase<"RlaDq", 7, "rla_dq">,
  I32EnumAttrCase<"RlaDkDv", 8, "rla_dkdv">
]> {
  let cppNamespace = "::oriel::tape";
}

def Tape_Tensor : StaticShapeTensorOf<[F32, BF16, I32]>;

class Tape_Op<string mnemonic, list<Trait> traits = []> : Op<Tape_Dialect, mnemonic, traits>;

// ---------------------------------------------------------------------------------------------------------------------
// Programs and schedules
// ---------------------------------------------------------------------------------------------------------------------

def Tape_ProgramOp : Tape_Op<"program", [IsolatedFromAbove, Symbol, FunctionOpInterface, SingleBlock]> {
  let summary = "Define an entry point: a straight line of steps";
  let description = [{
    Each argument carries `tape.place`, where its bytes are; each result carries `tape.place`, where they must be at the
    end (`tape.slot` beside it when the buffer is a stack of slots). After `--oriel-assign-buffers` the program has
    `arena_bytes`, the high-water mark.

    * (C1) Argument and result types are static tensors; every argument and result has a `tape.place`.
    * (C2) Symbol names of programs: `micro`, `last_micro`, `accumulate`, `update`, `eval`, `logits`, `vjp`.

    ```mlir
    tape.program @eval(%x: tensor<64xf32> {tape.place = #tape.place<tokens + 0>}) -> (tensor<64xf32> {tape.place = #tape.place<loss + 0>}) {
      %y = tape.zero : tensor<64xf32>
      tape.return %y : tensor<64xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type, OptionalAttr<I64Attr>:$arena_bytes,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::FunctionType":$type)>];
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    /// The place of argument or result `i`.
    PlaceAttr getArgumentPlace(unsigned i);
    PlaceAttr getResultPlace(unsigned i);
    void setArgumentPlace(unsigned i, PlaceAttr place);
    void setResultPlace(unsigned i, PlaceAttr place);
  }];
}

def Tape_ReturnOp : Tape_Op<"return", [Pure, Terminator, HasParent<"ProgramOp">, ReturnLike]> {
  let summary = "End a program and name its results";
  let description = [{
    * (C1) The operands have the program's result types.

    ```mlir
    tape.program @eval() {
      tape.return
    }
    ```
  }];
  let arguments = (ins Variadic<Tape_Tensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let hasVerifier = 1;
}

def Tape_ScheduleOp : Tape_Op<"schedule"> {
  let summary = "State one decision of the state-save schedule";
  let description = [{
    The text that a person edits (`orielc --schedule file`). For a recurrent mixer: `chunk` tokens per chunk and the
    state saved every `save_every` chunks (the states in between are re-made on chip), `two_pass` with
    the segments between saved states side by side, their states made beforehand (without the word one after the other),
    `fused` in one kernel with the window attention and the norms of its layer or, without the word, apart;
    `tile` tokens per key tile of that kernel's window part, which has its own choice without it. For any op of the forward half: `save` its results
    until the backward, or `recompute` them there (what the op reads is then needed there). A mixer may have both. The path is
    the layer path of the model and the op's name, with that of its weight for a projection. `why` is free text.

    * (C1) `chunk` and `save_every`, or an action, or both; `two_pass` and `fused` only with the former, `tile` only with `fused`.
    * (C2) `chunk` and `tile` >= 16 and multiples of 16; `save_every` >= 1.

    ```mlir
    tape.schedule @layers.0.mixer.rla chunk 64 save_every 4 fused why "2.0 MiB saved"
    tape.schedule @layers.0.norm1.rms_norm recompute
    tape.schedule @layers.0.mixer.wq.linear save
    ```
  }];
  let arguments = (ins SymbolNameAttr:$path, OptionalAttr<I64Attr>:$chunk, OptionalAttr<I64Attr>:$save_every,
                       UnitAttr:$two_pass, UnitAttr:$fused, OptionalAttr<I64Attr>:$tile, OptionalAttr<Tape_Action>:$action, OptionalAttr<StrAttr>:$why);
  let assemblyFormat = "$path (`chunk` $chunk^ `save_every` $save_every)? (`two_pass` $two_pass^)? (`fused` $fused^)? (`tile` $tile^)? ($action^)? (`why` $why^)? attr-dict";
  let hasVerifier = 1;
}

def Tape_TilesOp : Tape_Op<"tiles"> {
  let summary = "State how one kernel of an op is tiled on a GPU";
  let description = [{
    The text that a person edits, beside `tape.schedule`. The path is that of an attention or a residual linear attention, and
    the kernel one that it becomes. A block of attention scores has `rows` queries and `columns` keys; a block of residual
    linear attention has `columns` of the values. A block of threads has `warps` warps and keeps the tiles of `stages`
    iterations of its loops in shared memory. What is left out is the kernel's own. `why` is free text.

    * (C1) One of the four numbers, or more; no `rows` for residual linear attention, and no `columns` for its `rla_dq` and `rla_dkdv`.
    * (C2) `rows` and `columns` >= 16 and multiples of 16; `warps` 4 or 8; `stages` from 1 to 4.

    ```mlir
    tape.tiles @layers.3.mixer.attention attn_dq rows 64 columns 128 warps 8 stages 2 why "predicted 0.310 ms"
    tape.tiles @layers.0.mixer.residual_linear_attention rla_bwd columns 32
    ```
  }];
  let arguments = (ins SymbolNameAttr:$path, Tape_TiledKernel:$kernel, OptionalAttr<I64Attr>:$rows, OptionalAttr<I64Attr>:$columns,
                       OptionalAttr<I64Attr>:$warps, OptionalAttr<I64Attr>:$stages, OptionalAttr<StrAttr>:$why);
  let assemblyFormat = "$path $kernel (`rows` $rows^)? (`columns` $columns^)? (`warps` $warps^)? (`stages` $stages^)? (`why` $why^)? attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether the kernel is one of residual linear attention.
    bool isOfLinearAttention() { return getKernel() >= TiledKernel::RlaFwd; }
  }];
}

def Tape_SaveOp : Tape_Op<"save"> {
  let summary = "Name the values of one layer that wait for the backward";
  let description = [{
    Stands between the forward and the backward half of a step and is no step itself: the operands were made before it and are
    used after it. `bytes` is what they hold. Values that the schedule re-makes are not among them.

    * (C1) `bytes` is the size of the operands together.

    ```mlir
    tape.save @layers.0.mixer %x, %y bytes 8448 : tensor<64x32xf32>, tensor<64xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$path, Variadic<Tape_Tensor>:$values, I64Attr:$bytes);
  let assemblyFormat = "$path $values `bytes` $bytes attr-dict `:` type($values)";
  let hasVerifier = 1;
}

// ---------------------------------------------------------------------------------------------------------------------
// Steps
// ---------------------------------------------------------------------------------------------------------------------

def Tape_CallOp : Tape_Op<"call", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Run a fused kernel over its grid";
  let description = [{
    The kernel's buffers are the inputs, then the results. Result i is fresh memory, or, where `ties[i]` = j >= 0, the
    memory of `into` operand j, which the kernel reads and updates. `flops` is the model's arithmetic for traces.

    * (C1) `callee` is a `tile.kernel` of the module with inputs + results buffers, `num_outputs` of which are the results.
    * (C2) Operand and result i have the element type and number of elements of buffer i.
    * (C3) `ties` has one entry per result; each `into` operand is named once and has the type of its result.

    ```mlir
    %y = tape.call @copy(%x) : (tensor<64x32xf32>) -> tensor<64x32xf32>
    %z = tape.call @add(%x) into (%y) ties [0] : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<Tape_Tensor>:$inputs, Variadic<Tape_Tensor>:$inits,
                       DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$ties, OptionalAttr<F64Attr>:$flops,
                       OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Variadic<Tape_Tensor>:$outputs);
  let assemblyFormat = [{
    $callee `(` $inputs `)` (`into` `(` $inits^ `)` `ties` $ties)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$callee, "::mlir::TypeRange":$results, "::mlir::ValueRange":$inputs)>];
  let extraClassDeclaration = [{
    /// The `into` operand whose memory result `i` has, or null.
    ::mlir::Value getTied(unsigned i);
  }];
}

def Tape_MatmulOp : Tape_Op<"matmul"> {
  let summary = "Multiply two matrices with the library";
  let description = [{
    `c = op(a)·op(b)`, or `c = into + op(a)·op(b)` in the memory of `into`. Operands are seen as matrices
    `[prod(leading), last]`; op transposes on request.

    * (C1) Inner sizes agree, and the result has as many elements as the product.
    * (C2) `into` has the result's type.
    * (C3) a and b have one float element type.

    ```mlir
    %y = tape.matmul %x, %w transpose_b : (tensor<2x8x64xf32>, tensor<96x64xf32>) -> tensor<2x8x96xf32>
    %d = tape.matmul %y, %x into %acc transpose_a : (tensor<2x8x96xf32>, tensor<2x8x64xf32>, tensor<96x64xf32>) -> tensor<96x64xf32>
    ```
  }];
  let arguments = (ins Tape_Tensor:$a, Tape_Tensor:$b, Optional<Tape_Tensor>:$init, UnitAttr:$transpose_a,
                       UnitAttr:$transpose_b, OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Tape_Tensor:$result);
  let assemblyFormat = [{
    $a `,` $b (`into` $init^)? (`transpose_a` $transpose_a^)? (`transpose_b` $transpose_b^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Sizes of the product: result [m, n], inner size k.
    struct Sizes { int64_t m, n, k; };
    Sizes getSizes();
  }];
}

def Tape_ViewOp : Tape_Op<"view", [Pure]> {
  let summary = "See part of a value, or all of it, under another shape";
  let description = [{
    The result is the elements `[offset, offset + size)` of the flattened source. No bytes move.

    * (C1) The range lies inside the source; the element types agree.

    ```mlir
    %b = tape.view %x[512] : tensor<64x32xf32> -> tensor<16x32xf32>
    ```
  }];
  let arguments = (ins Tape_Tensor:$source, I64Attr:$offset, OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Tape_Tensor:$result);
  let assemblyFormat = "$source `[` $offset `]` attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def Tape_ConcatOp : Tape_Op<"concat", [Pure]> {
  let summary = "See consecutive blocks as one value";
  let description = [{
    The flattened result is the flattened parts in order. No bytes move: the parts are written where they lie in the result.

    * (C1) The parts' elements add up to the result's; the element types agree.

    ```mlir
    %x = tape.concat %b0, %b1 : tensor<16x32xf32>, tensor<16x32xf32> -> tensor<32x32xf32>
    ```
  }];
  let arguments = (ins Variadic<Tape_Tensor>:$parts, OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Tape_Tensor:$result);
  let assemblyFormat = "$parts attr-dict `:` type($parts) `->` type($result)";
  let hasVerifier = 1;
}

def Tape_ZeroOp : Tape_Op<"zero"> {
  let summary = "Fill fresh memory with zeros";
  let description = [{
    ```mlir
    %z = tape.zero : tensor<64xf32>
    ```
  }];
  let arguments = (ins OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Tape_Tensor:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Tape_CopyOp : Tape_Op<"copy", [AllTypesMatch<["source", "result"]>]> {
  let summary = "Copy a value into fresh memory";
  let description = [{
    Made by `--oriel-assign-buffers` where a value must be in two places, or is needed after an update in place.

    ```mlir
    %y = tape.copy %x : tensor<64xf32>
    ```
  }];
  let arguments = (ins Tape_Tensor:$source, OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Tape_Tensor:$result);
  let assemblyFormat = "$source attr-dict `:` type($result)";
}

def Tape_ConstantOp : Tape_Op<"constant", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "Name a table computed at compile time";
  let description = [{
    Equal tables are stored once in constants.bin.

    * (C1) The result has the type of `value`.

    ```mlir
    %c = tape.constant dense<1.0> : tensor<16xf32>
    ```
  }];
  let arguments = (ins ElementsAttr:$value, OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Tape_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::ElementsAttr":$value)>];
}

// ---------------------------------------------------------------------------------------------------------------------
// Collectives over a mesh axis
// ---------------------------------------------------------------------------------------------------------------------

class Tape_SliceOp<string mnemonic, list<Trait> traits = []> : Tape_Op<mnemonic, traits> {
  let hasVerifier = 1;
}

def Tape_ShardOp : Tape_SliceOp<"shard", [Pure]> {
  let summary = "See this rank's slice of a flat value";
  let description = [{
    On rank r the elements `[r*n, (r+1)*n)` of the source, n elements long. No bytes move.

    * (C1) world >= 1, the whole has world times as many elements as the slice; the element types agree.

    ```mlir
    %y = tape.shard %x over "fsdp" world 2 : tensor<64xf32> -> tensor<32xf32>
    ```
  }];
  let arguments = (ins Tape_Tensor:$whole, StrAttr:$axis, I64Attr:$world, OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Tape_Tensor:$slice);
  let assemblyFormat = "$whole `over` $axis `world` $world attr-dict `:` type($whole) `->` type($slice)";
}

def Tape_AllGatherOp : Tape_SliceOp<"all_gather"> {
  let summary = "Collect every rank's slice into the whole, in place";
  let description = [{
    The slice lies inside the whole, at this rank's place.

    * (C1) as in `tape.shard`.

    ```mlir
    %y = tape.all_gather %x over "fsdp" world 2 : tensor<32xf32> -> tensor<64xf32>
    ```
  }];
  let arguments = (ins Tape_Tensor:$slice, StrAttr:$axis, I64Attr:$world, OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Tape_Tensor:$whole);
  let assemblyFormat = "$slice `over` $axis `world` $world attr-dict `:` type($slice) `->` type($whole)";
}

def Tape_ReduceScatterOp : Tape_SliceOp<"reduce_scatter"> {
  let summary = "Sum over ranks in the fixed tree order; each rank keeps its slice, in place";
  let description = [{
    The slice of rank r becomes ((0+1)+(2+3))+… over ranks; it lies inside the whole, whose other places are undefined
    afterwards. `scratch` has (world-1) slices and means nothing afterwards.

    * (C1) as in `tape.shard`, and `scratch` has (world-1) times as many elements as the slice.

    ```mlir
    %y, %s = tape.reduce_scatter %x over "fsdp" world 2 : tensor<64xf32> -> tensor<32xf32>, tensor<32xf32>
    ```
  }];
  let arguments = (ins Tape_Tensor:$whole, StrAttr:$axis, I64Attr:$world, OptionalAttr<Tape_PlaceArray>:$at);
  let results = (outs Tape_Tensor:$slice, Tape_Tensor:$scratch);
  let assemblyFormat = "$whole `over` $axis `world` $world attr-dict `:` type($whole) `->` type($slice) `,` type($scratch)";
}

#endif
