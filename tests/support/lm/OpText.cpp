#include "tests/support/lm/OpText.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

using llvm::StringRef;

namespace oriel::testing {

std::string functionAround(StringRef opText) {
  auto [results, rest] = opText.split('=');
  size_t typeStart = rest.rfind(": ("), typeEnd = rest.find(')', typeStart);
  if (typeStart == StringRef::npos || typeEnd == StringRef::npos)
    return "";
  // No type inside has parentheses: operands are tensors.
  llvm::SmallVector<StringRef> types;
  rest.slice(typeStart + 3, typeEnd).split(types, ',');

  llvm::SmallVector<StringRef> operands;
  StringRef body = rest.take_front(typeStart);
  for (size_t at = body.find('%'); at != StringRef::npos; at = body.find('%', at + 1))
    operands.push_back(body.substr(at).take_while([](char c) { return c == '%' || c == '_' || llvm::isAlnum(c); }));
  if (operands.size() != types.size())
    return "";

  std::string text = "func.func @f(";
  for (size_t i = 0; i < operands.size(); ++i)
    text += (i ? ", " : "") + operands[i].str() + ": " + types[i].trim().str();
  return text + ") {\n" + opText.str() + "\nreturn\n}\n";
}

} // namespace oriel::testing
