// The store of this user, for the code generators of this build.
#ifndef ORIEL_COMPILER_CODEGEN_STORE_USERSTORE_H
#define ORIEL_COMPILER_CODEGEN_STORE_USERSTORE_H

#include "compiler/codegen/store/KernelStore.h"

namespace oriel::codegen {

/// In the folder `kernels` of runtime/base/CacheFolder.h; keeps nothing where there is no such folder, or where it cannot
/// be known what makes the code. Thread safe.
const KernelStore &userStore();

/// What makes machine code here: a hash, made by the build, of the libraries that the code generators are (their machine
/// code, so whatever they were compiled from and by), and the build ids of the LLVM and MLIR that this process has loaded.
/// Empty where one of these has none.
std::string hashOfGenerators();

} // namespace oriel::codegen

#endif
