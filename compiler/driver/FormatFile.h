// `orielc fmt`: reads, formats and writes model files.
#ifndef ORIEL_COMPILER_DRIVER_FORMATFILE_H
#define ORIEL_COMPILER_DRIVER_FORMATFILE_H

#include "llvm/Support/raw_ostream.h"
#include <string>
#include <vector>

namespace oriel::driver {

/// Formats each file in place, or with `check` only names the files that are not formatted. Returns the exit status: 0, or 1 when a file does not
/// parse, cannot be read or written, or (with `check`) is not formatted. A file that does not parse is left as it is.
int formatFiles(const std::vector<std::string> &files, bool check, llvm::raw_ostream &errors);

} // namespace oriel::driver

#endif
