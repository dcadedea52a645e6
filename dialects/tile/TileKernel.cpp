// tile.kernel: builder, text form and laws. The other ops are in TileOps.cpp.
#include "dialects/tile/BlockShape.h"
#include "dialects/tile/TileOps.h"

using namespace mlir;
using namespace oriel::tile;

void KernelOp::build(OpBuilder &builder, OperationState &state, StringRef name, TypeRange buffers,
                     ArrayRef<int64_t> grid, int64_t numOutputs) {
  state.addAttribute(getSymNameAttrName(state.name), builder.getStringAttr(name));
  state.addAttribute(getFunctionTypeAttrName(state.name), TypeAttr::get(builder.getFunctionType(buffers, {})));
  state.addAttribute(getGridAttrName(state.name), builder.getDenseI64ArrayAttr(grid));
  state.addAttribute(getNumOutputsAttrName(state.name), builder.getI64IntegerAttr(numOutputs));
  auto block = std::make_unique<Block>();
  for (Type type : buffers)
    block->addArgument(type, state.location);
  for (int dim = 0; dim < 3; ++dim)
    block->addArgument(builder.getIndexType(), state.location);
  state.addRegion()->push_back(block.release());
}

Block::BlockArgListType KernelOp::getBuffers() { return getBody().getArguments().drop_back(3); }

Value KernelOp::getGridIndex(unsigned dim) { return getBody().getArgument(getFunctionType().getNumInputs() + dim); }

ArrayRef<int64_t> KernelOp::getReplaceable(unsigned number) {
  auto inputs = getArgAttrOfType<DenseI64ArrayAttr>(number, kReplacesAttr);
  return inputs ? inputs.asArrayRef() : ArrayRef<int64_t>();
}

/// (C4)
static LogicalResult verifyReplaces(KernelOp kernel) {
  ArrayRef<Type> buffers = kernel.getArgumentTypes();
  int64_t inputs = static_cast<int64_t>(buffers.size()) - static_cast<int64_t>(kernel.getNumOutputs());
  for (auto [number, type] : llvm::enumerate(buffers)) {
    if (!kernel.getArgAttr(number, kReplacesAttr))
      continue;
    if (static_cast<int64_t>(number) < inputs)
      return kernel.emitOpError("(C4) buffer ") << number << " is an input and replaces nothing";
    for (int64_t input : kernel.getReplaceable(number))
      if (input < 0 || input >= inputs || buffers[input] != type)
        return kernel.emitOpError("(C4) output buffer ")
               << number << " cannot replace " << input << ", which is no input of its type";
  }
  return success();
}

LogicalResult KernelOp::verifyBody() {
  Block &entry = getBody().front();
  ArrayRef<Type> buffers = getArgumentTypes();
  if (entry.getNumArguments() != buffers.size() + 3)
    return emitOpError("(C2) the entry block has ")
           << entry.getNumArguments() << " arguments, expected " << buffers.size() << " buffers and x, y, z";
  for (auto [index, argument] : llvm::enumerate(entry.getArguments())) {
    Type wanted = index < buffers.size() ? buffers[index] : Type(IndexType::get(getContext()));
    if (argument.getType() != wanted)
      return emitOpError("(C2) entry block argument ")
             << index << " is " << argument.getType() << ", expected " << wanted;
  }
  return success();
}

LogicalResult KernelOp::verify() {
  if (getGrid().size() != 3 || llvm::any_of(getGrid(), [](int64_t size) { return size < 1; }))
    return emitOpError("(C1) grid must have three sizes of at least 1");
  if (!getResultTypes().empty())
    return emitOpError("(C2) a kernel has no results");
  for (Type type : getArgumentTypes())
    if (!isBuffer(type))
      return emitOpError("(C2) argument type ") << type << " is not a buffer (static shape, row major)";
  int64_t buffers = getArgumentTypes().size(), outputs = getNumOutputs();
  if (outputs < 1 || outputs > buffers)
    return emitOpError("(C3) outputs is ") << outputs << ", expected 1 to " << buffers;
  if (getBody().front().empty() || !isa<ReturnOp>(getBody().front().back()))
    return emitOpError("the body must end with tile.return");
  return verifyReplaces(*this);
}

// kernel ::= `tile.kernel` @name `(` (%arg `:` type attrs?),* `)` `grid` `(` %x `,` %y `,` %z `)` `in` `[` sizes `]`
//            `outputs` n (`summary` string)? (`attributes` dict)? region
ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &state) {
  Builder &builder = parser.getBuilder();
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments, places;
  if (parser.parseSymbolName(name, getSymNameAttrName(state.name), state.attributes) ||
      parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren, /*allowType=*/true, /*allowAttrs=*/true) ||
      parser.parseKeyword("grid") || parser.parseArgumentList(places, OpAsmParser::Delimiter::Paren))
    return failure();
  if (places.size() != 3)
    return parser.emitError(parser.getNameLoc(), "grid wants three names: grid(%x, %y, %z)");
  SmallVector<int64_t> sizes;
  auto parseSize = [&] { return parser.parseInteger(sizes.emplace_back()); };
  int64_t outputs;
  if (parser.parseKeyword("in") || parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Square, parseSize) ||
      parser.parseKeyword("outputs") || parser.parseInteger(outputs))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("summary"))) {
    StringAttr summary;
    if (parser.parseAttribute(summary, getSummaryAttrName(state.name), state.attributes))
      return failure();
  }
  if (parser.parseOptionalAttrDictWithKeyword(state.attributes))
    return failure();

  SmallVector<Type> types = llvm::map_to_vector(arguments, [](OpAsmParser::Argument &arg) { return arg.type; });
  state.addAttribute(getFunctionTypeAttrName(state.name), TypeAttr::get(builder.getFunctionType(types, {})));
  state.addAttribute(getGridAttrName(state.name), builder.getDenseI64ArrayAttr(sizes));
  state.addAttribute(getNumOutputsAttrName(state.name), builder.getI64IntegerAttr(outputs));
  call_interface_impl::addArgAndResultAttrs(builder, state, arguments, /*resultAttrs=*/{},
                                            getArgAttrsAttrName(state.name), getResAttrsAttrName(state.name));
  for (OpAsmParser::Argument &place : places) {
    place.type = builder.getIndexType();
    arguments.push_back(place);
  }
  return parser.parseRegion(*state.addRegion(), arguments);
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << '(';
  llvm::interleaveComma(llvm::enumerate(getBuffers()), printer, [&](auto item) {
    DictionaryAttr attributes;
    if (ArrayAttr all = getArgAttrsAttr())
      attributes = cast<DictionaryAttr>(all[item.index()]);
    printer.printRegionArgument(item.value(), attributes ? attributes.getValue() : ArrayRef<NamedAttribute>());
  });
  printer << ") grid(" << getGridIndex(0) << ", " << getGridIndex(1) << ", " << getGridIndex(2) << ") in [";
  llvm::interleaveComma(getGrid(), printer);
  printer << "] outputs " << getNumOutputs();
  if (getSummaryAttr())
    printer << " summary " << getSummaryAttr();
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                           {getSymNameAttrName(), getFunctionTypeAttrName(), getGridAttrName(),
                                            getNumOutputsAttrName(), getArgAttrsAttrName(), getSummaryAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

constexpr llvm::StringLiteral warpsAttr = "tile.warps", stagesAttr = "tile.stages";

BlockShape oriel::tile::blockShapeOf(KernelOp kernel) {
  auto number = [&](StringRef name) {
    auto attr = kernel->getAttrOfType<IntegerAttr>(name);
    return attr ? attr.getInt() : 0;
  };
  return {number(warpsAttr), number(stagesAttr)};
}

void oriel::tile::setBlockShape(KernelOp kernel, const BlockShape &shape) {
  Builder builder(kernel.getContext());
  for (auto [name, number] : {std::pair(warpsAttr, shape.warps), std::pair(stagesAttr, shape.stages)}) {
    kernel->removeAttr(name);
    if (number > 0)
      kernel->setAttr(name, builder.getI64IntegerAttr(number));
  }
}
