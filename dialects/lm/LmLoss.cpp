// Verifiers of the loss and of the logits of one position. Laws are stated in LmOps.td.
#include "dialects/lm/LmOps.h"
#include "dialects/lm/ShapeLaw.h"

using namespace mlir;

namespace oriel::lm {
namespace {

constexpr int64_t kAnyWindow = -1;

} // namespace

LogicalResult CrossEntropyOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(shapes.match("x", getX(), "B T M")) || failed(shapes.match("weight", getWeight(), "V M")) ||
      failed(shapes.match("targets", getTargets(), "B T")) || failed(shapes.match("loss", getLoss(), "1")))
    return failure();
  return verifyWindow(*this, "C2", kAnyWindow, getSoftCap().convertToDouble());
}

LogicalResult CrossEntropyGradOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(shapes.match("x", getX(), "B T M")) || failed(shapes.match("weight", getWeight(), "V M")) ||
      failed(shapes.match("targets", getTargets(), "B T")) || failed(shapes.match("dloss", getDloss(), "1")) ||
      failed(shapes.match("loss", getLoss(), "1")) || failed(shapes.sameType("dx", getDx(), "x", getX())) ||
      failed(shapes.sameType("dweight", getDweight(), "weight", getWeight())))
    return failure();
  return verifyWindow(*this, "C2", kAnyWindow, getSoftCap().convertToDouble());
}

LogicalResult LogitsOp::verify() {
  ShapeLaw shapes(*this, "C1");
  if (failed(shapes.match("x", getX(), "B T M")) || failed(shapes.match("weight", getWeight(), "V M")) ||
      failed(shapes.match("position", getPosition(), "B")) || failed(shapes.match("result", getResult(), "B V")))
    return failure();
  return verifyWindow(*this, "C2", kAnyWindow, getSoftCap().convertToDouble());
}

} // namespace oriel::lm
