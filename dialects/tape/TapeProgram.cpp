// tape.program, tape.return, tape.schedule and tape.save: text form and laws.
#include "dialects/tape/TapeOps.h"

#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace oriel::tape;

void ProgramOp::build(OpBuilder &builder, OperationState &state, StringRef name, FunctionType type) {
  state.addAttribute(getSymNameAttrName(state.name), builder.getStringAttr(name));
  state.addAttribute(getFunctionTypeAttrName(state.name), TypeAttr::get(type));
  Block &body = state.addRegion()->emplaceBlock();
  for (Type input : type.getInputs())
    body.addArgument(input, state.location);
}

ParseResult ProgramOp::parse(OpAsmParser &parser, OperationState &result) {
  auto makeType = [](Builder &builder, ArrayRef<Type> inputs, ArrayRef<Type> results,
                     function_interface_impl::VariadicFlag,
                     std::string &) { return builder.getFunctionType(inputs, results); };
  return function_interface_impl::parseFunctionOp(parser, result, /*allowVariadic=*/false,
                                                  getFunctionTypeAttrName(result.name), makeType,
                                                  getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void ProgramOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
                                           getArgAttrsAttrName(), getResAttrsAttrName());
}

PlaceAttr ProgramOp::getArgumentPlace(unsigned i) { return getArgAttrOfType<PlaceAttr>(i, placeAttrName); }
PlaceAttr ProgramOp::getResultPlace(unsigned i) { return getResultAttrOfType<PlaceAttr>(i, placeAttrName); }
void ProgramOp::setArgumentPlace(unsigned i, PlaceAttr place) { setArgAttr(i, placeAttrName, place); }
void ProgramOp::setResultPlace(unsigned i, PlaceAttr place) { setResultAttr(i, placeAttrName, place); }

LogicalResult ProgramOp::verify() {
  static constexpr llvm::StringLiteral names[] = {"micro",  "last_micro", "accumulate", "update",
                                                "eval", "logits", "vjp"};
  if (!llvm::is_contained(names, getSymName())) // (C2)
    return emitOpError() << "'" << getSymName()
                         << "' is not an entry point; use one of micro, last_micro, accumulate, update, eval, logits, vjp";
  for (unsigned i = 0; i < getNumArguments(); ++i) // (C1)
    if (!getArgumentPlace(i))
      return emitOpError() << "argument " << i << " has no tape.place";
  for (unsigned i = 0; i < getNumResults(); ++i) // (C1)
    if (!getResultPlace(i))
      return emitOpError() << "result " << i << " has no tape.place";
  return success();
}

LogicalResult ReturnOp::verify() {
  auto program = cast<ProgramOp>((*this)->getParentOp());
  if (getValues().getTypes() != TypeRange(program.getResultTypes())) // (C1)
    return emitOpError("operand types differ from the results of the program");
  return success();
}

LogicalResult ScheduleOp::verify() {
  bool mixer = getChunk() && getSaveEvery();
  if ((!mixer && !getAction()) || getChunk().has_value() != getSaveEvery().has_value()) // (C1)
    return emitOpError("states 'chunk C save_every m' for a recurrent mixer, or one of 'save', 'recompute', or both");
  if ((getTwoPass() || getFused()) && !mixer) // (C1)
    return emitOpError() << "is '" << (getFused() ? "fused" : "two_pass") << "' without 'chunk C save_every m'";
  if (getTile() && !getFused()) // (C1)
    return emitOpError("is 'tile' without 'fused': only the fused kernel has a window part");
  if (getTile() && (*getTile() < 16 || *getTile() % 16 != 0)) // (C2)
    return emitOpError() << "tile " << *getTile() << " is not a positive multiple of 16";
  if (mixer && (*getChunk() < 16 || *getChunk() % 16 != 0)) // (C2)
    return emitOpError() << "chunk " << *getChunk() << " is not a positive multiple of 16";
  if (mixer && *getSaveEvery() < 1) // (C2)
    return emitOpError() << "save_every " << *getSaveEvery() << " is below 1";
  return success();
}

LogicalResult TilesOp::verify() {
  if (!getRows() && !getColumns() && !getWarps() && !getStages()) // (C1)
    return emitOpError("states 'rows', 'columns', 'warps' or 'stages', or several of them");
  if (getRows() && isOfLinearAttention()) // (C1)
    return emitOpError() << "is 'rows' of " << stringifyTiledKernel(getKernel()) << ", whose blocks have columns of values only";
  if (getColumns() && (getKernel() == TiledKernel::RlaDq || getKernel() == TiledKernel::RlaDkDv)) // (C1)
    return emitOpError() << "is 'columns' of " << stringifyTiledKernel(getKernel()) << ", whose blocks hold whole states";
  for (auto [word, size] : {std::pair("rows", getRows()), std::pair("columns", getColumns())}) // (C2)
    if (size && (static_cast<int64_t>(*size) < 16 || *size % 16 != 0))
      return emitOpError() << word << " " << static_cast<int64_t>(*size) << " is not a positive multiple of 16";
  if (getWarps() && *getWarps() != 4 && *getWarps() != 8) // (C2)
    return emitOpError() << "warps " << static_cast<int64_t>(*getWarps()) << " is neither 4 nor 8";
  if (getStages() && (static_cast<int64_t>(*getStages()) < 1 || *getStages() > 4)) // (C2)
    return emitOpError() << "stages " << static_cast<int64_t>(*getStages()) << " is not from 1 to 4";
  return success();
}

LogicalResult SaveOp::verify() {
  int64_t bytes = 0;
  for (Value value : getValues())
    bytes += sizeInBytes(value.getType());
  if (static_cast<int64_t>(getBytes()) != bytes) // (C1)
    return emitOpError() << "says " << getBytes() << " bytes, its values hold " << bytes;
  return success();
}
