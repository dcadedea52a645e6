#include "compiler/codegen/nvidia/BufferAccess.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

static constexpr int64_t mostDivisor = 64, vectorBytes = 16;

static int64_t powerOfTwoIn(int64_t value) { return value == 0 ? mostDivisor : std::min(mostDivisor, value & -value); }

int64_t knownDivisor(Value index) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return powerOfTwoIn(constant.getSExtValue());
  if (auto argument = dyn_cast<BlockArgument>(index)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    return loop && loop.getInductionVar() == index
               ? std::min(knownDivisor(loop.getLowerBound()), knownDivisor(loop.getStep()))
               : 1;
  }
  Operation *op = index.getDefiningOp();
  if (isa<arith::MulIOp>(op))
    return std::min(mostDivisor, knownDivisor(op->getOperand(0)) * knownDivisor(op->getOperand(1)));
  if (isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp>(op))
    return std::min(knownDivisor(op->getOperand(0)), knownDivisor(op->getOperand(1)));
  return 1;
}

BufferAccess::BufferAccess(tile::LoadOp op)
    : tile(op.getTile()), buffer(op.getBuffer()), indices(op.getIndices()), rowBegin(op.getRowBegin()),
      rowEnd(op.getRowEnd()), rowDim(op.getRowDim()), colDim(op.getColDim()), colStride(op.getColStride()),
      colLimit(op.getColLimit()) {}

BufferAccess::BufferAccess(tile::StoreOp op)
    : tile(op.getTile()), buffer(op.getBuffer()), indices(op.getIndices()), rowBegin(op.getRowBegin()),
      rowEnd(op.getRowEnd()), rowDim(op.getRowDim()), colDim(op.getColDim()), colStride(op.getColStride()),
      colLimit(op.getColLimit()) {}

int64_t BufferAccess::vectorColumns() const {
  if (colDim != type().getRank() - 1 || colStride != 1)
    return 1;
  int64_t columns = std::min(knownDivisor(indices[colDim]), powerOfTwoIn(type().getDimSize(colDim)));
  if (colLimit)
    columns = std::min(columns, powerOfTwoIn(static_cast<int64_t>(*colLimit)));
  return std::min(columns, vectorBytes / elementBytes());
}

bool BufferAccess::hasAllColumns() const {
  int64_t columns = cast<RankedTensorType>(tile.getType()).getDimSize(1);
  APInt first;
  if (colDim < 0)
    return true;
  if ((colLimit && static_cast<int64_t>(*colLimit) < columns) || !matchPattern(indices[colDim], m_ConstantInt(&first)))
    return false;
  int64_t last = first.getSExtValue() + (columns - 1) * colStride;
  return first.getSExtValue() >= 0 && last < type().getDimSize(colDim);
}

bool isCopyable(tile::LoadOp load) {
  BufferAccess access(load);
  auto tileType = cast<RankedTensorType>(load.getTile().getType());
  return tileType.getElementType() == access.type().getElementType() && tileType.getDimSize(1) > 1 &&
         access.vectorColumns() * access.elementBytes() == vectorBytes;
}

} // namespace oriel::codegen::nvidia
