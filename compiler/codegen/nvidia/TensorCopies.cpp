#include "compiler/codegen/nvidia/TensorCopies.h"
#include "compiler/codegen/nvidia/BufferAccess.h"
#include "compiler/codegen/nvidia/HoistCopies.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

static std::optional<int64_t> constantOf(Value index) {
  APInt constant;
  return matchPattern(index, m_ConstantInt(&constant)) ? std::optional(constant.getSExtValue()) : std::nullopt;
}

/// How many rows of the buffer may be read, from the first on. Nothing: that is not known, or they do not begin there.
static std::optional<int64_t> rowsToRead(const BufferAccess &access) {
  int64_t rows = access.type().getDimSize(access.rowDim);
  if (access.rowBegin) {
    std::optional<int64_t> begin = constantOf(access.rowBegin);
    if (!begin || *begin > 0)
      return std::nullopt;
  }
  if (!access.rowEnd)
    return rows;
  std::optional<int64_t> end = constantOf(access.rowEnd);
  return end ? std::optional(std::min(rows, *end)) : std::nullopt;
}

/// The same of columns. A limit counts from where the tile begins.
static std::optional<int64_t> columnsToRead(const BufferAccess &access) {
  int64_t columns = access.type().getDimSize(access.colDim);
  if (!access.colLimit)
    return columns;
  std::optional<int64_t> first = constantOf(access.indices[access.colDim]);
  return first ? std::optional(std::min(columns, *first + static_cast<int64_t>(*access.colLimit))) : std::nullopt;
}

std::optional<NvidiaTensorMap> tensorMapOf(tile::LoadOp load, const Home &home, tile::KernelOp kernel) {
  constexpr int64_t mostDims = 5, mostBoxRows = 256;
  BufferAccess access(load);
  MemRefType type = access.type();
  int64_t rank = type.getRank();
  if (home.swizzleBytes == 0 || home.isTransposed || home.rows > mostBoxRows || rank > mostDims || access.rowDim < 0 ||
      access.colDim != rank - 1 || access.colStride != 1 || mayWrite(kernel, access.buffer, kernel))
    return std::nullopt;
  std::optional<int64_t> rows = rowsToRead(access), columns = columnsToRead(access);
  if (!rows || !columns || *rows < 1 || *columns < 1)
    return std::nullopt;
  NvidiaTensorMap map;
  map.buffer = cast<BlockArgument>(access.buffer).getArgNumber();
  map.elementBits = type.getElementTypeBitWidth();
  map.swizzleBytes = home.swizzleBytes;
  int64_t stride = access.elementBytes();
  for (int64_t dim = rank - 1; dim >= 0; --dim) {
    map.sizes.push_back(dim == access.rowDim ? *rows : dim == access.colDim ? *columns : type.getDimSize(dim));
    map.box.push_back(dim == access.rowDim   ? home.rows
                      : dim == access.colDim ? home.swizzleBytes / access.elementBytes()
                                             : 1);
    if (dim < rank - 1)
      map.strides.push_back(stride);
    stride *= type.getDimSize(dim);
  }
  bool areAligned = llvm::all_of(map.strides, [](int64_t bytes) { return bytes % 16 == 0; });
  return areAligned ? std::optional(map) : std::nullopt;
}

} // namespace oriel::codegen::nvidia
