// The functions of the emulator that a library calls. A library links with nothing: it calls them through a table of
// names and addresses, of which the loader (runtime/device/cuda/emulated/KernelObject.h) fills in the latter.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_IMPORTS_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_IMPORTS_H

#include "llvm/ADT/MapVector.h"
#include "llvm/IR/IRBuilder.h"
#include <map>
#include <string>

namespace oriel::codegen::nvidia {

class Imports {
public:
  explicit Imports(llvm::Module &module);

  /// A call of the function of that name, at the builder's place.
  llvm::Value *call(llvm::IRBuilder<> &b, llvm::StringRef name, llvm::Type *result,
                    llvm::ArrayRef<llvm::Value *> arguments);
  /// The address of the table.
  llvm::Constant *table() const { return unsized_; }
  /// Once all calls are there. The last entry of the table is zeros.
  void writeTable();

private:
  llvm::Module &module_;
  llvm::StructType *entryType_;
  llvm::GlobalVariable *unsized_; // stands for the table until its size is known
  llvm::MapVector<std::string, size_t, std::map<std::string, unsigned>> functions_;
};

/// The address of a text that ends with a zero.
llvm::Constant *constantText(llvm::Module &module, llvm::StringRef characters);

} // namespace oriel::codegen::nvidia

#endif
