// Objects ⇒ a shared library. (Link.cpp)
#ifndef ORIEL_COMPILER_CODEGEN_HOST_LINK_H
#define ORIEL_COMPILER_CODEGEN_HOST_LINK_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace oriel::codegen {

/// The library has no undefined symbols. Returns an empty string, or the error's text.
std::string linkSharedLibrary(llvm::ArrayRef<llvm::StringRef> objects, llvm::StringRef outputSo);

} // namespace oriel::codegen

#endif
