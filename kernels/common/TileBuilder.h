// How kernel authors write tile programs: a thin layer over OpBuilder, so that a program reads like its mathematics.
//
//   TileBuilder b = TileBuilder::kernel(module, loc, "softmax_rows", {x.type, y.type}, {T / 64, 1, 1},
//   /*numOutputs=*/1); Scalar row = b.x() * 64; Value x_TD = b.load(b.buffer(0), Place{{row, b.index(0)}, /*rows=*/0,
//   /*cols=*/1}, 64, 128); Value m_T1 = b.reduceMax(x_TD, 1); Value e_TD = b.map({x_TD, m_T1}, [](Scalar x, Scalar m) {
//   return exp(x - m); }); Value s_T1 = b.reduceSum(e_TD, 1); b.store(b.map({e_TD, s_T1}, [](Scalar e, Scalar s) {
//   return e / s; }), b.buffer(1), Place{{row, b.index(0)}, 0, 1});
//
// Tiles are plain mlir::Value of type tensor<RxCxT>; scalars are kernels::Scalar. The builder adds no analysis: laws
// are checked by the dialect's verifiers.
#ifndef ORIEL_KERNELS_COMMON_TILEBUILDER_H
#define ORIEL_KERNELS_COMMON_TILEBUILDER_H

#include <array>
#include <optional>
#include <type_traits>

#include "dialects/tile/TileOps.h"
#include "kernels/common/KernelSpec.h"
#include "kernels/common/Scalar.h"
#include "mlir/IR/BuiltinOps.h"

namespace oriel::kernels {

/// Where a tile lies in a buffer; the meaning of each field is that of tile.load.
struct Place {
  llvm::SmallVector<Scalar, 4> indices; // one per dimension of the buffer; may be negative
  int64_t rowDim = -1;                  // dimension along which rows go, -1: none
  int64_t colDim = -1;
  std::optional<Scalar> rowBegin = {}; // rows outside [rowBegin, rowEnd) read 0 and are not written
  std::optional<Scalar> rowEnd = {};
  std::optional<int64_t> colLimit = {}; // columns c >= colLimit (counted in the tile) read 0 and are not written
  int64_t colStride = 1;
};

class TileBuilder {
public:
  using Values = llvm::SmallVector<mlir::Value>;
  using MapBody = llvm::function_ref<llvm::SmallVector<Scalar>(TileBuilder &, llvm::ArrayRef<Scalar>)>;

  /// A new kernel at the end of `module`, ended by tile.return; the builder stands in its body. `bufferAttributes` has
  /// one dictionary per buffer, or is empty.
  static TileBuilder kernel(mlir::ModuleOp module, mlir::Location loc, llvm::StringRef name, mlir::TypeRange buffers,
                            std::array<int64_t, 3> grid, int64_t numOutputs, llvm::StringRef summary = "",
                            llvm::ArrayRef<mlir::DictionaryAttr> bufferAttributes = {});

  // Scalars point at the builder that made them, so it stays where it is.
  TileBuilder(const TileBuilder &) = delete;
  TileBuilder &operator=(const TileBuilder &) = delete;

  tile::KernelOp op() const { return kernel_; }
  mlir::OpBuilder &builder() { return builder_; }
  mlir::Location loc() const { return loc_; }

  // Types, arguments, constants.
  mlir::MemRefType bufferType(llvm::ArrayRef<int64_t> shape, mlir::Type element = {}); // f32 by default
  static mlir::MemRefType bufferType(mlir::MLIRContext *context, llvm::ArrayRef<int64_t> shape);
  mlir::Value buffer(unsigned number) { return kernel_.getBody().getArgument(number); }
  Scalar x() { return scalar(kernel_.getGridIndex(0)); }
  Scalar y() { return scalar(kernel_.getGridIndex(1)); }
  Scalar z() { return scalar(kernel_.getGridIndex(2)); }
  Scalar scalar(mlir::Value value) { return Scalar(builder_, loc_, value); }
  Scalar index(int64_t value);
  Scalar f32(double value);
  Scalar i32(int64_t value);

  // Memory. The element type is the buffer's, or f32 for a bf16 buffer.
  mlir::Value load(mlir::Value buffer, const Place &place, int64_t rows, int64_t cols);
  void store(mlir::Value tile, mlir::Value buffer, const Place &place);
  /// Adds the tile to what is in the buffer.
  void accumulate(mlir::Value tile, mlir::Value buffer, const Place &place);
  /// One element of a buffer; the indices must be inside.
  Scalar loadScalar(mlir::Value buffer, llvm::ArrayRef<Scalar> indices);
  mlir::Value gather(mlir::Value table, mlir::Value ids, Scalar column, int64_t cols,
                     std::optional<int64_t> colLimit = {});
  void scatterAdd(mlir::Value tile, mlir::Value table, mlir::Value ids, Scalar column,
                  std::optional<int64_t> colLimit = {});

  // Tile arithmetic.
  mlir::Value fill(double value, int64_t rows, int64_t cols);
  mlir::Value fill(Scalar value, int64_t rows, int64_t cols);
  mlir::Value zeros(int64_t rows, int64_t cols) { return fill(0.0, rows, cols); }
  /// acc + a·b, acc + a·bᵀ, acc + aᵀ·b.
  mlir::Value dot(mlir::Value a, mlir::Value b, mlir::Value acc);
  mlir::Value dotBT(mlir::Value a, mlir::Value b, mlir::Value acc);
  mlir::Value dotAT(mlir::Value a, mlir::Value b, mlir::Value acc);
  /// The same from a zero accumulator.
  mlir::Value dot(mlir::Value a, mlir::Value b);
  mlir::Value dotBT(mlir::Value a, mlir::Value b);
  mlir::Value dotAT(mlir::Value a, mlir::Value b);
  /// The same product with operands that no target rounds.
  mlir::Value precise(mlir::Value product);
  mlir::Value transpose(mlir::Value tile);
  mlir::Value reduceSum(mlir::Value tile, int64_t axis) { return reduce(tile::ReduceKind::Sum, tile, axis); }
  mlir::Value reduceMax(mlir::Value tile, int64_t axis) { return reduce(tile::ReduceKind::Max, tile, axis); }
  mlir::Value reduceMin(mlir::Value tile, int64_t axis) { return reduce(tile::ReduceKind::Min, tile, axis); }
  mlir::Value reduce(tile::ReduceKind kind, mlir::Value tile, int64_t axis);
  /// f32 ↔ bf16, i32 → f32.
  mlir::Value convert(mlir::Value tile, mlir::Type element);

  // Elementwise. The result's shape is the broadcast of the inputs' shapes; its element types are those of the body's
  // results. The body may be any function of as many Scalars as there are inputs that gives one Scalar:
  //   b.map({s, m}, [](Scalar s, Scalar m) { return exp(s - m); })
  template <typename Fn> mlir::Value map(std::initializer_list<mlir::Value> inputs, Fn fn) {
    return mapN(inputs, broadcastShape(inputs), single(fn)).front();
  }
  /// The same with the shape said, for bodies that use row() and col() over wider shapes than their inputs.
  template <typename Fn>
  mlir::Value map(std::array<int64_t, 2> shape, std::initializer_list<mlir::Value> inputs, Fn fn) {
    return mapN(inputs, shape, single(fn)).front();
  }
  /// Several results at once.
  Values mapN(llvm::ArrayRef<mlir::Value> inputs, std::array<int64_t, 2> shape, MapBody body);
  Values mapN(llvm::ArrayRef<mlir::Value> inputs, MapBody body) { return mapN(inputs, broadcastShape(inputs), body); }
  /// The element's place inside the tile (i32); only inside a map.
  Scalar row();
  Scalar col();

  // Control. `body` gets the counter and the carried tiles (or scalars) and returns their next values.
  Values loop(Scalar lower, Scalar upper, int64_t step, mlir::ValueRange carried,
              llvm::function_ref<Values(Scalar, mlir::ValueRange)> body);
  void loop(Scalar lower, Scalar upper, int64_t step, llvm::function_ref<void(Scalar)> body);
  void when(Scalar condition, llvm::function_ref<void()> then);
  Values when(Scalar condition, mlir::TypeRange types, llvm::function_ref<Values()> then,
              llvm::function_ref<Values()> otherwise);

  static int64_t rows(mlir::Value tile) { return mlir::cast<mlir::RankedTensorType>(tile.getType()).getDimSize(0); }
  static int64_t cols(mlir::Value tile) { return mlir::cast<mlir::RankedTensorType>(tile.getType()).getDimSize(1); }

private:
  TileBuilder(mlir::OpBuilder builder, mlir::Location loc, tile::KernelOp kernel)
      : builder_(builder), loc_(loc), kernel_(kernel) {}

  std::array<int64_t, 2> broadcastShape(llvm::ArrayRef<mlir::Value> inputs);
  mlir::Value dotOp(mlir::Value a, mlir::Value b, mlir::Value acc, bool transposeA, bool transposeB);

  /// Adapts a function of one to six Scalars to a MapBody.
  template <typename Fn> static auto single(Fn fn) {
    return [fn](TileBuilder &, llvm::ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
      using S = Scalar;
      if constexpr (std::is_invocable_v<Fn>)
        return {fn()};
      else if constexpr (std::is_invocable_v<Fn, S>)
        return {fn(in[0])};
      else if constexpr (std::is_invocable_v<Fn, S, S>)
        return {fn(in[0], in[1])};
      else if constexpr (std::is_invocable_v<Fn, S, S, S>)
        return {fn(in[0], in[1], in[2])};
      else if constexpr (std::is_invocable_v<Fn, S, S, S, S>)
        return {fn(in[0], in[1], in[2], in[3])};
      else if constexpr (std::is_invocable_v<Fn, S, S, S, S, S>)
        return {fn(in[0], in[1], in[2], in[3], in[4])};
      else
        return {fn(in[0], in[1], in[2], in[3], in[4], in[5])};
    };
  }

  mlir::OpBuilder builder_;
  mlir::Location loc_;
  tile::KernelOp kernel_;
};

} // namespace oriel::kernels

#endif
