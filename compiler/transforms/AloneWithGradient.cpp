#include "compiler/transforms/AloneWithGradient.h"

#include "compiler/transforms/Passes.h"
#include "dialects/lm/LmDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace oriel::transforms {

std::string kindOf(Operation *op) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << op->getName() << " : ";
  llvm::interleaveComma(op->getOperandTypes(), out);
  for (NamedAttribute attribute : op->getAttrs())
    if (attribute.getName() == givenTilesAttr || !attribute.getName().strref().starts_with("tape."))
      out << " " << attribute.getName() << "=" << attribute.getValue();
  return text;
}

static bool isFloat(Value value) { return isa<FloatType>(cast<ShapedType>(value.getType()).getElementType()); }

FailureOr<OwningOpRef<ModuleOp>> aloneWithGradient(ArrayRef<Operation *> ops) {
  Location loc = ops.back()->getLoc();
  llvm::SetVector<Value> arguments;
  for (Operation *op : ops)
    for (Value operand : op->getOperands())
      if (!llvm::is_contained(ops, operand.getDefiningOp()))
        arguments.insert(operand);
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  SmallVector<Type> types(llvm::map_range(arguments, [](Value value) { return value.getType(); }));
  auto type = builder.getFunctionType(types, ops.back()->getResult(0).getType());
  auto function = func::FuncOp::create(builder, loc, "mixer", type);
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  IRMapping copies;
  SmallVector<Attribute> wrt;
  for (auto [i, value] : llvm::enumerate(arguments)) {
    copies.map(value, body->getArgument(i));
    if (isFloat(value))
      wrt.push_back(builder.getI64IntegerAttr(i));
  }
  for (Operation *op : ops)
    builder.clone(*op, copies);
  func::ReturnOp::create(builder, loc, copies.lookup(ops.back()->getResult(0)));
  function->setAttr(lm::kVjpAttr, builder.getDictionaryAttr({
                                      builder.getNamedAttr("wrt", builder.getArrayAttr(wrt)),
                                      builder.getNamedAttr("cotangents", builder.getBoolArrayAttr({true})),
                                  }));
  PassManager pm(module->getContext());
  pm.addPass(createDifferentiatePass());
  if (failed(pm.run(*module)))
    return failure();
  return module;
}

} // namespace oriel::transforms
