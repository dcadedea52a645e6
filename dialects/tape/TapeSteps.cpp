// Laws of the steps of a program: calls, products, views and collectives.
#include "dialects/tape/TapeOps.h"

#include "dialects/tile/TileOps.h"

using namespace mlir;
using namespace oriel::tape;

#define GET_OP_CLASSES
#include "dialects/tape/TapeOps.cpp.inc"

static Type elementType(Type type) { return cast<ShapedType>(type).getElementType(); }

/// Leading sizes multiplied together, and the last one; a vector is one row.
static std::pair<int64_t, int64_t> matrixSizes(Type type) {
  ArrayRef<int64_t> shape = cast<ShapedType>(type).getShape();
  int64_t last = shape.empty() ? 1 : shape.back();
  return {last == 0 ? 0 : elementCount(type) / last, last};
}

// ---------------------------------------------------------------------------------------------------------------------
// tape.call
// ---------------------------------------------------------------------------------------------------------------------

void CallOp::build(OpBuilder &builder, OperationState &state, StringRef callee, TypeRange results, ValueRange inputs) {
  build(builder, state, results, FlatSymbolRefAttr::get(builder.getContext(), callee), inputs, ValueRange(),
        builder.getDenseI64ArrayAttr({}), FloatAttr(), ArrayAttr());
}

Value CallOp::getTied(unsigned i) {
  ArrayRef<int64_t> ties = getTies();
  return i < ties.size() && ties[i] >= 0 ? getInits()[ties[i]] : Value();
}

LogicalResult CallOp::verify() {
  ArrayRef<int64_t> ties = getTies();
  if (ties.empty() && getInits().empty())
    return success();
  if (ties.size() != getNumResults()) // (C3)
    return emitOpError() << "has " << ties.size() << " ties for " << getNumResults() << " results";
  SmallVector<bool> named(getInits().size(), false);
  for (auto [i, tie] : llvm::enumerate(ties)) {
    if (tie < 0)
      continue;
    if (tie >= static_cast<int64_t>(named.size()) || named[tie]) // (C3)
      return emitOpError() << "tie " << tie << " of result " << i << " is no 'into' operand, or is named twice";
    named[tie] = true;
    if (getInits()[tie].getType() != getResult(i).getType()) // (C3)
      return emitOpError() << "'into' operand " << tie << " has another type than result " << i;
  }
  if (llvm::is_contained(named, false)) // (C3)
    return emitOpError("has an 'into' operand that no tie names");
  return success();
}

/// Compares a value's type with the kernel buffer that it is passed for.
static LogicalResult checkBuffer(CallOp call, unsigned index, Type type, Type buffer) {
  if (elementType(type) == elementType(buffer) && elementCount(type) == elementCount(buffer))
    return success();
  return call.emitOpError() << "passes " << type << " as buffer " << index << " of @" << call.getCallee()
                            << ", which is " << buffer; // (C2)
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<oriel::tile::KernelOp>(*this, getCalleeAttr());
  if (!kernel) // (C1)
    return emitOpError() << "calls @" << getCallee() << ", which is no tile.kernel of the module";
  ArrayRef<Type> buffers = kernel.getFunctionType().getInputs();
  size_t inputs = getInputs().size(), outputs = getNumResults();
  if (buffers.size() != inputs + outputs || kernel.getNumOutputs() != static_cast<uint64_t>(outputs)) // (C1)
    return emitOpError() << "passes " << inputs << " inputs and " << outputs << " results to @" << getCallee()
                         << ", which has " << buffers.size() << " buffers, " << kernel.getNumOutputs()
                         << " of them outputs";
  for (size_t i = 0; i < inputs; ++i)
    if (failed(checkBuffer(*this, i, getInputs()[i].getType(), buffers[i])))
      return failure();
  for (size_t i = 0; i < outputs; ++i)
    if (failed(checkBuffer(*this, inputs + i, getResult(i).getType(), buffers[inputs + i])))
      return failure();
  return success();
}

// ---------------------------------------------------------------------------------------------------------------------
// tape.matmul
// ---------------------------------------------------------------------------------------------------------------------

MatmulOp::Sizes MatmulOp::getSizes() {
  auto [aRows, aCols] = matrixSizes(getA().getType());
  auto [bRows, bCols] = matrixSizes(getB().getType());
  return {getTransposeA() ? aCols : aRows, getTransposeB() ? bRows : bCols, getTransposeA() ? aRows : aCols};
}

LogicalResult MatmulOp::verify() {
  Sizes sizes = getSizes();
  auto [bRows, bCols] = matrixSizes(getB().getType());
  int64_t inner = getTransposeB() ? bCols : bRows;
  if (sizes.k != inner) // (C1)
    return emitOpError() << "inner sizes differ: " << sizes.k << " and " << inner;
  if (elementCount(getType()) != sizes.m * sizes.n) // (C1)
    return emitOpError() << "the product is " << sizes.m << "x" << sizes.n << ", the result " << getType();
  if (getInit() && getInit().getType() != getType()) // (C2)
    return emitOpError("'into' has another type than the result");
  if (elementType(getA().getType()) != elementType(getB().getType()) ||
      !isa<FloatType>(elementType(getA().getType()))) // (C3)
    return emitOpError("a and b must have one float element type");
  return success();
}

// ---------------------------------------------------------------------------------------------------------------------
// Views and tables
// ---------------------------------------------------------------------------------------------------------------------

LogicalResult ViewOp::verify() {
  int64_t offset = getOffset();
  if (offset < 0 || offset + elementCount(getType()) > elementCount(getSource().getType())) // (C1)
    return emitOpError() << "elements [" << offset << ", " << offset + elementCount(getType())
                         << ") leave the source of " << elementCount(getSource().getType());
  if (elementType(getType()) != elementType(getSource().getType())) // (C1)
    return emitOpError("the element types differ");
  return success();
}

LogicalResult ConcatOp::verify() {
  int64_t total = 0;
  for (Value part : getParts()) {
    total += elementCount(part.getType());
    if (elementType(part.getType()) != elementType(getType())) // (C1)
      return emitOpError("the element types differ");
  }
  if (total != elementCount(getType())) // (C1)
    return emitOpError() << "the parts have " << total << " elements, the result " << elementCount(getType());
  return success();
}

void ConstantOp::build(OpBuilder &builder, OperationState &state, ElementsAttr value) {
  build(builder, state, value.getShapedType(), value, ArrayAttr());
}

LogicalResult ConstantOp::verify() {
  if (getValue().getShapedType() != getType()) // (C1)
    return emitOpError("the table has another type than the result");
  return success();
}

// ---------------------------------------------------------------------------------------------------------------------
// Slices and collectives
// ---------------------------------------------------------------------------------------------------------------------

/// (C1) of tape.shard, shared by the collectives.
static LogicalResult checkSlice(Operation *op, Type whole, Type slice, int64_t world) {
  if (world < 1 || elementCount(whole) != world * elementCount(slice))
    return op->emitOpError() << "the whole has " << elementCount(whole) << " elements, which is not world (" << world
                             << ") times " << elementCount(slice);
  if (elementType(whole) != elementType(slice))
    return op->emitOpError("the element types differ");
  return success();
}

LogicalResult ShardOp::verify() { return checkSlice(*this, getWhole().getType(), getSlice().getType(), getWorld()); }

LogicalResult AllGatherOp::verify() {
  return checkSlice(*this, getWhole().getType(), getSlice().getType(), getWorld());
}

LogicalResult ReduceScatterOp::verify() {
  if (failed(checkSlice(*this, getWhole().getType(), getSlice().getType(), getWorld())))
    return failure();
  int64_t expected = (static_cast<int64_t>(getWorld()) - 1) * elementCount(getSlice().getType());
  if (elementCount(getScratch().getType()) != expected)
    return emitOpError() << "scratch has " << elementCount(getScratch().getType()) << " elements instead of "
                         << expected;
  return success();
}
