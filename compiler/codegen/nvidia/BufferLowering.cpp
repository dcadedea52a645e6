// Loads and stores: slots from and to buffers, and copies of 16 bytes straight to shared memory.
#include "compiler/codegen/nvidia/RegisterLowering.h"
#include "compiler/codegen/nvidia/TileTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include <numeric>

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

/// Rows and columns are counted in the tile. An element outside is read from a place inside, so that no thread
/// branches, and then replaced by zero.
struct RegisterLowering::Window {
  V base;                               // linear place of the tile's element (0, 0), i64
  V safe;                               // linear place of the same column in the buffer's first row, i64
  V rowLow, rowHigh, colLow, colHigh;   // inside: low <= place < high, i32; null: always
  int64_t rowStride = 0, colStride = 0; // elements

  /// The buffer's first row, wherever a tile's row would lie.
  Window firstRow() const {
    Window row = *this;
    row.base = safe, row.rowStride = 0;
    return row;
  }
};

/// Of the tile's element (row, col).
V RegisterLowering::bufferPointer(V buffer, Type element, const Window &window, Coordinate row, Coordinate col) {
  V rows = mul(toI64(row.dynamic), i64(window.rowStride)), cols = mul(toI64(col.dynamic), i64(window.colStride));
  V first = gep(element, buffer, add(window.base, add(rows, cols)));
  return gep(element, first, i64(row.constant * window.rowStride + col.constant * window.colStride));
}

RegisterLowering::Window RegisterLowering::openWindow(const BufferAccess &access) {
  ArrayRef<int64_t> sizes = access.type().getShape();
  Window window;
  window.base = window.safe = i64(0);
  int64_t stride = 1;
  Type i64Type = builder_.getI64Type(), i32Type = builder_.getI32Type();
  auto narrow = [&](V value) -> V { return arith::TruncIOp::create(builder_, loc_, i32Type, value); };
  auto sub = [&](V a, V b) -> V { return arith::SubIOp::create(builder_, loc_, i64Type, a, b); };
  for (int64_t dim = sizes.size() - 1; dim >= 0; --dim) {
    V index = toI64(scalar(access.indices[dim]));
    V offset = mul(index, i64(stride));
    window.base = add(window.base, offset);
    if (dim == access.rowDim) {
      V low = i64(0), high = i64(sizes[dim]);
      if (access.rowBegin)
        low = arith::MaxSIOp::create(builder_, loc_, low, toI64(scalar(access.rowBegin)));
      if (access.rowEnd)
        high = arith::MinSIOp::create(builder_, loc_, high, toI64(scalar(access.rowEnd)));
      window.rowLow = narrow(sub(low, index)), window.rowHigh = narrow(sub(high, index));
      window.rowStride = stride;
    }
    if (dim == access.colDim) {
      window.colStride = stride * access.colStride;
      if (access.hasAllColumns()) {
        window.safe = add(window.safe, offset);
      } else {
        // c·s in [-index, size - index): the first c inside, and the first beyond.
        auto upwards = [&](V places) -> V {
          if (access.colStride == 1)
            return places;
          V positive = compare(arith::CmpIPredicate::sgt, places, i64(0));
          V rest = arith::SelectOp::create(builder_, loc_, positive, i64(access.colStride - 1), i64(0));
          return arith::DivSIOp::create(builder_, loc_, add(places, rest), i64(access.colStride));
        };
        window.colLow = narrow(upwards(sub(i64(0), index)));
        V beyond = upwards(sub(i64(sizes[dim]), index));
        if (access.colLimit)
          beyond = arith::MinSIOp::create(builder_, loc_, beyond, i64(*access.colLimit));
        window.colHigh = narrow(beyond);
      }
    }
    stride *= sizes[dim];
  }
  return window;
}

V RegisterLowering::loadVector(V pointer, Type element, int64_t count) {
  Type type = count == 1 ? element : VectorType::get(count, element);
  return LLVM::LoadOp::create(builder_, loc_, type, pointer, count * (element.getIntOrFloatBitWidth() / 8));
}

/// Whether a place lies in [low, high); null where that needs no test.
static V isInside(OpBuilder &builder, Location loc, V place, V low, V high) {
  if (!high)
    return {};
  V above = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, place, low);
  V below = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, place, high);
  return arith::AndIOp::create(builder, loc, above, below);
}

void RegisterLowering::lowerLoad(tile::LoadOp op) {
  if (stageOffsets_.contains(op.getTile()))
    return; // started iterations ago
  if (placement_.isOnlyAtHome(op.getTile()))
    return copyHome(op);
  BufferAccess access(op);
  readResource(bufferResource(access.buffer));
  Layout layout = placement_.layoutOf(op.getTile());
  ArrayRef<int64_t> shape = tileType(op.getTile()).getShape();
  Type wanted = tileType(op.getTile()).getElementType(), memory = access.type().getElementType();
  int64_t columns = layout.cols.slots(shape[1]);
  int64_t count = shape[1] == 1 ? 1 : std::gcd(layout.cols.vector, access.vectorColumns());
  Window window = openWindow(access);
  V none = zero(wanted), buffer = scalar(access.buffer), safe = gep(memory, buffer, window.safe);
  Slots slots;
  for (int64_t i = 0; i < layout.rows.slots(shape[0]); ++i) {
    Coordinate row = place(layout.rows, shape[0], i);
    V rowInside = isInside(builder_, loc_, number(row), window.rowLow, window.rowHigh);
    for (int64_t j = 0; j < columns; j += count) {
      Coordinate col = place(layout.cols, shape[1], j);
      V inside = rowInside, colInside = isInside(builder_, loc_, number(col), window.colLow, window.colHigh);
      if (colInside)
        inside = inside ? both(inside, colInside) : colInside;
      V pointer = bufferPointer(buffer, memory, window, row, col);
      if (inside) {
        V other = colInside ? safe : bufferPointer(buffer, memory, window.firstRow(), row, col);
        pointer = arith::SelectOp::create(builder_, loc_, inside, pointer, other);
      }
      V vector = loadVector(pointer, memory, count);
      for (int64_t k = 0; k < count; ++k) {
        V value = count == 1 ? vector : LLVM::ExtractElementOp::create(builder_, loc_, vector, i32(k)).getResult();
        value = convertFloat(value, wanted);
        slots.push_back(inside ? arith::SelectOp::create(builder_, loc_, inside, value, none).getResult() : value);
      }
    }
  }
  define(op.getTile(), std::move(slots));
}

void RegisterLowering::copyHome(tile::LoadOp op) {
  if (placement_.tensorCopyOf(op.getTile()))
    return copyHomeByTma(op);
  Resource from = bufferResource(op.getBuffer()), to = homeResource(op.getTile());
  readResource(from);
  beginWrite(to);
  copyPieces(op);
  NVVM::CpAsyncCommitGroupOp::create(builder_, loc_);
  hazards_.startCopy(from, to);
}

/// Threads share out the pieces of 16 bytes of the tile; a piece outside is filled with zeros. They take rows one after
/// the other; where a row lies in panels (TilePlacement.h) that are narrower than all banks, as many rows of a panel
/// together as fill them.
void RegisterLowering::copyPieces(tile::LoadOp op) {
  BufferAccess access(op);
  ArrayRef<int64_t> shape = tileType(op.getTile()).getShape();
  Type memory = access.type().getElementType();
  constexpr int64_t bankPieces = 8;
  int64_t width = 16 / access.elementBytes(), ofRow = shape[1] / width, total = shape[0] * ofRow;
  int64_t swizzled = placement_.homeOf(op.getTile())->swizzleBytes / 16;
  int64_t ofPanel = swizzled ? std::min(swizzled, ofRow) : ofRow, rowsTogether = 1;
  if (ofPanel < ofRow && ofPanel < bankPieces)
    rowsTogether = bankPieces / ofPanel;
  int64_t pieces = rowsTogether * ofRow;
  Window window = openWindow(access);
  auto global = LLVM::LLVMPointerType::get(builder_.getContext(), 1);
  for (int64_t first = 0; first < total; first += threads_) {
    V piece = add(thread_, i32(first));
    OpBuilder::InsertionGuard guard(builder_);
    if (first + threads_ > total) {
      auto some = scf::IfOp::create(builder_, loc_, compare(arith::CmpIPredicate::ult, piece, i32(total)), false);
      builder_.setInsertionPointToStart(&some.getThenRegion().front());
    }
    // Where the threads make whole rows, a thread keeps its column.
    bool areRows = threads_ % pieces == 0;
    V counted = areRows ? thread_ : piece;
    auto div = [&](V a, int64_t b) -> V { return arith::DivUIOp::create(builder_, loc_, a, i32(b)); };
    auto rem = [&](V a, int64_t b) -> V { return arith::RemUIOp::create(builder_, loc_, a, i32(b)); };
    V line = div(counted, pieces), place = rem(counted, pieces);
    if (rowsTogether > 1) {
      V inBanks = rem(place, bankPieces);
      line = add(mul(line, i32(rowsTogether)), div(inBanks, ofPanel));
      place = add(mul(div(place, bankPieces), i32(ofPanel)), rem(inBanks, ofPanel));
    }
    Coordinate row{line, areRows ? first / ofRow : 0};
    Coordinate col{mul(place, i32(width))};
    V inside = isInside(builder_, loc_, number(row), window.rowLow, window.rowHigh);
    if (V colInside = isInside(builder_, loc_, number(col), window.colLow, window.colHigh))
      inside = inside ? both(inside, colInside) : colInside;
    V pointer = bufferPointer(scalar(access.buffer), memory, window, row, col), bytes;
    if (inside) {
      pointer = arith::SelectOp::create(builder_, loc_, inside, pointer, scalar(access.buffer));
      bytes = arith::SelectOp::create(builder_, loc_, inside, i32(16), i32(0));
    }
    V source = LLVM::AddrSpaceCastOp::create(builder_, loc_, global, pointer);
    NVVM::CpAsyncOp::create(builder_, loc_, homePointer(op.getTile(), row, col), source, 16,
                            NVVM::LoadCacheModifierKind::CG, bytes);
  }
}

void RegisterLowering::lowerStore(tile::StoreOp op) {
  BufferAccess access(op);
  ArrayRef<int64_t> shape = tileType(op.getTile()).getShape();
  bool isFill = viewOf(op.getTile()).base.getDefiningOp<tile::FillOp>() != nullptr;
  Layout layout = isFill ? rowLayout(shape[0], shape[1], placement_.warps()) : placement_.layoutOf(op.getTile());
  beginWrite(bufferResource(access.buffer));
  waitForProduct(viewOf(op.getTile()).base); // not in a branch below
  Type memory = access.type().getElementType(), own = tileType(op.getTile()).getElementType();
  int64_t count = shape[1] == 1 ? 1 : std::gcd(layout.cols.vector, access.vectorColumns());
  Window window = openWindow(access);
  V owner = isOwner(layout, shape);
  auto storePiece = [&](int64_t i, int64_t j, V pointer) {
    V vector = count > 1 ? LLVM::PoisonOp::create(builder_, loc_, VectorType::get(count, memory)).getResult() : V();
    V before = op.getAccumulate() ? loadVector(pointer, memory, count) : V();
    for (int64_t k = 0; k < count; ++k) {
      V value = slot(op.getTile(), i, j + k);
      if (before) {
        V part = count == 1 ? before : LLVM::ExtractElementOp::create(builder_, loc_, before, i32(k)).getResult();
        value = arith::AddFOp::create(builder_, loc_, convertFloat(part, own), value);
      }
      value = convertFloat(value, memory);
      vector = count == 1 ? value : LLVM::InsertElementOp::create(builder_, loc_, vector, value, i32(k)).getResult();
    }
    LLVM::StoreOp::create(builder_, loc_, vector, pointer, count * access.elementBytes());
  };
  auto guarded = [&](V condition, llvm::function_ref<void()> body) {
    OpBuilder::InsertionGuard guard(builder_);
    if (condition) {
      auto branch = scf::IfOp::create(builder_, loc_, condition, /*withElseRegion=*/false);
      builder_.setInsertionPointToStart(&branch.getThenRegion().front());
    }
    body();
  };
  for (int64_t i = 0; i < layout.rows.slots(shape[0]); ++i) {
    Coordinate row = place(layout.rows, shape[0], i);
    V inside = isInside(builder_, loc_, number(row), window.rowLow, window.rowHigh);
    if (owner)
      inside = inside ? both(inside, owner) : owner;
    guarded(inside, [&] {
      for (int64_t j = 0; j < layout.cols.slots(shape[1]); j += count) {
        Coordinate col = place(layout.cols, shape[1], j);
        guarded(isInside(builder_, loc_, number(col), window.colLow, window.colHigh),
                [&] { storePiece(i, j, bufferPointer(scalar(access.buffer), memory, window, row, col)); });
      }
    });
  }
  hazards_.addWrite(bufferResource(access.buffer));
}

// ---- Rows chosen by id ----------------------------------------------------------------------------------------------

void RegisterLowering::lowerGather(tile::GatherOp op) {
  Layout layout = placement_.layoutOf(op.getTile());
  ArrayRef<int64_t> shape = tileType(op.getTile()).getShape();
  Type wanted = tileType(op.getTile()).getElementType();
  auto matrix = cast<MemRefType>(op.getBuffer().getType());
  prepareRead(op.getIds(), layout);
  readResource(bufferResource(op.getBuffer()));
  Slots slots;
  for (int64_t i = 0; i < layout.rows.slots(shape[0]); ++i) {
    V id = read(op.getIds(), layout, shape, i, 0);
    for (int64_t j = 0; j < layout.cols.slots(shape[1]); ++j) {
      auto [pointer, inside] = matrixElement(op.getBuffer(), id, scalar(op.getColumn()), op.getColLimit(),
                                             number(place(layout.cols, shape[1], j)));
      V safe = arith::SelectOp::create(builder_, loc_, inside, pointer, scalar(op.getBuffer()));
      V value = convertFloat(loadVector(safe, matrix.getElementType(), 1), wanted);
      slots.push_back(arith::SelectOp::create(builder_, loc_, inside, value, zero(wanted)));
    }
  }
  define(op.getTile(), std::move(slots));
}

/// A column belongs to one thread, which walks down the rows: the order of the sums is that of the rows.
void RegisterLowering::lowerScatterAdd(tile::ScatterAddOp op) {
  V rows = viewOf(op.getTile()).base, ids = viewOf(op.getIds()).base;
  beginWrite(bufferResource(op.getBuffer())); // first: its barrier would forget the reads
  readResource(homeResource(rows));
  readResource(homeResource(ids));
  ArrayRef<int64_t> shape = tileType(op.getTile()).getShape();
  Type memory = cast<MemRefType>(op.getBuffer().getType()).getElementType();
  auto columns = scf::ForOp::create(builder_, loc_, thread_, i32(shape[1]), i32(threads_));
  {
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToStart(columns.getBody());
    V col = columns.getInductionVar();
    auto walk = scf::ForOp::create(builder_, loc_, i32(0), i32(shape[0]), i32(1));
    builder_.setInsertionPointToStart(walk.getBody());
    V row = walk.getInductionVar();
    auto element = [&](V tile, V at, V column) {
      bool isTransposed = viewOf(tile).isTransposed;
      Coordinate rowAt{isTransposed ? column : at}, colAt{isTransposed ? at : column};
      V base = viewOf(tile).base, pointer = homePointer(base, rowAt, colAt);
      return loadVector(pointer, tileType(tile).getElementType(), 1);
    };
    auto [pointer, inside] =
        matrixElement(op.getBuffer(), element(op.getIds(), row, i32(0)), scalar(op.getColumn()), op.getColLimit(), col);
    storeIf(inside, element(op.getTile(), row, col), pointer, memory, /*accumulate=*/true);
  }
  hazards_.addWrite(bufferResource(op.getBuffer()));
}

} // namespace oriel::codegen::nvidia
