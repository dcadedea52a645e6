#include "compiler/conversion/lmToTape/ParameterLayout.h"

#include "dialects/lm/LmDialect.h"

using namespace mlir;

namespace oriel::conversion {
namespace {

int64_t roundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

} // namespace

StringRef parameterName(func::FuncOp function, unsigned i) {
  auto dict = function.getArgAttrOfType<DictionaryAttr>(i, lm::kParamAttr);
  auto name = dict ? dict.getAs<StringAttr>("name") : StringAttr();
  return name ? name.getValue() : StringRef();
}

LogicalResult ParameterLayout::add(func::FuncOp function, unsigned argument) {
  auto dict = function.getArgAttrOfType<DictionaryAttr>(argument, lm::kParamAttr);
  auto name = dict.getAs<StringAttr>("name");
  auto init = dict.getAs<StringAttr>("init");
  auto std = dict.getAs<FloatAttr>("std");
  auto decay = dict.getAs<BoolAttr>("decay");
  if (!name || !init || !decay)
    return function.emitError() << "argument " << argument << " has an lm.param without name, init or decay";
  if (offsetOf(name) >= 0)
    return function.emitError() << "has two parameters named '" << name.getValue() << "'";
  auto type = cast<ShapedType>(function.getArgument(argument).getType());
  if (!type.getElementType().isF32())
    return function.emitError() << "parameter '" << name.getValue() << "' is not float32";
  int64_t offset = paddedElements_;
  entries_.push_back({name.str(), llvm::to_vector(type.getShape()), offset, init.str(),
                      std ? std.getValueAsDouble() : 0.0, decay.getValue()});
  paddedElements_ = roundUp(offset + type.getNumElements(), parameterBlock);
  return success();
}

FailureOr<ParameterLayout> ParameterLayout::read(func::FuncOp function, int64_t world) {
  ParameterLayout layout;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (function.getArgAttr(i, lm::kParamAttr) && failed(layout.add(function, i)))
      return failure();
  layout.paddedElements_ = roundUp(layout.paddedElements_, normBlock * world);
  return layout;
}

int64_t ParameterLayout::offsetOf(StringRef name) const {
  for (const Entry &entry : entries_)
    if (entry.name == name)
      return entry.offset;
  return -1;
}

ArrayAttr ParameterLayout::toAttribute(MLIRContext *context) const {
  Builder b(context);
  SmallVector<Attribute> list;
  for (const Entry &entry : entries_)
    list.push_back(b.getDictionaryAttr({b.getNamedAttr("name", b.getStringAttr(entry.name)),
                                        b.getNamedAttr("shape", b.getDenseI64ArrayAttr(entry.shape)),
                                        b.getNamedAttr("offset", b.getI64IntegerAttr(entry.offset)),
                                        b.getNamedAttr("init", b.getStringAttr(entry.init)),
                                        b.getNamedAttr("std", b.getF64FloatAttr(entry.std)),
                                        b.getNamedAttr("decay", b.getBoolAttr(entry.decay))}));
  return b.getArrayAttr(list);
}

} // namespace oriel::conversion
