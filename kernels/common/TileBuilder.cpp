// Implementation of the tile program builder: each function builds the one op that it is named after.
#include "kernels/common/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace oriel::kernels {

TileBuilder TileBuilder::kernel(ModuleOp module, Location loc, StringRef name, TypeRange buffers,
                                std::array<int64_t, 3> grid, int64_t numOutputs, StringRef summary,
                                ArrayRef<DictionaryAttr> bufferAttributes) {
  module.getContext()->loadDialect<tile::TileDialect>();
  OpBuilder builder(module.getContext());
  builder.setInsertionPointToEnd(module.getBody());
  auto op = tile::KernelOp::create(builder, loc, name, buffers, grid, numOutputs);
  if (!summary.empty())
    op.setSummary(summary);
  if (llvm::any_of(bufferAttributes, [](DictionaryAttr attributes) { return !attributes.empty(); }))
    op.setAllArgAttrs(bufferAttributes);
  builder.setInsertionPointToEnd(&op.getBody().front());
  auto end = tile::ReturnOp::create(builder, loc);
  builder.setInsertionPoint(end);
  return TileBuilder(builder, loc, op);
}

MemRefType TileBuilder::bufferType(ArrayRef<int64_t> shape, Type element) {
  return MemRefType::get(shape, element ? element : builder_.getF32Type());
}
MemRefType TileBuilder::bufferType(MLIRContext *context, ArrayRef<int64_t> shape) {
  return MemRefType::get(shape, Float32Type::get(context));
}

Scalar TileBuilder::index(int64_t value) {
  return scalar(arith::ConstantOp::create(builder_, loc_, builder_.getIndexAttr(value)));
}
Scalar TileBuilder::f32(double value) {
  return scalar(arith::ConstantOp::create(builder_, loc_, builder_.getF32FloatAttr(static_cast<float>(value))));
}
Scalar TileBuilder::i32(int64_t value) {
  return scalar(arith::ConstantOp::create(builder_, loc_, builder_.getI32IntegerAttr(static_cast<int32_t>(value))));
}

static IntegerAttr limitOf(OpBuilder &builder, std::optional<int64_t> limit) {
  return limit ? builder.getI64IntegerAttr(*limit) : IntegerAttr();
}
static Value valueOf(const std::optional<Scalar> &scalar) { return scalar ? scalar->value() : Value(); }

static TileBuilder::Values indexValues(const Place &place) {
  return llvm::map_to_vector(place.indices, [](const Scalar &index) { return index.value(); });
}

Value TileBuilder::load(Value buffer, const Place &place, int64_t rows, int64_t cols) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  auto type = RankedTensorType::get({rows, cols}, element.isBF16() ? Type(builder_.getF32Type()) : element);
  return tile::LoadOp::create(builder_, loc_, type, buffer, indexValues(place), valueOf(place.rowBegin),
                              valueOf(place.rowEnd), place.rowDim, place.colDim, limitOf(builder_, place.colLimit),
                              place.colStride);
}

static void storeTile(OpBuilder &builder, Location loc, Value tile, Value buffer, const Place &place, bool accumulate) {
  tile::StoreOp::create(builder, loc, tile, buffer, indexValues(place), valueOf(place.rowBegin), valueOf(place.rowEnd),
                        place.rowDim, place.colDim, limitOf(builder, place.colLimit), place.colStride, accumulate);
}

void TileBuilder::store(Value tile, Value buffer, const Place &place) {
  storeTile(builder_, loc_, tile, buffer, place, /*accumulate=*/false);
}
void TileBuilder::accumulate(Value tile, Value buffer, const Place &place) {
  storeTile(builder_, loc_, tile, buffer, place, /*accumulate=*/true);
}

Scalar TileBuilder::loadScalar(Value buffer, ArrayRef<Scalar> indices) {
  Values values = llvm::map_to_vector(indices, [](const Scalar &index) { return index.value(); });
  return scalar(memref::LoadOp::create(builder_, loc_, buffer, values));
}

Value TileBuilder::gather(Value table, Value ids, Scalar column, int64_t cols, std::optional<int64_t> colLimit) {
  Type element = cast<MemRefType>(table.getType()).getElementType();
  auto type = RankedTensorType::get({rows(ids), cols}, element.isBF16() ? Type(builder_.getF32Type()) : element);
  return tile::GatherOp::create(builder_, loc_, type, table, ids, column.value(), limitOf(builder_, colLimit));
}

void TileBuilder::scatterAdd(Value tile, Value table, Value ids, Scalar column, std::optional<int64_t> colLimit) {
  tile::ScatterAddOp::create(builder_, loc_, tile, table, ids, column.value(), limitOf(builder_, colLimit));
}

Value TileBuilder::fill(double value, int64_t rows, int64_t cols) { return fill(f32(value), rows, cols); }
Value TileBuilder::fill(Scalar value, int64_t rows, int64_t cols) {
  return tile::FillOp::create(builder_, loc_, RankedTensorType::get({rows, cols}, value.type()), value.value());
}

Value TileBuilder::dotOp(Value a, Value b, Value acc, bool transposeA, bool transposeB) {
  if (!acc)
    acc = zeros(transposeA ? cols(a) : rows(a), transposeB ? rows(b) : cols(b));
  return tile::DotOp::create(builder_, loc_, acc.getType(), a, b, acc, transposeA, transposeB, /*precise=*/false);
}
Value TileBuilder::dot(Value a, Value b, Value acc) { return dotOp(a, b, acc, false, false); }
Value TileBuilder::dotBT(Value a, Value b, Value acc) { return dotOp(a, b, acc, false, true); }
Value TileBuilder::dotAT(Value a, Value b, Value acc) { return dotOp(a, b, acc, true, false); }
Value TileBuilder::dot(Value a, Value b) { return dotOp(a, b, {}, false, false); }
Value TileBuilder::dotBT(Value a, Value b) { return dotOp(a, b, {}, false, true); }
Value TileBuilder::dotAT(Value a, Value b) { return dotOp(a, b, {}, true, false); }
Value TileBuilder::precise(Value product) {
  product.getDefiningOp<tile::DotOp>().setPrecise(true);
  return product;
}

Value TileBuilder::transpose(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  auto result = RankedTensorType::get({type.getDimSize(1), type.getDimSize(0)}, type.getElementType());
  return tile::TransposeOp::create(builder_, loc_, result, tile);
}

Value TileBuilder::reduce(tile::ReduceKind kind, Value tile, int64_t axis) {
  auto type = cast<RankedTensorType>(tile.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = 1;
  return tile::ReduceOp::create(builder_, loc_, RankedTensorType::get(shape, type.getElementType()), kind, tile, axis);
}

Value TileBuilder::convert(Value tile, Type element) {
  auto type = cast<RankedTensorType>(tile.getType());
  return tile::CastOp::create(builder_, loc_, RankedTensorType::get(type.getShape(), element), tile);
}

std::array<int64_t, 2> TileBuilder::broadcastShape(ArrayRef<Value> inputs) {
  std::array<int64_t, 2> shape = {1, 1};
  for (Value input : inputs)
    shape = {std::max(shape[0], rows(input)), std::max(shape[1], cols(input))};
  return shape;
}

TileBuilder::Values TileBuilder::mapN(ArrayRef<Value> inputs, std::array<int64_t, 2> shape, MapBody body) {
  // The body is built first, in a detached region, because its scalars' types are the types of the results.
  Region region;
  auto *block = new Block();
  region.push_back(block);
  SmallVector<Scalar> arguments;
  for (Value input : inputs)
    arguments.push_back(scalar(block->addArgument(cast<RankedTensorType>(input.getType()).getElementType(), loc_)));

  SmallVector<Type> types;
  {
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToEnd(block);
    Values yielded = llvm::map_to_vector(body(*this, arguments), [](const Scalar &s) { return s.value(); });
    for (Value value : yielded)
      types.push_back(RankedTensorType::get(shape, value.getType()));
    tile::YieldOp::create(builder_, loc_, yielded);
  }
  auto op = tile::MapOp::create(builder_, loc_, types, inputs);
  op.getBody().takeBody(region);
  return Values(op.getResults());
}

Scalar TileBuilder::row() { return scalar(tile::RowOp::create(builder_, loc_, builder_.getI32Type())); }
Scalar TileBuilder::col() { return scalar(tile::ColOp::create(builder_, loc_, builder_.getI32Type())); }

TileBuilder::Values TileBuilder::loop(Scalar lower, Scalar upper, int64_t step, ValueRange carried,
                                      llvm::function_ref<Values(Scalar, ValueRange)> body) {
  Value stepValue = index(step);
  auto op = scf::ForOp::create(builder_, loc_, lower.value(), upper.value(), stepValue, carried,
                               [&](OpBuilder &inner, Location loc, Value counter, ValueRange values) {
                                 OpBuilder::InsertionGuard guard(builder_);
                                 builder_.restoreInsertionPoint(inner.saveInsertionPoint());
                                 Values next = body(scalar(counter), values);
                                 scf::YieldOp::create(builder_, loc, next);
                               });
  return Values(op.getResults());
}

void TileBuilder::loop(Scalar lower, Scalar upper, int64_t step, llvm::function_ref<void(Scalar)> body) {
  loop(lower, upper, step, ValueRange(), [&](Scalar counter, ValueRange) -> Values {
    body(counter);
    return {};
  });
}

void TileBuilder::when(Scalar condition, llvm::function_ref<void()> then) {
  auto op = scf::IfOp::create(builder_, loc_, condition.value(), /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToStart(op.thenBlock());
  then();
}

TileBuilder::Values TileBuilder::when(Scalar condition, TypeRange types, llvm::function_ref<Values()> then,
                                      llvm::function_ref<Values()> otherwise) {
  auto op = scf::IfOp::create(builder_, loc_, types, condition.value(), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(op.thenBlock());
  scf::YieldOp::create(builder_, loc_, then());
  builder_.setInsertionPointToEnd(op.elseBlock());
  scf::YieldOp::create(builder_, loc_, otherwise());
  return Values(op.getResults());
}

} // namespace oriel::kernels
