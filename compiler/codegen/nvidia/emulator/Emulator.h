// Runs GPU kernels without a GPU: the LLVM IR that becomes PTX, compiled for the host, one fiber per CUDA thread.
//
// It checks the program up to the IR that ptxas gets. It does not check ptxas, the memory model, or speed.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATOR_EMULATOR_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATOR_EMULATOR_H

#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace llvm::orc {
class LLJIT;
}

namespace oriel::codegen::nvidia {

class Emulator {
public:
  /// Takes the result of translateToLlvm with its context.
  static llvm::Expected<std::unique_ptr<Emulator>> create(std::unique_ptr<llvm::Module> module,
                                                          std::unique_ptr<llvm::LLVMContext> context);
  ~Emulator();

  /// Runs the whole grid, block after block; `buffers` in the kernel's order. `seed` shuffles the threads.
  llvm::Error launch(const NvidiaKernelInfo &kernel, llvm::ArrayRef<void *> buffers, uint64_t seed);

private:
  Emulator();

  std::unique_ptr<llvm::orc::LLJIT> jit_;
  std::unique_ptr<std::byte[]> shared_;
};

} // namespace oriel::codegen::nvidia

#endif
