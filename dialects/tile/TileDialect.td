// The tile dialect: how one fused kernel works on blocks. See the description below for its place in the stack.
#ifndef ORIEL_DIALECTS_TILE_TILEDIALECT_TD
#define ORIEL_DIALECTS_TILE_TILEDIALECT_TD

include "mlir/IR/OpBase.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::oriel::tile";
  let summary = "Block programs: how one fused kernel works on tiles";
  let description = [{
    ```
      tape.call @k(…)  ──kernels/ builds──▶ [ tile.kernel @k ] ──codegen/cpu──▶ vector, LLVM ──▶ kernels.so
                                                              └─codegen/nvidia─▶ gpu, nvvm ──▶ PTX, cubin
    ```
    A kernel is written once. Its arguments are buffers (memrefs with static shape and identity layout); a **tile** is a
    value of type `tensor<RxCxT>` with static sizes: it lives in scratch memory or registers as the target decides.
    Vectors are tiles too: `Rx1` is one value per row, `1xC` one per column. Loops are `scf.for` (tiles may be carried),
    conditions `scf.if`, index arithmetic `arith`; scalars may be read from buffers with `memref.load`.

    Rules that hold for every kernel:
    * tile sizes are multiples of 16, or 1; what does not fill a tile is masked by `tile.load` (reads 0) and
      `tile.store` (not written), never by the caller;
    * the cells of the grid are independent: they write disjoint places and may run in any order;
    * floating-point order inside a cell is fixed by the program and the target, never by the number of threads.
  }];
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::math::MathDialect"];
}

#endif
