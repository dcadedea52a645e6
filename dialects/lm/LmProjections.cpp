// Verifiers of embedding, projection and shape ops and of their gradients. Laws are stated in LmOps.td.
#include "dialects/lm/LmOps.h"
#include "dialects/lm/ShapeLaw.h"

using namespace mlir;

namespace oriel::lm {

LogicalResult EmbedOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.match("table", getTable(), "V M")) &&
                 succeeded(shapes.match("tokens", getTokens(), "B T")) &&
                 succeeded(shapes.match("result", getResult(), "B T M")));
}

LogicalResult EmbedGradOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.match("dy", getDy(), "B T M")) &&
                 succeeded(shapes.match("tokens", getTokens(), "B T")) &&
                 succeeded(shapes.match("dtable", getDtable(), "V M")));
}

LogicalResult LinearOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(
      succeeded(shapes.match("x", getX(), "... I")) && succeeded(shapes.match("weight", getWeight(), "O I")) &&
      succeeded(shapes.match("bias", getBias(), "O")) && succeeded(shapes.match("result", getResult(), "... O")));
}

LogicalResult ReshapeOp::verify() {
  RankedTensorType from = getX().getType(), to = getResult().getType();
  if (from.getNumElements() != to.getNumElements())
    return emitOpError("(C1) has ") << from.getNumElements() << " elements in and " << to.getNumElements() << " out";
  if (from.getElementType() != to.getElementType())
    return emitOpError("(C1) changes the element type from ") << from.getElementType() << " to " << to.getElementType();
  return success();
}

LogicalResult AddOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.sameType("rhs", getRhs(), "lhs", getLhs())) &&
                 succeeded(shapes.sameType("result", getResult(), "lhs", getLhs())));
}

LogicalResult ScaleChannelsOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.match("x", getX(), "... D")) && succeeded(shapes.match("scale", getScale(), "D")) &&
                 succeeded(shapes.sameType("result", getResult(), "x", getX())));
}

LogicalResult ScaleChannelsGradOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.match("x", getX(), "... D")) && succeeded(shapes.match("scale", getScale(), "D")) &&
                 succeeded(shapes.match("dscale", getDscale(), "D")) &&
                 succeeded(shapes.sameType("dy", getDy(), "x", getX())) &&
                 succeeded(shapes.sameType("dx", getDx(), "x", getX())));
}

LogicalResult MatmulOp::verify() {
  // Rows x columns of an operand seen as a matrix, after the optional transposition.
  auto matrix = [](RankedTensorType type, bool transposed) -> std::pair<int64_t, int64_t> {
    int64_t columns = type.getRank() ? type.getShape().back() : 1;
    int64_t rows = columns ? type.getNumElements() / columns : 0;
    return transposed ? std::pair(columns, rows) : std::pair(rows, columns);
  };
  auto [rows, inner] = matrix(getA().getType(), getTransposeA());
  auto [innerB, columns] = matrix(getB().getType(), getTransposeB());
  if (inner != innerB)
    return emitOpError("(C1) multiplies ") << rows << "x" << inner << " by " << innerB << "x" << columns;
  RankedTensorType type = getResult().getType();
  if (type.getRank() == 0 || type.getShape().back() != columns || type.getNumElements() != rows * columns)
    return emitOpError("(C1) has a product of ") << rows << "x" << columns << " elements but the result " << type;
  return success();
}

LogicalResult SumRowsOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.match("x", getX(), "... O")) && succeeded(shapes.match("result", getResult(), "O")));
}

} // namespace oriel::lm
