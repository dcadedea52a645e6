// Verifiers of softmax attention, residual linear attention and their gradients. Laws are stated in LmOps.td and
// LmGradientOps.td.
#include "dialects/lm/LmOps.h"
#include "dialects/lm/ShapeLaw.h"

using namespace mlir;

namespace oriel::lm {
namespace {

/// q, k, v as every mixer has them: [B,T,N,D], [B,T,KV,D], [B,T,KV,E].
LogicalResult matchHeads(ShapeLaw &shapes, Value q, Value k, Value v) {
  return success(succeeded(shapes.match("q", q, "B T N D")) && succeeded(shapes.match("k", k, "B T KV D")) &&
                 succeeded(shapes.match("v", v, "B T KV E")));
}

/// An initial state is [N,2D,E] or, with one per row, [B,N,2D,E].
StringRef statePattern(Value state) {
  bool perRow = state && cast<RankedTensorType>(state.getType()).getRank() == 4;
  return perRow ? "B N 2D E" : "N 2D E";
}

} // namespace

LogicalResult AttentionOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(matchHeads(shapes, getQ(), getK(), getV())) || failed(shapes.match("doc_start", getDocStart(), "B T")) ||
      failed(shapes.match("result", getResult(), "B T N E")) || failed(shapes.match("lse", getLse(), "B N T")))
    return failure();
  if (failed(verifyGroups(*this, "C2", shapes.size("N"), shapes.size("KV"))))
    return failure();
  return verifyWindow(*this, "C3", getWindow(), getSoftCap().convertToDouble());
}

LogicalResult AttentionGradOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(matchHeads(shapes, getQ(), getK(), getV())) || failed(shapes.match("doc_start", getDocStart(), "B T")) ||
      failed(shapes.match("result", getResult(), "B T N E")) || failed(shapes.match("lse", getLse(), "B N T")) ||
      failed(shapes.sameType("dresult", getDresult(), "result", getResult())) ||
      failed(shapes.sameType("dq", getDq(), "q", getQ())) || failed(shapes.sameType("dk", getDk(), "k", getK())) ||
      failed(shapes.sameType("dv", getDv(), "v", getV())))
    return failure();
  if (failed(verifyGroups(*this, "C2", shapes.size("N"), shapes.size("KV"))))
    return failure();
  return verifyWindow(*this, "C3", getWindow(), getSoftCap().convertToDouble());
}

LogicalResult ResidualLinearAttentionOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(matchHeads(shapes, getQ(), getK(), getV())) || failed(shapes.match("doc_start", getDocStart(), "B T")) ||
      failed(shapes.match("lengths", getLengths(), "B")) || failed(shapes.match("result", getResult(), "B T N E")) ||
      failed(shapes.match("final_state", getFinalState(), "B N 2D E")))
    return failure();
  if (failed(verifyGroups(*this, "C2", shapes.size("N"), shapes.size("KV"))) ||
      failed(verifyWindow(*this, "C3", getWindow(), /*softCap=*/0)))
    return failure();
  shapes.setLaw("C4");
  return shapes.match("initial_state", getInitialState(), statePattern(getInitialState()));
}

LogicalResult ResidualLinearAttentionGradOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(matchHeads(shapes, getQ(), getK(), getV())) || failed(shapes.match("doc_start", getDocStart(), "B T")) ||
      failed(shapes.match("dresult", getDresult(), "B T N E")) ||
      failed(shapes.match("dfinal_state", getDfinalState(), "B N 2D E")) ||
      failed(shapes.sameType("dq", getDq(), "q", getQ())) || failed(shapes.sameType("dk", getDk(), "k", getK())) ||
      failed(shapes.sameType("dv", getDv(), "v", getV())))
    return failure();
  if (failed(verifyGroups(*this, "C2", shapes.size("N"), shapes.size("KV"))) ||
      failed(verifyWindow(*this, "C3", getWindow(), /*softCap=*/0)))
    return failure();
  shapes.setLaw("C4");
  if (bool(getInitialState()) != bool(getDinitialState()))
    return shapes.emitError() << "must have 'dinitial_state' exactly when it has 'initial_state'";
  if (!getInitialState())
    return success();
  if (failed(shapes.match("initial_state", getInitialState(), statePattern(getInitialState()))))
    return failure();
  return shapes.sameType("dinitial_state", getDinitialState(), "initial_state", getInitialState());
}

LogicalResult LearnedStateOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.match("k_tokens", getKTokens(), "N J D")) &&
                 succeeded(shapes.match("v_tokens", getVTokens(), "N J E")) &&
                 succeeded(shapes.match("result", getResult(), "N 2D E")));
}

LogicalResult LearnedStateGradOp::verify() {
  ShapeLaw shapes(*this, "C1");
  return success(succeeded(shapes.match("k_tokens", getKTokens(), "N J D")) &&
                 succeeded(shapes.match("v_tokens", getVTokens(), "N J E")) &&
                 succeeded(shapes.match("dstate", getDstate(), "N 2D E")) &&
                 succeeded(shapes.match("dk_tokens", getDkTokens(), "N J D")) &&
                 succeeded(shapes.match("dv_tokens", getDvTokens(), "N J E")));
}

int64_t ResidualLinearAttentionOp::getRowTokens() { return getQ().getType().getDimSize(1); }
int64_t ResidualLinearAttentionOp::getStateWalks() {
  return getK().getType().getDimSize(0) * getK().getType().getDimSize(2);
}
bool ResidualLinearAttentionOp::hasStatePasses() { return true; }

} // namespace oriel::lm
