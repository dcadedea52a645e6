// Linear attention without a feature map: laws, gradient, recurrence. Laws are stated in LmLinearAttention.td.
#include "dialects/lm/LmOps.h"
#include "dialects/lm/ShapeLaw.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace oriel::lm {
namespace {

/// q, k, v and doc_start.
template <typename Op> LogicalResult matchHeads(ShapeLaw &shapes, Op op) {
  return success(succeeded(shapes.match("q", op.getQ(), "B T N D")) &&
                 succeeded(shapes.match("k", op.getK(), "B T KV D")) &&
                 succeeded(shapes.match("v", op.getV(), "B T KV E")) &&
                 succeeded(shapes.match("doc_start", op.getDocStart(), "B T")));
}

/// Nothing, or a state and, with `normalize`, a sum of keys.
LogicalResult matchState(ShapeLaw &shapes, StringRef name, ValueRange values, bool normalize) {
  if (values.empty())
    return success();
  if (values.size() != (normalize ? 2u : 1u))
    return shapes.emitError() << "'" << name << "' must hold a state [B,KV,D,E]"
                              << (normalize ? " and a sum of keys [B,KV,D]" : " and nothing else without 'normalize'")
                              << ", got " << values.size() << " values";
  if (failed(shapes.match(name, values[0], "B KV D E")))
    return failure();
  return normalize ? shapes.match(name, values[1], "B KV D") : success();
}

} // namespace

LogicalResult LinearAttentionOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(matchHeads(shapes, *this)) || failed(shapes.match("result", getResult(), "B T N E")) ||
      failed(shapes.match("final_state", getFinalState(), "B KV D E")) ||
      failed(shapes.match("final_sum", getFinalSum(), "B KV D")))
    return failure();
  if (failed(verifyGroups(*this, "C2", shapes.size("N"), shapes.size("KV"))))
    return failure();
  shapes.setLaw("C3");
  if (bool(getFinalSum()) != getNormalize())
    return shapes.emitError() << "must have 'final_sum' exactly with 'normalize'";
  return matchState(shapes, "initial", getInitial(), getNormalize());
}

LogicalResult LinearAttentionGradOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(matchHeads(shapes, *this)) || failed(shapes.match("dresult", getDresult(), "B T N E")) ||
      failed(shapes.sameType("dq", getDq(), "q", getQ())) || failed(shapes.sameType("dk", getDk(), "k", getK())) ||
      failed(shapes.sameType("dv", getDv(), "v", getV())))
    return failure();
  if (failed(verifyGroups(*this, "C2", shapes.size("N"), shapes.size("KV"))))
    return failure();
  shapes.setLaw("C3");
  if (failed(matchState(shapes, "initial", getInitial(), getNormalize())) ||
      failed(matchState(shapes, "dfinal", getDfinal(), getNormalize())))
    return failure();
  if (getDinitial().getTypes() != getInitial().getTypes())
    return shapes.emitError() << "must have 'dinitial' with the types of 'initial'";
  return success();
}

SmallVector<Value> LinearAttentionOp::buildVjp(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed) {
  if (!cotangents[0]) {
    emitOpError("has no gradient through its final state alone; 'result' must lead to a differentiated value too");
    return {};
  }
  SmallVector<Value> dfinal;
  if (llvm::any_of(cotangents.drop_front(), [](Value cotangent) { return bool(cotangent); }))
    for (auto [result, cotangent] : llvm::zip(getResults().drop_front(), cotangents.drop_front()))
      dfinal.push_back(cotangent ? cotangent
                                 : arith::ConstantOp::create(builder, getLoc(), builder.getZeroAttr(result.getType())));
  auto grad = LinearAttentionGradOp::create(builder, getLoc(), getQ().getType(), getK().getType(), getV().getType(),
                                            getInitial().getTypes(), getQ(), getK(), getV(), cotangents[0],
                                            getInitial(), dfinal, getDocStart(), getScale(), getNormalize());
  SmallVector<Value> grads(grad.getResults());
  grads.resize(getNumOperands()); // doc_start has none
  return grads;
}

int64_t LinearAttentionOp::getRowTokens() { return getQ().getType().getDimSize(1); }
int64_t LinearAttentionOp::getStateWalks() { return getK().getType().getDimSize(0) * getK().getType().getDimSize(2); }

} // namespace oriel::lm
