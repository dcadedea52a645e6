// Registration of the tape dialect and the text form of places.
#include "dialects/tape/TapeOps.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

/// Buffer names print bare where they are identifiers: `arena`, `tokens`.
static ParseResult parseBufferName(AsmParser &parser, std::string &name) { return parser.parseKeywordOrString(&name); }

static void printBufferName(AsmPrinter &printer, StringRef name) { printer.printKeywordOrString(name); }

#include "dialects/tape/TapeDialect.cpp.inc"
#include "dialects/tape/TapeEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tape/TapeAttributes.cpp.inc"

void oriel::tape::TapeDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/tape/TapeAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/tape/TapeOps.cpp.inc"
      >();
}

int64_t oriel::tape::elementCount(Type type) { return cast<ShapedType>(type).getNumElements(); }

int64_t oriel::tape::sizeInBytes(Type type) {
  auto shaped = cast<ShapedType>(type);
  return shaped.getNumElements() * (shaped.getElementTypeBitWidth() / 8);
}
