// Verifiers of the fused ops. Laws are stated in LmFusedOps.td.
#include "dialects/lm/LmOps.h"
#include "dialects/lm/ShapeLaw.h"

using namespace mlir;

namespace oriel::lm {

LogicalResult FusedRAttentionOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(shapes.match("q", getQ(), "B T N D")) || failed(shapes.match("k", getK(), "B T KV D")) ||
      failed(shapes.match("v", getV(), "B T KV E")) ||
      failed(shapes.sameType("rotated_q", getRotatedQ(), "q", getQ())) ||
      failed(shapes.sameType("rotated_k", getRotatedK(), "k", getK())) ||
      failed(shapes.match("swa_scale", getSwaScale(), "N E")) ||
      failed(shapes.match("rla_scale", getRlaScale(), "N E")) ||
      failed(shapes.match("doc_start", getDocStart(), "B T")) ||
      failed(shapes.match("result", getResult(), "B T N E")) ||
      failed(shapes.sameType("swa", getSwa(), "result", getResult())) ||
      failed(shapes.sameType("rla", getRla(), "result", getResult())) || failed(shapes.match("lse", getLse(), "B N T")))
    return failure();
  if (failed(verifyGroups(*this, "C2", shapes.size("N"), shapes.size("KV"))))
    return failure();
  shapes.setLaw("C3");
  if (getWindow() < 0 || !(getSoftCap().convertToDouble() >= 0) || !(getEps().convertToDouble() > 0))
    return shapes.emitError() << "must have window >= 0, soft_cap >= 0 and eps > 0";
  shapes.setLaw("C4");
  Value initial = getInitialState();
  bool perRow = initial && cast<RankedTensorType>(initial.getType()).getRank() == 4;
  return shapes.match("initial_state", initial, perRow ? "B N 2D E" : "N 2D E");
}

LogicalResult HeadNormsGradOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(shapes.match("swa", getSwa(), "B T N E")) || failed(shapes.sameType("rla", getRla(), "swa", getSwa())) ||
      failed(shapes.sameType("dresult", getDresult(), "swa", getSwa())) ||
      failed(shapes.sameType("dswa", getDswa(), "swa", getSwa())) ||
      failed(shapes.sameType("drla", getDrla(), "swa", getSwa())) ||
      failed(shapes.match("swa_scale", getSwaScale(), "N E")) ||
      failed(shapes.sameType("rla_scale", getRlaScale(), "swa_scale", getSwaScale())) ||
      failed(shapes.sameType("dswa_scale", getDswaScale(), "swa_scale", getSwaScale())) ||
      failed(shapes.sameType("drla_scale", getDrlaScale(), "swa_scale", getSwaScale())))
    return failure();
  shapes.setLaw("C2");
  if (!(getEps().convertToDouble() > 0))
    return shapes.emitError() << "must have eps > 0";
  return success();
}

} // namespace oriel::lm
