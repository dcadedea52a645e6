// Turns the text of one op, as descriptions and error tests write it, into a module that can be parsed.
#ifndef ORIEL_TESTS_SUPPORT_LM_OPTEXT_H
#define ORIEL_TESTS_SUPPORT_LM_OPTEXT_H

#include "llvm/ADT/StringRef.h"
#include <string>

namespace oriel::testing {

/// `%y = lm.add %a, %b : (T, U) -> V` becomes a function whose arguments are %a : T and %b : U, with the op as its
/// body. Empty if the text has not the form `results = op … : (types) -> types` with as many operands as types.
std::string functionAround(llvm::StringRef opText);

} // namespace oriel::testing

#endif
