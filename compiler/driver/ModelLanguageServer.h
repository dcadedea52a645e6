// `orielc lsp`: the language server of model files, for editors.
#ifndef ORIEL_COMPILER_DRIVER_MODELLANGUAGESERVER_H
#define ORIEL_COMPILER_DRIVER_MODELLANGUAGESERVER_H

#include "llvm/Support/raw_ostream.h"
#include <cstdio>

namespace oriel::driver {

/// Speaks the Language Server Protocol until the client says exit: errors and warnings of every open model file as they
/// are typed, with notes and hints, and formatting of a whole file (`orielc fmt`). Documents are synchronised whole.
/// Returns the exit status: 0 after an orderly shutdown, else 1.
int serveModelLanguage(std::FILE *in, llvm::raw_ostream &out);

} // namespace oriel::driver

#endif
